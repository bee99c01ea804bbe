"""The checks of chapter 06, first page: RLHF. The right answers are also those of the package's own functions."""

from math import comb

import numpy as np
import pytest
import torch
from exercise_cases import exercise_tests
from textgen import check, rlhf
from textgen.corpus import padded


def choices(ids, prompt, end):
    at = torch.arange(1, ids.size(1))  # column t stands for the token at t + 1
    after = at >= torch.as_tensor(prompt)[:, None]
    ends = (ids[:, 1:] == end) & after
    before = ends.cumsum(1) - ends.int()  # ends that came earlier than this token
    return after & (before == 0)


def choices_in_lists(ids, prompt, end):
    rows = []
    for row, start in zip(ids.tolist(), prompt.tolist()):
        stop = row.index(end, start) if end in row[start:] else len(row)
        rows.append([start <= i <= stop for i in range(1, len(row))])
    return rows


def end_left_out(ids, prompt, end):
    return choices(ids, prompt, end) & (ids[:, 1:] != end)


def first_end(ids, prompt, end):
    """Whether and where each row has its first end after the prompt."""
    ends = (ids == end) & (torch.arange(ids.size(1)) >= prompt[:, None])
    return ends.any(1), ends.int().argmax(1)


def between(ids, start, stop):
    """True in column t where the token t + 1 is between start and stop, both included."""
    at = torch.arange(1, ids.size(1))
    return (at >= start[:, None]) & (at <= stop[:, None])


def stop_of(ids, prompt, end):
    found, stop = first_end(ids, prompt, end)
    return torch.where(found, stop, ids.size(1))


def all_in_place(ids, prompt, end):
    """The mask of ids[:, t] itself, (B, T)."""
    return torch.cat([torch.zeros(len(ids), 1, dtype=torch.bool), choices(ids, prompt, end)], 1)


def kl_terms(policy, reference):
    k1 = policy - reference
    ratio = torch.exp(-k1)  # q / p
    return k1, ratio - 1 + k1


def advantages(rewards, values, lam):
    A, after, V = torch.zeros_like(rewards), 0.0, 0.0
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + V - values[t]
        after = delta + lam * after
        A[t], V = after, values[t]
    return A, A + values


def advantages_in_lists(rewards, values, lam):
    R, V, A = rewards.tolist(), [*values.tolist(), 0.0], [0.0]
    for t in reversed(range(len(R))):
        A.insert(0, R[t] + V[t + 1] - V[t] + lam * A[0])
    return A[:-1], [a + v for a, v in zip(A, V[:-1])]


def gae(rewards, values, lam, ahead=None, minus=1.0, gamma=1.0):
    """A with one thing changed, and its returns."""
    ahead = torch.cat([values[1:], torch.zeros(1)]) if ahead is None else ahead
    A = rewards + gamma * ahead - minus * values
    for t in reversed(range(len(A) - 1)):
        A[t] = A[t] + lam * A[t + 1]
    return A, A + values


def forward(rewards, values, lam):
    A = rewards + torch.cat([values[1:], torch.zeros(1)]) - values
    for t in range(1, len(A)):
        A[t] = A[t] + lam * A[t - 1]
    return A, A + values


def with_returns(returns):
    """The right advantages, and returns made of them, the rewards and the values."""

    def answer(rewards, values, lam):
        A, _ = advantages(rewards, values, lam)
        return A, returns(A, rewards, values)

    return answer


def white(x, correction=1):
    return (x - x.mean()) / (x.std(correction=correction) + 1e-8)


def all_white(rewards, values, lam):
    A = white(advantages(rewards, values, lam)[0])
    return A, A + values


def best_of(rewards, gold, n):
    N, ranked = len(rewards), gold[rewards.argsort()]
    weights = [comb(i, n - 1) / comb(N, n) for i in range(N)]
    return sum(w * g for w, g in zip(weights, ranked.tolist()))


def best_of_in_lists(rewards, gold, n):
    ranked = [g for _, g in sorted(zip(rewards.tolist(), gold.tolist()))]
    return np.dot([comb(i, n - 1) / comb(len(ranked), n) for i in range(len(ranked))], ranked)


def with_replacement(rewards, gold, n):
    share = torch.arange(len(gold) + 1) / len(gold)
    return (share**n).diff() @ gold[rewards.argsort()]


def one_more(rewards, gold, n):
    N = len(gold)
    return sum(comb(i, n - 1) / comb(N, n) * g for i, g in enumerate(gold[rewards.argsort()], start=1))


def choices_in_place(ids, prompt, end):
    mask = torch.zeros(len(ids), ids.size(1) - 1, dtype=torch.bool)
    for row, text in enumerate(ids):
        for t in range(int(prompt[row]), len(text)):
            mask[row, t - 1] = True
            if text[t] == end:
                break
    return mask


def advantages_in_place(rewards, values, lam):
    A = rewards.sub_(values)
    A[:-1] += values[1:]
    for t in range(len(A) - 2, -1, -1):
        A[t] += lam * A[t + 1]
    return A, A + values


def advantages_by_matrix(rewards, values, lam):
    at = np.arange(len(rewards))
    far = at[None] - at[:, None]
    powers = np.where(far >= 0, float(lam) ** np.maximum(far, 0), 0.0)
    A = powers @ (rewards.numpy() + np.append(values.numpy()[1:], 0.0) - values.numpy())
    return A, A + values.numpy()


def advantages_by_powers(rewards, values, lam):
    """Right, but for a lam of 0 and for long texts, whose powers of lam vanish."""
    powers = lam ** torch.arange(len(rewards))
    delta = (rewards + torch.cat([values[1:], torch.zeros(1)]) - values) * powers
    A = delta.flip(0).cumsum(0).flip(0) / powers
    return A, A + values


def best_of_by_draws(rewards, gold, n):
    draws = torch.combinations(torch.arange(len(gold)), n)
    return gold[draws.gather(1, rewards[draws].argmax(1, keepdim=True))].mean()


def best_of_by_steps(rewards, gold, n):
    """From the top: the chance that a sample is drawn and none above it was."""
    N, total, above = len(gold), 0.0, 1.0
    for i, k in enumerate(np.argsort(-rewards.numpy())):
        hit = min(1.0, n / (N - i))
        total, above = total + above * hit * float(gold[k]), above * (1 - hit)
    return total


def drawn(rewards, gold, n):
    generator = torch.Generator().manual_seed(0)
    rows = torch.stack([torch.randperm(len(gold), generator=generator)[:n] for _ in range(4000)])
    return gold[rows.gather(1, rewards[rows].argmax(1, keepdim=True))].mean()


RIGHT = [
    (check.choices, choices),
    (check.choices, choices_in_lists),
    (check.choices, lambda ids, prompt, end: choices(ids, prompt.tolist(), end).numpy()),
    (check.choices, lambda i, p, e: between(i, p, stop_of(i, p, e))),
    (check.choices, choices_in_place),
    (check.kl_terms, kl_terms),
    (check.kl_terms, lambda p, q: [k.tolist() for k in kl_terms(p, q)]),
    (check.kl_terms, lambda p, q: rlhf.kl_estimates(p, q)[::2]),
    (check.kl_terms, lambda p, q: torch.stack(kl_terms(p, q))),
    (check.kl_terms, lambda p, q: (p.sub_(q), torch.expm1(-p) + p)),
    (check.kl_terms, lambda p, q: (np.log(np.exp(p.numpy()) / np.exp(q.numpy())), kl_terms(p, q)[1])),
    (check.advantages, advantages),
    (check.advantages, advantages_in_lists),
    (check.advantages, lambda r, v, lam: torch.stack(advantages(r, v, lam))),
    (check.advantages, advantages_in_place),
    (check.advantages, advantages_by_matrix),
    (check.advantages, gae),
    (
        check.advantages,
        lambda r, v, lam: [x[0] for x in rlhf.gae(r[None], v[None], r[None] == r[None], lam=lam)],
    ),
    (check.best_of, best_of),
    (check.best_of, best_of_in_lists),
    (check.best_of, best_of_by_draws),
    (check.best_of, best_of_by_steps),
]
WRONG = [
    (check.choices, all_in_place, "one column less"),
    (check.choices, lambda ids, prompt, end: choices(ids, prompt, end)[0], r"yours is \(6,\)"),
    (check.choices, end_left_out, "end token is left out"),
    (check.choices, lambda *a: all_in_place(*a)[:, :-1], "one column late"),
    (check.choices, lambda ids, prompt, end: ids[:, 1:] != end, "by ids alone"),
    (check.choices, lambda i, p, e: between(i, 0 * p, stop_of(i, p, e)), "prompt is counted too"),
    (check.choices, lambda i, p, e: between(i, p, 0 * p + i.size(1)), "Padding is counted"),
    (check.choices, lambda i, p, e: i[:, 1:] == i[:, 1:], "Everything counts"),
    (check.choices, lambda i, p, e: between(i, p, (i == e).int().argmax(1)), "stopped too soon"),
    (check.choices, lambda i, p, e: between(i, p - 1, stop_of(i, p, e)), "begin in the prompt"),
    (check.choices, lambda i, p, e: between(i, p + 1, stop_of(i, p, e)), "first choice is lost"),
    (check.choices, lambda i, p, e: between(i, p, stop_of(i, p, e) + 1), "one token late"),
    (check.choices, lambda i, p, e: between(i, p, first_end(i, p, e)[1]), "cut off"),
    (check.choices, lambda *a: ~choices(*a), "wrong way round"),
    (check.choices, lambda i, p, e: between(i, p, p), "columns 2, 3 and 4"),
    (check.choices, lambda i, p, e: choices(i, p, 0), "use `end`, not 0"),
    (
        check.choices,
        lambda i, p, e: between(i, p, 1 + stop_of(i[:, 1:], 0 * p, e)),
        "inside a prompt",
    ),
    (check.choices, lambda *a: choices(*a).int(), "row numbers"),
    (check.kl_terms, lambda p, q: p - q, "two things"),
    (check.kl_terms, lambda p, q: [k / np.log(2) for k in kl_terms(p, q)], "natural logarithm"),
    (check.kl_terms, lambda p, q: (p - q, torch.expm1(q - p) - 1 + p - q), "subtracted twice"),
    (check.kl_terms, lambda p, q: [k.mean() for k in kl_terms(p, q)], "one number for each token"),
    (check.kl_terms, lambda p, q: [k.sum(1) for k in kl_terms(p, q)], "one number for each token"),
    (check.kl_terms, lambda p, q: kl_terms(q, p), "k1 has its sign turned"),
    (check.kl_terms, lambda p, q: ((p - q).abs(), kl_terms(p, q)[1]), "may be negative"),
    (check.kl_terms, lambda p, q: (p / q, kl_terms(p, q)[1]), "logarithms already"),
    (check.kl_terms, lambda p, q: (p.exp() * (p - q), kl_terms(p, q)[1]), "Do not weight"),
    (check.kl_terms, lambda p, q: ((p - q).exp(), kl_terms(p, q)[1]), "not the ratio"),
    (check.kl_terms, lambda p, q: kl_terms(p, q)[::-1], "swapped"),
    (check.kl_terms, lambda p, q: (p, q), "k1 is 0.4055; yours is -0.5108"),
    (check.kl_terms, lambda p, q: (p - q, kl_terms(q, p)[1]), "ratio of k3 is inverted"),
    (check.kl_terms, lambda p, q: (p - q, (q - p).exp() - 1 - (p - q)), "wrong sign"),
    (check.kl_terms, lambda p, q: (p - q, (q - p).exp() - 1), "lacks its log term"),
    (check.kl_terms, lambda p, q: (p - q, (q - p).exp() - (q - p)), "lacks its -1"),
    (check.kl_terms, lambda p, q: (p - q, (q - p).exp()), "ratio alone"),
    (check.kl_terms, lambda p, q: (p - q, (p - q) ** 2 / 2), "That is k2"),
    (check.kl_terms, lambda p, q: (p - q, -kl_terms(p, q)[1]), "k3 has its sign turned"),
    (check.kl_terms, lambda p, q: (p - q, (p - q).abs()), "absolute value of k1"),
    (check.kl_terms, lambda p, q: (p - q, p - q), "k1 again"),
    (check.kl_terms, lambda p, q: (p - q, p), "k3 is 0.0721; yours is -0.5108"),
    (check.advantages, lambda r, v, lam: advantages(r, v, lam)[0], "two things"),
    (check.advantages, lambda r, v, lam: gae(r[:-1], v[:-1], lam), r"yours are \(3,\)"),
    (check.advantages, all_white, "Do not whiten here"),
    (check.advantages, with_returns(lambda A, r, v: white(A) + v), "made of whitened"),
    (check.advantages, with_returns(lambda A, r, v: white(A, 0) + v), "made of whitened"),
    (
        check.advantages,
        lambda r, v, lam: gae(r, v, lam, torch.cat([v[1:], v[-1:]])),
        "after the last token is 0: the text",
    ),
    (check.advantages, lambda r, v, lam: gae(r, v, lam, v.roll(-1)), "does not go round"),
    (check.advantages, lambda r, v, lam: advantages(r, v, 0), "delta alone"),
    (check.advantages, lambda r, v, lam: advantages(r, v, 1), "lam has no effect"),
    (check.advantages, forward, "went forward"),
    (check.advantages, lambda r, v, lam: [x.flip(0) for x in advantages(r, v, lam)], "last to first"),
    (check.advantages, lambda r, v, lam: gae(r, v, lam, 0 * v), "lacks the next V"),
    (check.advantages, lambda r, v, lam: gae(r, v, lam, minus=0), "does not subtract V"),
    (check.advantages, lambda r, v, lam: gae(r, v, lam, gamma=lam), "lam belongs to the next A"),
    (check.advantages, lambda r, v, lam: gae(-r, -v, lam), "sign of delta"),
    (check.advantages, lambda r, v, lam: advantages(r, v, lam)[::-1], "swapped"),
    (check.advantages, lambda r, v, lam: advantages(r, v, 0.95), "the one before it"),
    (check.advantages, with_returns(lambda A, r, v: r.flip(0).cumsum(0).flip(0)), "rewards still to come"),
    (check.advantages, with_returns(lambda A, r, v: gae(r, v, 0)[1]), "one step ahead"),
    (check.advantages, with_returns(lambda A, r, v: A), "advantages again"),
    (check.advantages, with_returns(lambda A, r, v: A - v), "do not subtract it"),
    (check.advantages, with_returns(lambda A, r, v: v), "values again"),
    (check.advantages, with_returns(lambda A, r, v: 2 * A), r"returns are A \+ V\."),
    (check.advantages, lambda r, v, lam: gae(r, v, lam) if len(r) > 1 else (r, v), "single token"),
    (check.advantages, advantages_by_powers, "power of lam"),
    (check.choices, lambda i, p, e: choices(i, p[:1].expand(3), e), "columns 2, 3 and 4"),
    (check.choices, lambda i, p, e: choices(i, p, e).float(), "row numbers"),
    (check.best_of, lambda r, g, n: g[r.argsort()[-n:]].mean(), "average the n best"),
    (check.best_of, lambda r, g, n: best_of(g, g, n), "choose by gold"),
    (check.best_of, lambda r, g, n: best_of(-r, g, n), "from the top"),
    (check.best_of, with_replacement, "with replacement"),
    (check.best_of, lambda r, g, n: g.mean(), "single draw"),
    (check.best_of, lambda r, g, n: g[r.argmax()], "best of all N"),
    (check.best_of, lambda r, g, n: g[r[:n].argmax()], "first n samples"),
    (check.best_of, lambda r, g, n: best_of(r, r, n), "expected reward"),
    (check.best_of, lambda r, g, n: g[r.argsort()[-n:]].max(), "largest gold"),
    (check.best_of, lambda r, g, n: best_of(torch.arange(len(g)), g, n), "Sort the gold"),
    (check.best_of, one_more, "sum to more than 1"),
    (check.best_of, lambda r, g, n: best_of(r, g, n) * comb(len(g), n), "Divide by"),
    (check.best_of, lambda r, g, n: 7, "0.2100"),
    (check.best_of, drawn, "as if you had drawn"),
    (check.best_of, lambda r, g, n: best_of(r, g, 3), "n = 1"),
    (check.best_of, lambda r, g, n: best_of(r, g, n) if n < len(g) else g.max(), "n = N"),
]


TestChecks = exercise_tests(RIGHT, WRONG)


def test_the_choices_are_the_mask_of_a_rollout():
    contexts, written = [[0, 5, 6], [0, 9], [0, 1, 0, 3]], [[7, 8, 0], [4, 5, 6, 7, 2], [0]]
    ids, mask = padded(contexts, written, 0)
    assert torch.equal(choices(ids, list(map(len, contexts)), 0), mask)


def test_the_estimates_have_the_divergence_as_their_mean():
    p, q = torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.4, 0.4, 0.2])
    for k in kl_terms(p.log(), q.log()):
        assert p @ k == pytest.approx(0.0877, abs=1e-4)


def test_best_of_is_the_mean_over_every_draw():
    rewards, gold = torch.rand(2, 9, generator=torch.Generator().manual_seed(0))
    draws = torch.combinations(torch.arange(9), 4)
    picked = draws.gather(1, rewards[draws].argmax(1, keepdim=True))
    assert best_of(rewards, gold, 4) == pytest.approx(gold[picked].mean().item(), abs=1e-6)
    assert best_of(rewards, gold, 1) == pytest.approx(gold.mean().item(), abs=1e-6)
