"""Learning from comparisons: a reward model, then PPO, RLOO, GRPO or DPO, each a formula of a few lines.

Texts are rows of ids (B, T), padded on the right, with a mask (B, T - 1) that is True in column t where ids[:, t + 1]
is a *choice*: a token that the policy wrote, the end token too, but nothing of the prompt or the padding. All that
belongs to choices has the shape of the mask and is 0 elsewhere: log-probabilities, rewards, values, advantages. A
text has the sum over its choices. The unit is the nat. A loss is ``(loss, metrics)``; metrics are detached scalars.
"""

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .corpus import padded
from .models import LanguageModel, evaluating, log_probs
from .sample import generate_ids

Loss = tuple[Tensor, dict[str, Tensor]]


class Rollout(NamedTuple):
    """Texts that a policy wrote: ids (B, T), their mask of choices (B, T - 1), and whether each ended (B,)."""

    ids: Tensor
    mask: Tensor
    ended: Tensor


def rollout(policy: LanguageModel, contexts: list, end: int, max_new_tokens: int = 200, seed=0) -> Rollout:
    """Let the policy continue each context, ids from the start token on, at temperature 1 and on its own device.

    Row i draws from a stream made of (`seed`, i), so take another seed at each step. Texts are cut where the block
    ends. Raises ValueError where a context leaves no room in the block, and where no text ends.
    """
    room = (policy.max_positions or math.inf) - max(map(len, contexts), default=0)
    if room < 1:
        what = f"a context of {policy.max_positions - room} tokens fills the block of {policy.max_positions}"
        raise ValueError(f"contexts must leave room for an answer, but {what}.")
    written = generate_ids(policy, contexts, int(min(max_new_tokens, room)), seed=seed, end=end)
    ended = torch.tensor([row[-1] == end for row in written])
    if not ended.any():
        what = f"policy ended none of {len(written)} texts within {int(min(max_new_tokens, room))} tokens"
        raise ValueError(f"{what}: raise max_new_tokens, or go back to a policy that ends its texts.")
    ids, mask = padded(contexts, written, end)
    return Rollout(*(tensor.to(next(policy.parameters()).device) for tensor in (ids, mask, ended)))


def token_log_probs(policy: LanguageModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Log-probability of each choice (B, T - 1), 0 where there is none."""
    x = policy.hidden_states(ids[:, :-1])[0][mask]  # (N, width): logits for choices alone, half the work
    found = log_probs(policy.head(x).float()[None], ids[:, 1:][mask][None])[0]  # (N,)
    return torch.zeros(mask.shape, device=ids.device).masked_scatter(mask, found)


def last_choice(mask: Tensor) -> Tensor:
    """The column (B,) of each row's last choice, where its end token is chosen."""
    return mask.size(1) - 1 - mask.flip(1).int().argmax(1)


# Comparisons, and the reward model that learns from them


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Loss:
    """-log sigmoid(chosen - rejected), the mean over pairs of scores (B,) (Bradley and Terry 1952).

    Only differences count, so scores are free up to a constant. Metrics: the share of pairs in the right order.
    """
    return -F.logsigmoid(chosen - rejected).mean(), {"accuracy": (chosen > rejected).float().mean().detach()}


class RewardModel(nn.Module):
    """A copy of a GPT whose head is one number, 0 at first, read at the end token (Stiennon et al. 2020).

    `fit` trains it on `corpus.pairs` (arXiv:2009.01325). Read before every choice, it serves PPO as its critic.
    """

    def __init__(self, gpt):
        super().__init__()
        device = next(gpt.parameters()).device
        self.gpt, self.value = copy.deepcopy(gpt), nn.Linear(gpt.config.n_embd, 1, device=device)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    config = property(lambda self: self.gpt.config)  # `fit` takes the block size from here ...
    h = property(lambda self: self.gpt.h)  # ... and trains these blocks with Muon

    def values(self, ids: Tensor, mask: Tensor) -> Tensor:
        """A number for what was read before each choice (B, T - 1), 0 where there is none."""
        return self.value(self.gpt.hidden_states(ids[:, :-1])[0])[..., 0].float() * mask

    def score(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The reward (B,) of whole texts, in nats of preference once trained."""
        x = self.gpt.hidden_states(ids)[0]  # (B, T, n_embd)
        x = x[torch.arange(len(ids), device=ids.device), last_choice(mask) + 1]
        return self.value(x)[:, 0].float()

    def forward(self, ids: Tensor, mask: Tensor, better: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, 2) and the Bradley-Terry loss of a batch of `corpus.pairs`."""
        scores = self.score(ids.flatten(0, 1), mask.flatten(0, 1)).view(-1, 2)
        return scores, bradley_terry_loss(*by_preference(scores, better))[0]


def by_preference(numbers: Tensor, better: Tensor) -> tuple[Tensor, Tensor]:
    """Of numbers (B, 2), that of the preferred text (B,) and that of the other."""
    return numbers.gather(1, better[:, None])[:, 0], numbers.gather(1, 1 - better[:, None])[:, 0]


# What is to be maximised: E[reward] - beta KL(policy, reference)


def kl_estimates(policy: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """k1, k2 and k3 of what the policy wrote, of each choice or summed over a text (Schulman 2020).

    k1 = log p - log q, k2 = k1^2 / 2, k3 = q/p - 1 - log q/p, with p the policy and q the reference. k1 and k3 have
    KL(p, q) as their mean, and k3 is never negative. In a *reward*, take k1. As a *loss*, k1 has no gradient on
    average, k2 of a whole text has that of KL(p, q), k3 that of KL(q, p) (arXiv:2506.09477, arXiv:2510.01555).
    """
    k1 = policy - reference
    return k1, k1**2 / 2, torch.expm1(-k1) + k1


def token_rewards(scores: Tensor, policy: Tensor, reference: Tensor, mask: Tensor, beta: float) -> Tensor:
    """-beta k1 at each choice, and at the last the text's score (B,) too (Ouyang et al. 2022, arXiv:2203.02155)."""
    rewards = -beta * (policy - reference) * mask
    return rewards.scatter_add(1, last_choice(mask)[:, None], finite("scores", scores)[:, None].to(rewards))


def adapted(beta: float, kl: float, target: float, n: int, horizon: int = 10_000) -> float:
    """beta (1 + clip(kl / target - 1, -0.2, 0.2) n / horizon), the next beta after `n` texts of `kl` nats on average.

    It pulls the divergence towards `target` (Ziegler et al. 2019, arXiv:1909.08593).
    """
    return beta * (1 + min(max(kl / target - 1, -0.2), 0.2) * n / horizon)


def optimum(reference: Tensor, rewards: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """The policy with the largest E[reward] - beta KL, its log-probabilities (N,), and that maximum, beta log Z.

    p*(y) = p_ref(y) exp(reward(y) / beta) / Z; any other policy attains beta KL(policy, p*) less (arXiv:2305.18290).
    """
    weights = reference + finite("rewards", rewards) / beta
    return weights.log_softmax(0), beta * (weights.logsumexp(0) - reference.logsumexp(0))


# Advantages, how much better than expected, and what to do about them


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma=1.0, lam=0.95) -> tuple[Tensor, Tensor]:
    """Advantages and returns (B, T - 1) (Schulman et al. 2015, arXiv:1506.02438).

    delta_t = R_t + gamma V_t+1 - V_t, with V = 0 after the last choice; A_t = delta_t + gamma lam A_t+1; the return
    is A_t + V_t. With `lam` 1, A_t is all that came less V_t; with 0, it trusts V. Whiten A afterwards, not before.
    """
    advantages, after, next_value = torch.zeros_like(rewards), 0.0, 0.0
    values = values * mask
    for t in reversed(range(rewards.size(1))):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        after = (delta + gamma * lam * after) * mask[:, t]
        advantages[:, t], next_value = after, values[:, t]
    return advantages, advantages + values


def whiten(x: Tensor, mask: Tensor, keep_mean: bool = False) -> Tensor:
    """Numbers of choices shifted to mean 0, unless it is kept, and scaled to deviation 1; equal ones have none."""
    mean = x[mask].mean()
    deviation = (x[mask] - mean).square().mean().sqrt()
    return ((x - mean) / (deviation + 1e-8) + (mean if keep_mean else 0.0)) * mask


def rloo_advantages(rewards: Tensor, group: int) -> Tensor:
    """Each text's reward (B,) less the mean of the others in its group (Ahmadian et al. 2024, arXiv:2402.14740).

    `group` rows in a row answer one prompt. With -beta k1 in the rewards the expected gradient is the true one.
    """
    groups = grouped(rewards, group)
    return ((groups - groups.mean(1, keepdim=True)) * group / (group - 1)).flatten()


def grpo_advantages(rewards: Tensor, group: int) -> Tensor:
    """(reward - mean) / (deviation + 1e-4) within each group (B,) (Shao et al. 2024, arXiv:2402.03300).

    The division changes what is maximised: the less rewards differ, the more they count against beta.
    """
    groups = grouped(rewards, group)
    return ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-4)).flatten()


def grouped(rewards: Tensor, group: int) -> Tensor:
    """Rewards (B,) as (B / group, group)."""
    if group < 2 or len(rewards) % group:
        raise ValueError(f"group must be 2 or more and divide the {len(rewards)} rewards, but {group} came.")
    return finite("rewards", rewards).view(-1, group)


def finite(name: str, numbers: Tensor) -> Tensor:
    """The numbers, or ValueError where one is NaN or infinite: it would spoil every weight of the policy."""
    if bad := int((~numbers.isfinite()).sum()):
        raise ValueError(f"{name} must be finite, but {bad} of {numbers.numel()} are NaN or infinite.")
    return numbers


def policy_loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, clip: float = 0.2) -> Loss:
    """-min(rho A, clip(rho, 1 - clip, 1 + clip) A), the mean over choices (Schulman et al. 2017, arXiv:1707.06347).

    rho = exp(new - old) compares log-probabilities (B, T - 1) now and at the time of writing. A may be one number a
    text, (B, 1). The sum is divided by the choices of all texts; by each text's own, it would favour lengths.
    Metrics: the share of ratios beyond the clip, and how far the policy has moved, KL(old, new) in nats a choice.
    """
    rho = (new - old).exp()
    gains = torch.minimum(rho * advantages, rho.clamp(1 - clip, 1 + clip) * advantages)
    clipped = (((rho - 1).abs() > clip) & mask).sum() / mask.sum()
    kl = kl_estimates(old, new.detach())[2][mask].mean()
    return -(gains * mask).sum() / mask.sum(), {"clip_fraction": clipped, "kl": kl}


def value_loss(new: Tensor, old: Tensor, returns: Tensor, mask: Tensor, clip: float = 0.2) -> Loss:
    """1/2 max((V - R)^2, (clip(V, V_old - clip, V_old + clip) - R)^2), the mean over choices (arXiv:2005.12729).

    Metrics: the share of the returns' variance that V explains, 1 at best, 0 for a constant.
    """
    near = torch.maximum(torch.minimum(new, old + clip), old - clip)
    errors = torch.maximum((new - returns) ** 2, (near - returns) ** 2)
    left = (returns - new)[mask].var(correction=0) / returns[mask].var(correction=0).clamp_min(1e-8)
    return 0.5 * (errors * mask).sum() / mask.sum(), {"explained": (1 - left).detach()}


def dpo_loss(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float) -> Loss:
    """-log sigmoid(beta (D_chosen - D_rejected)), D = log p - log p_ref of a whole text (arXiv:2305.18290, eq. 7).

    All are (B,), sums over a text's choices, never means. beta D is the implicit reward, up to a constant a prompt.
    Metrics: the share of pairs in the right order, the margin, and D_chosen, which may fall while the loss does.
    """
    rewards = beta * (chosen - ref_chosen), beta * (rejected - ref_rejected)
    loss, metrics = bradley_terry_loss(*rewards)
    margin = (rewards[0] - rewards[1]).mean().detach()
    return loss, metrics | {"margin": margin, "chosen": (chosen - ref_chosen).mean().detach()}


class DPO(nn.Module):
    """A policy beside a frozen copy of what it was: `fit(DPO(policy, beta), pairs)` trains the policy in place."""

    def __init__(self, policy: LanguageModel, beta: float):
        super().__init__()
        self.policy, self.beta = policy, beta
        self.reference = copy.deepcopy(policy).requires_grad_(False)

    config = property(lambda self: self.policy.config)
    h = property(lambda self: self.policy.h)

    def forward(self, ids: Tensor, mask: Tensor, better: Tensor) -> tuple[Tensor, Tensor]:
        """Implicit rewards (B, 2) and the DPO loss of a batch of `corpus.pairs`."""
        rows = ids.flatten(0, 1), mask.flatten(0, 1)
        with torch.no_grad(), evaluating(self.reference):
            reference = token_log_probs(self.reference, *rows).sum(1).view(-1, 2)
        policy = token_log_probs(self.policy, *rows).sum(1).view(-1, 2)
        pairs = by_preference(policy, better) + by_preference(reference, better)
        return self.beta * (policy - reference), dpo_loss(*pairs, self.beta)[0]
