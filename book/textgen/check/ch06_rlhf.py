"""The checks of chapter 06, first page: what the policy chose, KL token by token, advantages, and best of n."""

from collections.abc import Callable
from math import comb, log

import numpy as np
import torch

from .harness import attempt, compare, exercise, near


def two_rows(answer, dimensions: int) -> bool:
    """Tell whether an answer is two things: a pair, or one array of `dimensions` that has the two in it."""
    pair = isinstance(answer, tuple | list) or np.ndim(answer) == dimensions
    return pair and len(answer) == 2


@exercise(
    hint="column t stands for the token ids[:, t + 1]; it is a choice after the prompt, up to the first end token there.",
    more="compare torch.arange(1, T) with the length of each prompt for the beginning, and ask that no end token came between the prompt and this token.",
    praise="Right: every token that the policy wrote, its end token too, and nothing of the prompt or the padding.",
)
def choices(call: Callable) -> str | None:
    """Check `choices(ids, prompt, end)`: ids (B, T), lengths of the prompts (B,), to the mask of choices (B, T - 1)."""
    ids = torch.tensor([[0, 5, 6, 7, 8, 0, 0], [0, 9, 4, 5, 6, 7, 8], [0, 8, 5, 6, 0, 0, 0]])
    prompt, stop = torch.tensor([3, 2, 4]), torch.tensor([[5], [7], [4]])  # the second text never ends
    start, at = prompt[:, None], torch.arange(1, 7)  # column t stands for the token at t + 1
    mask = np.asarray(call(ids, prompt.clone(), 0))
    if mask.shape == ids.shape:
        return "The mask has one column less than ids: no token comes before the first, so it is no choice."
    if mask.shape != (3, 6):
        return f"For ids (3, 7) the mask is (3, 6), a column for every token but the first; yours is {mask.shape}."
    after = at >= start
    right = after & (at <= stop)
    by_id = "You went by ids alone: the first end token after the prompt is a choice, and the prompt is not."
    begin = "You stopped too soon: a prompt starts with the end token, so look for an end only after it."
    mistakes = {
        "The end token is left out: to stop is a choice too, and must be learnt.": after & (at < stop),
        "You are one column late: column t stands for ids[:, t + 1].": (at > start) & (at <= stop + 1),
        by_id: ids[:, 1:] != 0,
        "The prompt is counted too: the policy read it and did not choose it.": at <= stop,
        "Padding is counted too: after the first end token nothing was chosen.": after,
        "Everything counts now: leave out the prompt, and what follows the first end token.": right | True,
        begin: right & False,
        "You begin in the prompt already: token i has column i - 1.": (at >= start - 1) & (at <= stop),
        "The first choice is lost: token i has column i - 1.": (at > start) & (at <= stop),
        "You stop one token late: the first end token is the last choice.": after & (at <= stop + 1),
        "A text that was cut off has no end: all after its prompt was chosen.": right & (stop < 7),
        "That is the wrong way round: True marks what the policy chose.": ~right,
    }
    otherwise = "In 0 5 6 7 8 0 0, after a prompt of 3, the policy chose 7, 8 and one 0: columns 2, 3 and 4."
    if problem := compare(mask, right, mistakes, otherwise):
        return problem
    mask_2 = attempt(call, torch.tensor([[2, 5, 2, 6, 7, 2, 2]]), torch.tensor([4]), 2)
    given = {"Another tokenizer has another end token: use `end`, not 0.": [[0, 0, 0, 1, 1, 1]]}
    inside = "An end token inside a prompt ends nothing: look for the first one after the prompt."
    if problem := compare(mask_2, [[0, 0, 0, 1, 1, 0]], given, inside):
        return problem
    return None if mask.dtype == bool else "Return True and False: x[mask] takes 0 and 1 for row numbers."


@exercise(
    hint="k1 is a difference of log-probabilities; the ratio that k3 needs is the exponential of the other difference.",
    more="with k1 = policy - reference, the ratio is exp(-k1), its logarithm is -k1, and k3 is ratio - 1 - logarithm.",
    praise="Right: both have the divergence as their mean under the policy, and k3 is never negative.",
)
def kl_terms(call: Callable) -> str | None:
    """Check `kl_terms(policy, reference)`: log-probabilities of the same tokens, to (k1, k3), a number a token each."""
    policy = torch.tensor([[0.6, 0.3, 0.1], [0.25, 0.7, 0.8]]).log()
    reference = torch.tensor([[0.4, 0.4, 0.2], [0.5, 0.6, 0.1]]).log()
    answer = call(policy.clone(), reference.clone())  # a right function may work in place
    if not two_rows(answer, 3):
        return "Return two things, k1 and k3, each with one number for each token."
    k1, k3 = map(np.asarray, answer)
    if k1.shape != (2, 3) or k3.shape != (2, 3):
        return "Give one number for each token, in the shape that came: sums and means come later."
    d = (policy - reference).double().numpy()
    ratio = np.exp(-d)  # reference / policy
    right = ratio - 1 + d
    sign = "k1 has its sign turned: it is policy - reference, large where the policy likes a token more than before."
    logs = "These are logarithms already: the logarithm of a ratio is their difference, not their quotient."
    weighted = "Do not weight by the probability: the policy drew the tokens, so likely ones come more often."
    first = {
        sign: -d,
        "Take the natural logarithm: bits are nats divided by log 2.": d / log(2),
        "k1 may be negative on a token: without its sign its mean is no divergence.": abs(d),
        logs: (policy / reference).numpy(),
        weighted: policy.exp().numpy() * d,
        "k1 is the logarithm of the ratio, not the ratio.": np.exp(d),
        "The two are swapped: k1 comes first.": right,
    }
    inverted = "The ratio of k3 is inverted: it is reference / policy, because the policy drew the tokens."
    sign_3 = "The log term has the wrong sign: the logarithm of the ratio is -k1, and you subtract it."
    second = {
        inverted: 1 / ratio - 1 - d,
        "The 1 is subtracted twice: k3 is ratio - 1 + k1.": right - 1,
        sign_3: ratio - 1 - d,
        "k3 lacks its log term: ratio - 1 has the mean 0, whatever the policy does.": ratio - 1,
        "k3 lacks its -1: it must be 0 where policy and reference agree.": ratio + d,
        "That is the ratio alone: subtract 1, and then the logarithm of the ratio.": ratio,
        "That is k2, half the square of k1: its mean is only close to the divergence.": d**2 / 2,
        "k3 has its sign turned: no token makes it negative.": -right,
        "The absolute value of k1 is never negative either, but its mean is no divergence.": abs(d),
        "k3 is k1 again: add ratio - 1 to it, which has the mean 0 and makes every number positive.": d,
    }
    one = f"For probabilities 0.6 and 0.4, k1 is {d[0, 0]:.4f}; yours is {k1[0, 0]:.4f}."
    three = f"For probabilities 0.6 and 0.4, k3 is {right[0, 0]:.4f}; yours is {k3[0, 0]:.4f}."
    return compare(k1, d, first, one, 1e-5) or compare(k3, right, second, three, 1e-5)


@exercise(
    hint="begin at the last token, after which V and A are 0, and go backward: A = delta + lam * the A that follows.",
    more="for t in reversed(range(T)): delta is rewards[t] + V of the next token - values[t], the next V of the last token is 0, and the returns are A + values.",
    praise="Right: each advantage takes up what follows it, damped by lam, and V learns from A + V.",
)
def advantages(call: Callable) -> str | None:
    """Check `advantages(rewards, values, lam)`: (T,) of one text, gamma 1, to (A, returns), by GAE."""
    R, V, lam = np.array([-0.1, 0.2, -0.3, 1.0]), np.array([0.5, 0.2, 0.7, 0.4]), 0.5

    def backward(x, lam=lam):
        return sum(lam**k * np.append(x[k:], np.zeros(k)) for k in range(len(x)))

    ahead = np.append(V[1:], 0.0)
    delta = R + ahead - V
    A = backward(delta)

    def whitened(x):  # by whatever deviation
        centred = A - A.mean()
        scale = x @ centred / (centred @ centred)
        return scale > 0.01 and near(x, scale * centred, 1e-4)

    answer = call(torch.tensor(R).float(), torch.tensor(V).float(), lam)
    if not two_rows(answer, 2):
        return "Return two things, the advantages and the returns, each with one number for each token."
    mine, returns = (np.asarray(part, dtype=float) for part in answer)
    if mine.shape != (4,) or returns.shape != (4,):
        return f"Four tokens have 4 advantages and 4 returns; yours are {mine.shape} and {returns.shape}."
    if whitened(mine):
        return "Do not whiten here: the returns need A as it is, and whitening is for the policy's loss."
    if near(mine, A, 1e-5) and whitened(returns - V):
        return "Your returns are made of whitened advantages: add V to A before you whiten it."
    end = "V after the last token is 0: the text is over, and nothing more can come."
    missing = "delta lacks the next V: a token earns its reward and what V expects after it, R + V' - V."
    better = "delta does not subtract V: an advantage is what is better than expected, R + V' - V."
    mistakes = {
        end: backward(R + np.append(V[1:], V[-1]) - V),
        "V does not go round: after the last token it is 0.": backward(R + np.roll(V, -1) - V),
        "That is delta alone: add lam times the advantage of the next token.": delta,
        "lam has no effect: you take it as 1, so A is all that came, less V.": backward(delta, 1.0),
        "You went forward: A collects what follows, so begin at the last token.": backward(delta[::-1])[::-1],
        "They stand from last to first: you went backward, so turn them round.": A[::-1],
        missing: backward(R - V),
        better: backward(R + ahead),
        "lam belongs to the next A; gamma is 1, so the next V counts in full.": backward(R + lam * ahead - V),
        "The sign of delta is turned: it is R + V' - V, positive where things go better than expected.": -A,
        "The two are swapped: the advantages come first.": A + V,
    }
    wrong_returns = {
        "Those are the rewards still to come: with lam below 1 the returns are A + V.": backward(R, 1.0),
        "That is R + V', one step ahead: the returns are A + V.": R + ahead,
        "Those are the advantages again: add V to them.": A,
        "Add V to A, do not subtract it: the return is what V should have said.": A - V,
        "Those are the values again: the return is A + V, and V learns from the difference.": V,
    }
    otherwise = f"The last advantage is {A[3]:.2f} and the one before it {A[2]:.2f}; yours are {mine[3]:.2f} and {mine[2]:.2f}."
    problem = compare(mine, A, mistakes, otherwise, 1e-5)
    problem = problem or compare(returns, A + V, wrong_returns, "The returns are A + V.", 1e-5)
    if not problem and not near(attempt(call, torch.ones(1), torch.ones(1) / 4, lam), ([0.75], [1.0]), 1e-5):
        return "A text may have a single token: its advantage is R - V, and its return R."
    if problem:
        return problem
    none = attempt(call, torch.tensor(R).float(), torch.tensor(V).float(), 0.0)
    if not near(none, (delta, delta + V), 1e-5):
        return "lam may be 0, and then each advantage is delta alone: do not divide by a power of lam."
    return None


@exercise(
    hint="sort the samples by reward; the i-th from below wins when the other n - 1 are among the i - 1 below it.",
    more="the weight of the sample in place i, counted from 0, is comb(i, n - 1) / comb(N, n), and the answer is the sum of weight times gold.",
    praise="Right: the mean over every draw of n, and no draw had to be made.",
)
def best_of(call: Callable) -> str | None:
    """Check `best_of(rewards, gold, n)`: of N samples (N,), the expected gold of the highest reward among n drawn."""
    r, g, n = np.array([0.3, 1.4, -1.0, 0.9, 2.0, -0.2]), np.array([0.5, 0.7, 0.2, 1.5, -0.5, -0.4]), 3
    i, by_reward = np.arange(6), g[np.argsort(r)]
    weights = np.array([comb(k, n - 1) for k in i]) / comb(6, n)
    later = np.array([comb(k + 1, n - 1) for k in i]) / comb(6, n)
    right = weights @ by_reward
    answer = call(torch.tensor(r).float(), torch.tensor(g).float(), n)
    gold = "You choose by gold, which nobody sees: choose by reward, and then look at the gold of that one."
    replaced = "You draw with replacement, which can take a sample twice: draw n different ones."
    first = "Those are the first n samples, one draw of many: take the mean over every draw."
    one_more = "Your weights sum to more than 1: the i-th from below has i - 1 samples below it, not i."
    mistakes = {
        "You average the n best: only the highest of the n drawn is kept.": by_reward[-n:].mean(),
        gold: weights @ np.sort(g),
        "You sorted from the top: this is the gold of the lowest reward.": weights @ by_reward[::-1],
        replaced: (((i + 1) / 6) ** n - (i / 6) ** n) @ by_reward,
        "That is the mean gold, as for a single draw: of n draws the highest reward is kept.": g.mean(),
        "That is the best of all N, and you draw only n of them.": by_reward[-1],
        first: g[np.argmax(r[:n])],
        "That is the expected reward: return the gold of the sample that it picks.": weights @ np.sort(r),
        "That is the largest gold of all, but it is the reward that picks.": g.max(),
        "Sort the gold as well, by reward: each weight belongs to a rank.": weights @ g,
        one_more: later @ by_reward,
        f"Divide by the number of draws, comb(6, {n}) = {comb(6, n)}.": right * comb(6, n),
    }
    otherwise = f"For n = {n} of these 6 samples the expected gold is {right:.4f}; yours is not."
    if problem := compare(answer, right, mistakes, otherwise, 1e-5):
        drawn = problem == otherwise and np.ndim(answer) == 0 and abs(answer - right) < 0.05
        return (
            "That is near, as if you had drawn some: the formula gives every draw its weight."
            if drawn
            else problem
        )
    ends = [attempt(call, torch.tensor(r).float(), torch.tensor(g).float(), k) for k in (1, 6)]
    if not near(ends[0], g.mean(), 1e-5):
        return "With n = 1 nothing is chosen: the answer is the mean gold. Take n from the argument."
    return (
        None
        if near(ends[1], by_reward[-1], 1e-5)
        else "With n = N there is one draw: its best has the highest reward."
    )
