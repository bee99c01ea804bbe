"""RLHF: each formula against autograd, a closed form, or a world so small that every text of it is counted."""

import copy
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors
import textgen
import torch
from textgen import GPT, GPTConfig, corpus, rlhf
from textgen.checkpoint import FILE
from textgen.tokenizer import Tokenizer
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experiments"))

import rlhf_loops

BOOK = Path(textgen.__file__).parents[1]
END, CONTEXT, LONGEST = 0, [0, 1], 3


def small_gpt(seed=0, vocab_size=4, block_size=8, spread=0.3):
    torch.manual_seed(seed)
    gpt = GPT(GPTConfig(vocab_size=vocab_size, block_size=block_size, n_layer=2, n_head=2, n_embd=16))
    for p in gpt.parameters():
        p.data += spread * torch.randn_like(p)
    return gpt.eval()


def every_text(vocab_size=4):
    """All that a policy can write after CONTEXT in LONGEST tokens, as padded rows: 40 texts."""
    letters, texts = range(1, vocab_size), []
    for n in range(LONGEST):
        texts += [[*word, END] for word in itertools.product(letters, repeat=n)]
    texts += [list(word) for word in itertools.product(letters, repeat=LONGEST)]  # these never ended
    return corpus.padded([CONTEXT] * len(texts), texts, END)


IDS, MASK = every_text()
REWARDS = torch.randn(len(IDS), generator=torch.Generator().manual_seed(5))


def whole(policy):
    """The log-probability of each text of the small world."""
    return rlhf.token_log_probs(policy, IDS, MASK).sum(1)


def objective(policy, reference, beta):
    """E[reward] - beta KL, counted over every text."""
    new = whole(policy)
    return (new.exp() * (REWARDS - beta * (new - whole(reference).detach()))).sum()


def gradient(scalar, model):
    model.zero_grad()
    scalar.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def one_sentence(error):
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and ". " not in text, text


# ---------------------------------------------------------------- log-probabilities and texts


def test_the_small_world_is_whole():
    assert len(IDS) == 40
    assert whole(small_gpt()).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_log_probabilities_are_those_of_each_text_alone():
    """Against one text at a time, in another padding, and with the prompt's tokens left out and the end kept."""
    gpt = small_gpt()
    found = rlhf.token_log_probs(gpt, IDS, MASK)
    other_pad = torch.where(F.pad(MASK, (1, 0)) | (torch.arange(IDS.size(1)) < len(CONTEXT)), IDS, 3)
    assert not torch.equal(other_pad, IDS)
    torch.testing.assert_close(rlhf.token_log_probs(gpt, other_pad, MASK), found)
    for row, mask, values in zip(IDS, MASK, found):
        n = int(mask.nonzero().max()) + 2
        alone = gpt(row[None, : n - 1])[0][0].log_softmax(-1)
        slow = [alone[t, row[t + 1]].item() for t in range(len(CONTEXT) - 1, n - 1)]
        assert values[mask].tolist() == pytest.approx(slow, abs=1e-5)
        assert (values[~mask] == 0).all()


def test_a_policy_that_did_not_move_has_no_divergence():
    gpt = small_gpt()
    a, b = (rlhf.token_log_probs(model, IDS, MASK) for model in (gpt, copy.deepcopy(gpt)))
    for estimate in rlhf.kl_estimates(a, b):
        assert torch.equal(estimate, torch.zeros_like(a))


def test_rollouts_are_padded_on_the_right_and_end_where_they_ended():
    gpt, contexts = small_gpt(), [[0, 1], [0, 1, 2, 3], [0]] * 20
    texts = rlhf.rollout(gpt, contexts, END, max_new_tokens=3, seed=4)
    assert texts.mask.shape == (60, texts.ids.size(1) - 1)
    assert 0 < int(texts.ended.sum()) < 60
    for context, row, mask, ended in zip(contexts, texts.ids, texts.mask, texts.ended):
        written = row[1:][mask].tolist()
        assert row[: len(context)].tolist() == context and not mask[: len(context) - 1].any()
        assert row[len(context) : len(context) + len(written)].tolist() == written
        assert END not in written[:-1]
        assert (written[-1] == END) == bool(ended)
        assert ended or len(written) == 3
    again = rlhf.rollout(gpt, contexts, END, max_new_tokens=3, seed=4)
    assert torch.equal(again.ids, texts.ids)
    assert not torch.equal(
        rlhf.rollout(gpt, contexts, END, max_new_tokens=3, seed=5).ids[:, :4], texts.ids[:, :4]
    )


def test_rollouts_come_as_often_as_they_are_likely():
    gpt = small_gpt()
    texts = rlhf.rollout(gpt, [CONTEXT] * 5_000, END, max_new_tokens=LONGEST)
    names = {tuple(row[1:][mask].tolist()): i for i, (row, mask) in enumerate(zip(IDS, MASK))}
    found = [names[tuple(row[1:][mask].tolist())] for row, mask in zip(texts.ids, texts.mask)]
    shares = torch.bincount(torch.tensor(found), minlength=len(IDS)) / 5_000
    torch.testing.assert_close(shares, whole(gpt).exp(), atol=0.03, rtol=0)


def test_a_text_never_outgrows_the_block():
    gpt = small_gpt()
    texts = rlhf.rollout(gpt, [[0, 1, 2, 3, 1, 2]] * 50, END, max_new_tokens=100)
    assert texts.ids.size(1) == 8
    rlhf.RewardModel(gpt).score(texts.ids, texts.mask)  # fits, the end token too


# ---------------------------------------------------------------- the objective and its optimum


def test_the_gap_to_the_optimum_is_beta_times_the_divergence_from_it():
    for seed, beta in enumerate((0.1, 0.5, 2.0)):
        reference, policy = small_gpt(seed), small_gpt(seed + 10)
        log_reference, log_policy = (whole(m).double().log_softmax(0) for m in (reference, policy))
        best, value = rlhf.optimum(log_reference, REWARDS.double(), beta)

        def attained(log_p, log_reference=log_reference, beta=beta):
            return (log_p.exp() * (REWARDS - beta * (log_p - log_reference))).sum()

        assert best.exp().sum().item() == pytest.approx(1, abs=1e-12)
        assert attained(best).item() == pytest.approx(value.item(), abs=1e-10)
        gap = beta * (log_policy.exp() * (log_policy - best)).sum()
        assert (value - attained(log_policy)).item() == pytest.approx(gap.item(), abs=1e-10)
        assert gap > 0.01


def test_estimates_of_the_divergence():
    p, q = torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.4, 0.4, 0.2])
    k1, k2, k3 = rlhf.kl_estimates(p.log(), q.log())
    kl = (p * (p / q).log()).sum().item()
    assert kl == pytest.approx(0.0877, abs=1e-4)
    assert (p * k1).sum().item() == pytest.approx(kl, abs=1e-6)
    assert (p * k3).sum().item() == pytest.approx(kl, abs=1e-6)
    assert (k3 >= 0).all() and (k1 < 0).any()
    assert torch.equal(k2, k1**2 / 2)


def test_the_gradient_of_an_estimate_is_not_an_estimate_of_the_gradient():
    """As a loss k1 has no gradient, k2 that of KL(p, q), k3 that of KL(q, p)."""
    logits, q = (
        torch.tensor([0.4, -0.3, 0.1]).double().requires_grad_(),
        torch.tensor([0.4, 0.4, 0.2]).double(),
    )
    p = logits.softmax(0)

    def of(scalar):
        return torch.autograd.grad(scalar, logits, retain_graph=True)[0]

    k1, k2, k3 = (of((p.detach() * k).sum()) for k in rlhf.kl_estimates(p.log(), q.log()))
    torch.testing.assert_close(k1, torch.zeros(3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(k2, of((p * (p / q).log()).sum()))
    torch.testing.assert_close(k3, of((q * (q / p).log()).sum()))
    assert (k2 - k3).abs().max() > 0.01


def test_rewards_of_tokens():
    """The penalty at each choice, the score at the last, nothing on prompt and padding."""
    policy, reference = small_gpt(1), small_gpt(2)
    new, old = (rlhf.token_log_probs(m, IDS, MASK).detach() for m in (policy, reference))
    rewards = rlhf.token_rewards(REWARDS, new, old, MASK, beta=0.3)
    torch.testing.assert_close(rewards.sum(1), REWARDS - 0.3 * (new - old).sum(1))
    assert (rewards[~MASK] == 0).all()
    for row, mask, k1, score in zip(rewards, MASK, new - old, REWARDS):
        last = int(mask.nonzero().max())
        assert row[last].item() == pytest.approx((score - 0.3 * k1[last]).item(), abs=1e-6)


def test_beta_follows_the_divergence():
    assert rlhf.adapted(0.1, kl=6.0, target=6.0, n=64) == pytest.approx(0.1)
    assert rlhf.adapted(0.1, kl=60.0, target=6.0, n=1000, horizon=10_000) == pytest.approx(0.1 * 1.02)
    assert rlhf.adapted(0.1, kl=5.4, target=6.0, n=10_000, horizon=10_000) == pytest.approx(0.1 * 0.9)
    assert rlhf.adapted(0.1, kl=0.0, target=6.0, n=10_000, horizon=10_000) == pytest.approx(0.1 * 0.8)


# ---------------------------------------------------------------- advantages


def random_texts(rows=6, T=9, seed=0):
    """Rewards and values with numbers everywhere, and a mask with prompts of several lengths."""
    generator = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn(2, rows, T, generator=generator).double()
    starts = torch.tensor([[0], [1], [2], [0], [4], [8]])[:rows]
    ends = torch.tensor([[9], [5], [3], [1], [9], [9]])[:rows]
    mask = (torch.arange(T) >= starts) & (torch.arange(T) < ends)
    return rewards * mask, values, mask


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (1.0, 0.0), (1.0, 0.95), (0.9, 0.7)])
def test_gae_is_the_sum_that_defines_it(gamma, lam):
    rewards, values, mask = random_texts()
    advantages, returns = rlhf.gae(rewards, values, mask, gamma, lam)
    for i in range(len(mask)):
        at = mask[i].nonzero()[:, 0].tolist()
        r, v = rewards[i, at].tolist(), [*values[i, at].tolist(), 0.0]
        deltas = [r[t] + gamma * v[t + 1] - v[t] for t in range(len(at))]
        slow = [sum((gamma * lam) ** k * d for k, d in enumerate(deltas[t:])) for t in range(len(at))]
        assert advantages[i, at].tolist() == pytest.approx(slow, abs=1e-10)
        assert returns[i, at].tolist() == pytest.approx([a + b for a, b in zip(slow, v)], abs=1e-10)
        if lam == 1 and gamma == 1:
            assert slow == pytest.approx([sum(r[t:]) - v[t] for t in range(len(at))])
        if lam == 0:
            assert slow == pytest.approx(deltas)
    assert (advantages[~mask] == 0).all() and (returns[~mask] == 0).all()


def test_whitening():
    x, _, mask = random_texts()
    white = rlhf.whiten(x, mask)
    assert white[mask].mean().item() == pytest.approx(0, abs=1e-9)
    assert white[mask].std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert (white[~mask] == 0).all()
    kept = rlhf.whiten(x, mask, keep_mean=True)
    torch.testing.assert_close(kept[mask], white[mask] + x[mask].mean())
    assert (rlhf.whiten(torch.full_like(x, 3.0), mask) == 0).all()  # nothing to scale, and no NaN


def test_advantages_within_a_group():
    rewards = torch.tensor([1.0, 2.0, 6.0, 0.0, 0.0, 3.0])
    assert rlhf.rloo_advantages(rewards, 3).tolist() == pytest.approx([-3, -1.5, 4.5, -1.5, -1.5, 3])
    grpo = rlhf.grpo_advantages(rewards, 3).tolist()
    assert grpo[:3] == pytest.approx([(r - 3) / (7**0.5 + 1e-4) for r in (1, 2, 6)])
    assert grpo[3:] == pytest.approx([(r - 1) / (3**0.5 + 1e-4) for r in (0, 0, 3)])
    assert rlhf.grpo_advantages(torch.ones(4), 2).tolist() == [0, 0, 0, 0]


# ---------------------------------------------------------------- losses


def test_bradley_terry():
    chosen, rejected = torch.tensor([1.0], requires_grad=True), torch.tensor([0.0], requires_grad=True)
    loss, metrics = rlhf.bradley_terry_loss(chosen, rejected)
    loss.backward()
    assert loss.item() == pytest.approx(0.3133, abs=1e-4)
    assert chosen.grad.item() == pytest.approx(-0.2689, abs=1e-4)
    assert rejected.grad.item() == pytest.approx(0.2689, abs=1e-4)
    assert metrics["accuracy"] == 1
    shifted, _ = rlhf.bradley_terry_loss(chosen + 7, rejected + 7)
    assert shifted.item() == pytest.approx(loss.item(), abs=1e-5)


def test_the_first_minibatch_is_on_policy():
    """In another batch, with another padding, the ratio is 1 up to rounding, and nothing is clipped."""
    gpt = small_gpt()
    texts = rlhf.rollout(gpt, [CONTEXT] * 40, END, max_new_tokens=5)
    old = rlhf.token_log_probs(gpt, texts.ids, texts.mask).detach()
    rows = torch.arange(0, 40, 7)
    new = rlhf.token_log_probs(gpt, texts.ids[rows], texts.mask[rows])
    assert (new - old[rows]).exp().sub(1).abs().max() < 1e-4
    loss, metrics = rlhf.policy_loss(new, old[rows], torch.ones(6, 1), texts.mask[rows])
    assert metrics["clip_fraction"] == 0 and abs(metrics["kl"]) < 1e-6
    assert loss.item() == pytest.approx(-1, abs=1e-4)


def test_gradients_reach_every_choice_and_nothing_else():
    new = rlhf.token_log_probs(small_gpt(), IDS, MASK).detach().requires_grad_()
    rlhf.policy_loss(new, new.detach() - 0.1, torch.ones_like(new), MASK)[0].backward()
    assert (new.grad[~MASK] == 0).all()
    assert (new.grad[MASK] < 0).all()
    ends = MASK & (IDS[:, 1:] == END)
    assert ends.any() and (new.grad[ends] != 0).all()


def test_a_bandit():
    """A good choice gets likelier; far from where it was, the gradient stops, but only in the direction of travel."""
    mask = torch.ones(1, 1, dtype=torch.bool)

    def pull(rho, advantage):
        new = torch.tensor([[rho]]).log().requires_grad_()
        loss, _ = rlhf.policy_loss(new, torch.zeros(1, 1), torch.tensor([[advantage]]), mask, clip=0.2)
        return -torch.autograd.grad(loss, new)[0].item()

    assert pull(1.0, 2.0) == pytest.approx(2.0)
    assert pull(1.0, -2.0) == pytest.approx(-2.0)
    assert pull(1.5, 2.0) == 0 and pull(1.5, -2.0) == pytest.approx(-3.0)
    assert pull(0.5, -2.0) == 0 and pull(0.5, 2.0) == pytest.approx(1.0)


def test_the_clipped_value_loss():
    new, old, returns = torch.randn(3, 6, 9, generator=torch.Generator().manual_seed(1)).double()
    mask = random_texts()[2]
    loss, metrics = rlhf.value_loss(new, old, returns, mask, clip=0.3)
    slow = []
    for v, o, r in zip(new[mask].tolist(), old[mask].tolist(), returns[mask].tolist()):
        near = min(max(v, o - 0.3), o + 0.3)
        slow.append(0.5 * max((v - r) ** 2, (near - r) ** 2))
    assert loss.item() == pytest.approx(sum(slow) / len(slow), abs=1e-10)
    left = (returns - new)[mask].var(correction=0) / returns[mask].var(correction=0)
    assert metrics["explained"].item() == pytest.approx(1 - left.item(), abs=1e-9)
    assert rlhf.value_loss(returns, old, returns, mask)[1]["explained"] == 1


def test_dpo_in_closed_form():
    chosen, rejected = torch.tensor([-3.0, -4.0]), torch.tensor([-5.0, -2.0])
    reference = torch.tensor([-3.5, -3.5]), torch.tensor([-4.5, -2.5])
    loss, metrics = rlhf.dpo_loss(chosen, rejected, *reference, beta=0.5)
    margins = [0.5 * (0.5 - -0.5), 0.5 * (-0.5 - 0.5)]
    assert loss.item() == pytest.approx(
        sum(-F.logsigmoid(torch.tensor(m)).item() for m in margins) / 2, abs=1e-6
    )
    assert metrics["margin"].item() == pytest.approx(0) and metrics["chosen"].item() == pytest.approx(0)
    assert metrics["accuracy"] == 0.5
    at_start, _ = rlhf.dpo_loss(chosen, rejected, chosen, rejected, beta=0.5)
    assert at_start.item() == pytest.approx(0.6931, abs=1e-4)


# ---------------------------------------------------------------- against every text of a small world


def surrogate_gradient(policy, reference, beta, losses):
    """The expected gradient of losses over what the policy writes; `losses` yields (probability, rows, loss of new)."""
    new = rlhf.token_log_probs(policy, IDS, MASK)
    leaf, old = new.detach().requires_grad_(), rlhf.token_log_probs(reference, IDS, MASK).detach()
    total = sum(p * loss for p, loss in losses(leaf, old, leaf.detach().sum(1).exp()))
    (pull,) = torch.autograd.grad(total, leaf)
    return gradient((new * pull).sum(), policy)


def test_rloo_has_the_true_gradient():
    """Over all 1,600 groups of two texts: the gradient of E[reward] - beta KL, which autograd takes from the sum."""
    policy, reference, beta = small_gpt(1), small_gpt(2), 0.3

    def losses(new, old, probability):
        rewards = REWARDS - beta * (new.detach() - old).sum(1)
        for i, j in itertools.product(range(len(IDS)), repeat=2):
            pair = [i, j]
            advantages = rlhf.rloo_advantages(rewards[pair], 2)[:, None]
            loss, _ = rlhf.policy_loss(new[pair], new.detach()[pair], advantages, MASK[pair])
            yield (
                probability[i] * probability[j] * MASK[pair].sum() / 2,
                loss,
            )  # a sum over choices, a mean over texts

    found = surrogate_gradient(policy, reference, beta, losses)
    torch.testing.assert_close(
        found, gradient(-objective(policy, reference, beta), policy), atol=2e-5, rtol=1e-3
    )


@pytest.mark.parametrize("knows", [False, True])
def test_ppo_has_the_true_gradient(knows):
    """On policy with lambda 1, whatever the critic says; with lambda 0 only with a critic that is right."""
    policy, reference, beta = small_gpt(1), small_gpt(2), 0.3
    new, old = (rlhf.token_log_probs(m, IDS, MASK).detach() for m in (policy, reference))
    rewards = rlhf.token_rewards(REWARDS, new, old, MASK, beta)
    critic = rlhf.RewardModel(small_gpt(3))
    torch.nn.init.normal_(critic.head.weight)
    values = critic.values(IDS, MASK).detach()
    if knows:  # what the texts that begin so will bring, on the average
        p, togo = new.sum(1).exp(), rewards.flip(1).cumsum(1).flip(1)
        for i, t in MASK.nonzero().tolist():
            alike = (IDS[:, : t + 1] == IDS[i, : t + 1]).all(1) & MASK[:, t]
            values[i, t] = (p * togo[:, t])[alike].sum() / p[alike].sum()

    def losses(leaf, old, probability):
        for lam in (1.0, 0.0) if knows else (1.0,):
            advantages, _ = rlhf.gae(rewards, values, MASK, lam=lam)
            for i in range(len(IDS)):
                row = slice(i, i + 1)
                loss, _ = rlhf.policy_loss(leaf[row], new[row], advantages[row], MASK[row])
                yield probability[i] * MASK[i].sum() / (2 if knows else 1), loss

    found = surrogate_gradient(policy, reference, beta, losses)
    torch.testing.assert_close(
        found, gradient(-objective(policy, reference, beta), policy), atol=2e-5, rtol=1e-3
    )


def test_dpo_comes_to_rest_at_the_optimum_and_nowhere_else():
    """With every pair of the reference, labelled by sigmoid(r1 - r2), the gradient is 0 there."""
    reference, rewards, beta = whole(small_gpt(2)).detach().double().log_softmax(0), REWARDS.double(), 0.5
    i, j = torch.cartesian_prod(torch.arange(40), torch.arange(40)).T
    weight = (reference[i] + reference[j]).exp() * torch.sigmoid(rewards[i] - rewards[j])  # i is preferred

    def pull(log_p):
        logits = log_p.clone().requires_grad_()
        p = logits.log_softmax(0)
        one = [
            rlhf.dpo_loss(p[a : a + 1], p[b : b + 1], reference[a : a + 1], reference[b : b + 1], beta)[0]
            for a, b in zip(i.tolist(), j.tolist())
        ]
        return torch.autograd.grad((weight * torch.stack(one)).sum(), logits)[0].norm().item()

    best, _ = rlhf.optimum(reference, rewards, beta)
    assert pull(best) < 1e-10
    assert pull(reference) > 0.01


def writer(n):
    """What the loops of chapter 06's experiments take: a function that writes `n` texts and knows their rewards."""
    index = {tuple(row[1:][mask].tolist()): i for i, (row, mask) in enumerate(zip(IDS, MASK))}

    def write(policy, seed):
        texts = rlhf.rollout(policy, [CONTEXT] * n, END, LONGEST, seed=seed)
        places = [index[tuple(row[1:][mask].tolist())] for row, mask in zip(texts.ids, texts.mask)]
        return texts.ids, texts.mask, REWARDS[places]

    return write


def trained(policy, reference, beta, steps, lr=None, watch=lambda policy: None, method="RLOO", n=64):
    """By the loops that chapter 06's experiments run; PPO, with four updates a batch, at a rate at which texts still end."""
    lr = lr or {"RLOO": 0.01, "PPO": 0.004}[method]
    loop = rlhf_loops.ppo if method == "PPO" else rlhf_loops.reinforce
    more = {} if method == "PPO" else {"group": n}
    loop(policy, reference, writer(n), beta, steps, lr, look=lambda step: watch(policy), **more)


@pytest.mark.parametrize("method", ["RLOO", "PPO"])
def test_the_chapter_shows_the_loops_that_the_experiments_run(method):
    """The cells of the page, with a small model in pocket-gpt's place, write what the experiments' loops write."""
    cells = json.loads((BOOK / "06-rlhf.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    page = {"torch": torch, "rlhf": rlhf, "schedule": textgen.train.schedule}
    page |= {"reference": small_gpt(2), "write": writer(32)}
    for source in sources:
        if source.startswith(("def adamw", "def rloo", "def ppo")):
            exec(source, page)  # noqa: S102 (the book's own code)
    theirs, ours = small_gpt(2), page[method.lower()](small_gpt(2), 4, beta=0.5, lr=0.01)
    trained(theirs, small_gpt(2), 0.5, 4, lr=0.01, method=method, n=32)
    start = whole(small_gpt(2))
    torch.testing.assert_close(whole(ours), whole(theirs), atol=1e-3, rtol=0)
    assert (whole(ours) - start).abs().max() > 0.05


@pytest.mark.parametrize("method", ["RLOO", "PPO"])
def test_training_reaches_the_optimum_along_the_frontier_and_never_beyond(method):
    """No policy has more reward at its divergence than some optimum has."""
    reference, policy, beta = small_gpt(2), small_gpt(2), 0.5
    log_reference = whole(reference).detach().double().log_softmax(0)
    betas, seen = torch.logspace(1, -2, 60).tolist(), []
    values = [float(rlhf.optimum(log_reference, REWARDS.double(), b)[1]) for b in betas]

    def stand(log_p, other=log_reference):
        return (log_p.exp() * (log_p - other)).sum().item(), (log_p.exp() * REWARDS).sum().item()

    def watch(policy):
        kl, reward = stand(whole(policy).detach().double().log_softmax(0))
        # value = max over policies of reward - beta KL, so each beta bounds the reward at this KL
        assert reward <= min(value + b * kl for b, value in zip(betas, values)) + 1e-9
        seen.append((kl, reward))

    start = stand(log_reference, optima_at(log_reference, beta))[0]
    trained(policy, reference, beta, 150, watch=watch, method=method)
    left = stand(whole(policy).detach().double().log_softmax(0), optima_at(log_reference, beta))[0]
    assert start > 0.5 and left < 0.1 * start
    assert seen[-1][0] > 0.3


@pytest.mark.parametrize("method", ["RLOO", "PPO"])
def test_a_strong_penalty_is_weighed_as_the_optimum_weighs_it(method):
    """At beta 2 the divergence decides: with its sign turned, or left out, a policy ends farther off than it began."""
    reference, policy = small_gpt(2), small_gpt(2)
    log_reference = whole(reference).detach().double().log_softmax(0)
    best = optima_at(log_reference, 2.0)
    trained(policy, reference, 2.0, 150, method=method)
    log_p = whole(policy).detach().double().log_softmax(0)
    start, left = ((log.exp() * (log - best)).sum().item() for log in (log_reference, log_p))
    assert start > 0.1 and left < 0.1 * start


def optima_at(log_reference, beta):
    return rlhf.optimum(log_reference, REWARDS.double(), beta)[0]


def test_nothing_to_gain_moves_nothing():
    """Reward 0, beta 0, a critic at 0: not a single weight changes."""
    gpt = small_gpt()
    critic, before = rlhf.RewardModel(gpt), copy.deepcopy(gpt.state_dict())
    optimizer = torch.optim.AdamW([*gpt.parameters(), *critic.parameters()], lr=0.1, weight_decay=0.0)
    texts = rlhf.rollout(gpt, [CONTEXT] * 16, END, LONGEST)
    old = rlhf.token_log_probs(gpt, texts.ids, texts.mask)
    values = critic.values(texts.ids, texts.mask)
    assert (values == 0).all()
    rewards = rlhf.token_rewards(torch.zeros(16), old.detach(), old.detach(), texts.mask, beta=0.0)
    advantages, returns = rlhf.gae(rewards, values.detach(), texts.mask)
    loss = rlhf.policy_loss(old, old.detach(), advantages, texts.mask)[0]
    loss = loss + rlhf.value_loss(values, values.detach(), returns, texts.mask)[0]
    loss.backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in gpt.state_dict().items())


def test_the_penalty_alone_leads_back_to_the_reference(monkeypatch):
    reference, policy = small_gpt(2), small_gpt(2)
    for p in policy.parameters():
        p.data += 0.1 * torch.randn_like(p)
    monkeypatch.setattr(sys.modules[__name__], "REWARDS", torch.zeros(len(IDS)))
    before = -objective(policy, reference, 1.0).item()  # with no reward, KL and nothing else
    trained(policy, reference, 1.0, 60)
    assert before > 0.1 and -objective(policy, reference, 1.0).item() < 0.3 * before


# ---------------------------------------------------------------- through fit


LETTERS = "abcd"


def letters_tokenizer():
    return Tokenizer.char([LETTERS], specials=["<|story|>"])


def letter_pairs(n, seed=0):
    """Words of four letters after one more; the word with more a's is preferred, without noise or ties."""
    generator, rows = torch.Generator().manual_seed(seed), []
    while len(rows) < n:
        prompt, a, b = (
            "".join(LETTERS[i] for i in torch.randint(4, (k,), generator=generator)) for k in (1, 4, 3)
        )
        if a.count("a") != b.count("a"):
            rows.append((prompt, a, b, int(b.count("a") > a.count("a"))))
    return rows


def letters_data(n=400):
    return corpus.pairs(letter_pairs(n), letter_pairs(100, seed=1), letters_tokenizer())


def letters_gpt(seed=0):
    return small_gpt(seed, vocab_size=len(letters_tokenizer()), block_size=8, spread=0.05)


def test_pairs_are_rows_with_masks():
    tokenizer = letters_tokenizer()
    data = corpus.pairs([("a", "bb", "c", 0), ("", "a", "bcd", 1)], [("a", "b", "c", 1)], tokenizer)
    ids, mask, better = data.batch("train", 30, generator=torch.Generator().manual_seed(0))
    assert ids.shape == (30, 2, 6) and mask.shape == (30, 2, 5) and better.dtype == torch.int64
    rows = {
        (tokenizer.decode(i[j]), tokenizer.decode(i[j][1:][m[j]]), int(b))
        for i, m, b in zip(ids, mask, better)
        for j in (0, 1)
    }
    assert rows == {("abb", "bb", 0), ("ac", "c", 0), ("a", "a", 1), ("bcd", "bcd", 1)}
    assert (ids[:, :, :2] == torch.tensor(tokenizer.prefix())).all()
    assert (ids[..., 1:][mask] == tokenizer.bos).sum() == 60  # each text chooses its end, once


def test_scores_are_those_of_each_text_alone():
    """In a batch, alone, with another padding: the score is read at the end token."""
    model = rlhf.RewardModel(small_gpt())
    torch.nn.init.normal_(model.head.weight)
    found = model.score(IDS, MASK)
    other_pad = torch.where(F.pad(MASK, (1, 0)) | (torch.arange(IDS.size(1)) < len(CONTEXT)), IDS, 3)
    torch.testing.assert_close(model.score(other_pad, MASK), found)
    for row, mask, score in zip(IDS, MASK, found):
        n = int(mask.nonzero().max()) + 2
        alone = model.head(model.gpt.hidden_states(row[None, :n])[0][0, -1])
        assert score.item() == pytest.approx(alone.item(), abs=1e-5)


def test_a_reward_model_learns_what_is_preferred():
    gpt = letters_gpt()
    before = copy.deepcopy(gpt.state_dict())
    model, data = rlhf.RewardModel(gpt), letters_data()
    history = textgen.fit(model, data, steps=120, batch_size=32, lr=3e-3, device="cpu")
    assert history.valid[0][2] == pytest.approx(0.6931, abs=1e-4)  # the head starts at 0
    assert history.valid[-1][2] < 0.25
    ids, mask, better = data.batch("valid", 200, generator=torch.Generator().manual_seed(3))
    scores, loss = model(ids, mask, better)
    assert (scores.argmax(1) == better).float().mean() > 0.9
    chosen, rejected = scores[torch.arange(200), better], scores[torch.arange(200), 1 - better]
    assert loss.item() == pytest.approx(-F.logsigmoid(chosen - rejected).mean().item(), abs=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in gpt.state_dict().items())  # it was copied


def test_dpo_trains_the_policy_that_it_was_given():
    policy = letters_gpt()
    model, data = rlhf.DPO(policy, beta=0.5), letters_data()
    reference = copy.deepcopy(model.reference.state_dict())
    history = textgen.fit(model, data, steps=120, batch_size=32, lr=3e-3, device="cpu")
    assert history.valid[0][2] == pytest.approx(0.6931, abs=1e-4)
    assert history.valid[-1][2] < 0.35
    assert all(torch.equal(value, reference[name]) for name, value in model.reference.state_dict().items())
    ids, mask, better = data.batch("valid", 200, generator=torch.Generator().manual_seed(3))
    rewards, _ = model(ids, mask, better)
    assert (rewards.argmax(1) == better).float().mean() > 0.8
    slow = [
        0.5 * (rlhf.token_log_probs(policy, i, m) - rlhf.token_log_probs(model.reference, i, m)).sum(1)
        for i, m in zip(ids, mask)
    ]
    torch.testing.assert_close(rewards, torch.stack(slow), atol=1e-4, rtol=1e-4)


RUN = {"steps": 20, "batch_size": 8, "eval_every": 4, "eval_rows": 8, "seed": 3, "lr": 3e-3, "device": "cpu"}
SCRIPT = """
import sys
sys.path[:0] = [{book!r}, {tests!r}]
import os, signal, torch
torch.set_num_threads(1)
from test_rlhf import RUN, letters_data, letters_gpt
from textgen import fit, rlhf
data, calls = letters_data(), []
batch = data.batch
def dying(*arguments, **options):
    calls.append(1)
    if len(calls) == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    return batch(*arguments, **options)
data.batch = dying
fit(rlhf.RewardModel(letters_gpt()), data, checkpoint=sys.argv[1], **RUN)
"""


def test_a_killed_training_of_a_reward_model_goes_on(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole_model, resumed_model = rlhf.RewardModel(letters_gpt()), rlhf.RewardModel(letters_gpt())
        without = textgen.fit(whole_model, letters_data(), **RUN)
        script = SCRIPT.format(book=str(BOOK), tests=str(Path(__file__).parent))
        command = [sys.executable, "-c", script, str(tmp_path)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == -signal.SIGKILL, run.stderr
        with safetensors.safe_open(tmp_path / FILE, framework="pt") as file:
            assert 0 < json.loads(file.metadata()["json"])["step"] < 20
        resumed = textgen.fit(resumed_model, letters_data(), checkpoint=tmp_path, **RUN)
    finally:
        torch.set_num_threads(threads)
    assert [loss for _, _, loss in resumed.train] == [loss for _, _, loss in without.train]
    for a, b in zip(whole_model.parameters(), resumed_model.parameters()):
        assert torch.equal(a, b)


# ---------------------------------------------------------------- on a GPU, or its stand-in


ON_DEVICE = """
import sys
sys.path[:0] = [{book!r}, {tests!r}]
import torch
if not torch.cuda.is_available():
    import pretend_device
    pretend_device.install()
from test_rlhf import CONTEXT, END, LONGEST, letters_data, letters_gpt, small_gpt
from textgen import fit, rlhf
policy, reference = small_gpt(1).to("cuda"), small_gpt(2).to("cuda")
critic = rlhf.RewardModel(reference).to("cuda")  # the stand-in forgets where copies are
ids, mask, ended = texts = rlhf.rollout(policy, [CONTEXT] * 8, END, LONGEST)
assert {{t.device.type for t in texts}} == {{"cuda"}}
new, old = (rlhf.token_log_probs(model, ids, mask) for model in (policy, reference))
scores, values = critic.score(ids, mask).detach(), critic.values(ids, mask)
rewards = rlhf.token_rewards(scores, new.detach(), old.detach(), mask, 0.1)
advantages, returns = rlhf.gae(rewards, values.detach(), mask)
loss, metrics = rlhf.policy_loss(new, old.detach(), rlhf.whiten(advantages, mask), mask)
loss = loss + rlhf.value_loss(values, values.detach(), returns, mask)[0]
loss = loss + rlhf.policy_loss(new, old.detach(), rlhf.rloo_advantages(scores, 4)[:, None], mask)[0]
loss = loss + rlhf.policy_loss(new, old.detach(), rlhf.grpo_advantages(scores, 4)[:, None], mask)[0]
loss = loss + rlhf.kl_estimates(new, old.detach())[2].sum()
loss.backward()
assert loss.device.type == metrics["kl"].device.type == "cuda"
for model in (rlhf.RewardModel(letters_gpt()), rlhf.DPO(letters_gpt(), 0.1)):
    fit(model, letters_data(20), steps=2, batch_size=4)
    assert next(model.parameters()).device.type == "cpu"
print("fine")
"""


def test_all_of_it_runs_where_the_model_is():
    script = ON_DEVICE.format(book=str(BOOK), tests=str(Path(__file__).parent))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr


# ---------------------------------------------------------------- what cannot be used


def test_a_reward_that_is_no_number():
    rewards = torch.tensor([0.5, float("nan"), 1.0, float("inf")])
    log_probs, mask = torch.zeros(4, 2), torch.ones(4, 2, dtype=torch.bool)
    calls = [
        lambda: rlhf.rloo_advantages(rewards, 2),
        lambda: rlhf.grpo_advantages(rewards, 4),
        lambda: rlhf.token_rewards(rewards, log_probs, log_probs, mask, 0.1),
        lambda: rlhf.optimum(torch.zeros(4), rewards, 0.5),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="must be finite, but 2 of 4 are NaN or infinite") as error:
            call()
        one_sentence(error)


def test_a_prompt_that_fills_the_block():
    with pytest.raises(ValueError, match="a context of 8 tokens fills the block of 8") as error:
        rlhf.rollout(small_gpt(), [[0, 1], [0, 1, 2, 3, 1, 2, 3, 1]], END)
    one_sentence(error)


def test_a_policy_that_never_ends():
    gpt = small_gpt()
    with torch.no_grad():
        gpt.head = lambda x: torch.tensor([-1e9, 0.0, 0.0, 0.0]).expand(*x.shape[:-1], 4)
    with pytest.raises(ValueError, match="policy ended none of 5 texts within 6 tokens") as error:
        rlhf.rollout(gpt, [CONTEXT] * 5, END)
    one_sentence(error)


def test_groups_that_do_not_divide():
    for group in (1, 3):
        with pytest.raises(ValueError, match="group must be 2 or more and divide the 4 rewards") as error:
            rlhf.rloo_advantages(torch.zeros(4), group)
        one_sentence(error)


def test_no_pairs():
    with pytest.raises(ValueError, match="valid is an empty list") as error:
        corpus.pairs([("a", "b", "c", 0)], [], letters_tokenizer())
    one_sentence(error)


def test_labels_that_are_all_equal():
    rows = [("a", "b", "c", 1), ("a", "d", "c", 1)]
    with pytest.raises(ValueError, match="train has 2 labels, and all say 1") as error:
        corpus.pairs(rows, rows, letters_tokenizer())
    one_sentence(error)


def test_a_pair_that_outgrows_the_block():
    data = corpus.pairs([("abcd", "abcd", "a", 0)], [("a", "b", "c", 1)], letters_tokenizer())
    with pytest.raises(ValueError, match="at most block_size 8 tokens long, but 11 came"):
        rlhf.RewardModel(letters_gpt())(*data.batch("train", 2))
