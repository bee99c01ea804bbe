"""Chapter 06's training loops, for any reward: RLOO and GRPO, one update a batch, and PPO, several.

`write(policy, seed)` gives a batch of texts by the policy: ids, mask and rewards (B,). `look(step)` is called before the
first step and after each one.
"""

from collections.abc import Callable

import torch
from textgen import rlhf
from textgen.train import schedule

CRITIC_LR, EPOCHS, MINIBATCH, LAM, VALUE_CLIP = 1e-3, 2, 32, 0.95, 0.5


def adamw(model, lr: float) -> torch.optim.Optimizer:
    """AdamW without decay, which would pull the policy towards zero and not towards the reference."""
    return torch.optim.AdamW(model.parameters(), lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)


def update(model, optimizer, loss: torch.Tensor, rate: float) -> None:
    """One step at the learning rate `rate`, the gradient clipped to norm 1 as in `fit`."""
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


def reinforce(
    policy,
    reference,
    write: Callable,
    beta: float,
    steps: int,
    lr: float,
    seed: int = 0,
    group: int = 64,
    grpo: bool = False,
    look: Callable = lambda step: None,
) -> None:
    """RLOO, or GRPO: one advantage for all choices of a text, `group` rows in a row answer one prompt."""
    optimizer = adamw(policy, lr)
    look(0)
    for step in range(steps):
        ids, mask, rewards = write(policy, seed * steps + step)
        with torch.no_grad():
            known = rlhf.token_log_probs(reference, ids, mask)
        new = rlhf.token_log_probs(policy, ids, mask)
        old = new.detach()
        if grpo:
            advantages = rlhf.grpo_advantages(rewards, group)
        else:
            advantages = rlhf.rloo_advantages(rewards - beta * (old - known).sum(1), group)
        loss, _ = rlhf.policy_loss(new, old, advantages[:, None], mask)
        if grpo:  # k3 in the loss, where RLOO and PPO have k1 in the reward
            loss = loss + beta * rlhf.kl_estimates(new, known)[2].sum() / mask.sum()
        update(policy, optimizer, loss, lr * schedule(step, steps))
        look(step + 1)


def ppo(
    policy,
    reference,
    write: Callable,
    beta: float,
    steps: int,
    lr: float,
    seed: int = 0,
    target: float | None = None,
    look: Callable = lambda step: None,
) -> float:
    """PPO with a critic; returns the last beta, which `target`, a divergence in nats, lets move."""
    critic = rlhf.RewardModel(reference)
    optimizer, critics = adamw(policy, lr), adamw(critic, CRITIC_LR)
    generator = torch.Generator().manual_seed(seed)
    look(0)
    for step in range(steps):
        ids, mask, scores = write(policy, seed * steps + step)
        with torch.no_grad():
            old, known = (rlhf.token_log_probs(model, ids, mask) for model in (policy, reference))
            values = critic.values(ids, mask)
        rewards = rlhf.token_rewards(scores, old, known, mask, beta)
        advantages, returns = rlhf.gae(rewards, values, mask, lam=LAM)
        advantages, share = rlhf.whiten(advantages, mask), schedule(step, steps)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(ids), generator=generator).split(MINIBATCH):
                part = ids[rows], mask[rows]
                new = rlhf.token_log_probs(policy, *part)
                loss, _ = rlhf.policy_loss(new, old[rows], advantages[rows], mask[rows])
                update(policy, optimizer, loss, lr * share)
                loss, _ = rlhf.value_loss(
                    critic.values(*part), values[rows], returns[rows], mask[rows], VALUE_CLIP
                )
                update(critic, critics, loss, CRITIC_LR * share)
        if target is not None:
            kl = float((old - known).sum(1).mean())
            beta = rlhf.adapted(beta, kl, target, len(ids), horizon=10 * len(ids))
        look(step + 1)
    return beta
