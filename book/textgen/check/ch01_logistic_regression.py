"""The checks of chapter 01, logistic regression."""

import math
from collections.abc import Callable

import numpy as np

from .harness import attempt, compare, exercise, ignored_rng, logistic, near


@exercise(
    hint="start from 1 / (1 + np.exp(-z)), and look at what overflows for z = -1000.",
    more="np.exp(-np.abs(z)) is never above 1: write the sigmoid with it for z >= 0 and for z < 0, and let np.where choose.",
    praise="Right: your sigmoid takes numbers and arrays, and does not overflow at -1000 or 1000.",
)
def sigmoid(call: Callable) -> str | None:
    """Check `sigmoid(z)` = 1 / (1 + exp(-z)) for a number or an array z of any shape."""
    z = np.array([-2.0, 0.0, 0.5, 3.0])
    right = logistic(z)
    mistakes = {
        "The sign of z is wrong: a large z must give a value near 1.": 1 - right,
        "That is tanh, which runs from -1 to 1; a probability runs from 0 to 1.": np.tanh(z),
    }
    number = attempt(call, 3.0)
    values = attempt(call, z) if near(number, right[3]) else call(z)
    if np.shape(values) != z.shape:
        return "Your function does not take an array: use np.exp, which works on every element."
    problem = compare(
        values, right, mistakes, "At z = 0 and 3 a sigmoid gives 0.5 and 0.953; yours does not."
    )
    if not problem and not near(number, right[3]):
        return "Your function takes an array but not a single number: z = 3.0 should give 0.953."
    if not problem and not near(attempt(call, np.array([-1000.0, 1000.0])), [0, 1]):
        return "exp overflows at |z| = 1000: call it only on numbers that are not positive, such as -abs(z)."
    return problem


@exercise(
    hint="what happened had probability p where y is 1, and 1 - p where y is 0; average -np.log of that.",
    more="np.where picks the probability of what happened; np.clip must keep it away from 0 before you take the logarithm.",
    praise="Right: the mean in nats, and a finite number even where p is exactly 0 or 1.",
)
def cross_entropy(call: Callable) -> str | None:
    """Check `cross_entropy(p, y)`: the mean of -log(probability of what happened), in nats; p, y (n,)."""
    p, y = np.array([0.9, 0.2, 0.6, 0.001]), np.array([1, 0, 0, 1])
    each, swapped = -np.log(np.where(y == 1, p, 1 - p)), -np.log(np.where(y == 1, 1 - p, p))
    right = each.mean()
    clipped = -np.log(np.where(y == 1, p, 1 - p).clip(0.01)).mean()
    mistakes = {
        "Return one number, the mean over the examples, not one number for each.": each,
        "The sign is wrong: the logarithm of a probability is negative, so the loss needs a minus.": -right,
        "You summed over the examples: take the mean, so that data sets of any size compare.": each.sum(),
        "That is in bits: use the natural logarithm, np.log, for nats.": right / math.log(2),
        "You left out the examples with y = 0: they add -log(1 - p).": -(y * np.log(p)).mean(),
        "p and 1 - p are swapped: y = 1 goes with p.": swapped.mean(),
        "You clip too much, so that confident mistakes cost too little: 1e-12 is enough.": clipped,
    }
    otherwise = f"For p = {p.tolist()} and y = {y.tolist()} the loss is {right:.4f}; yours is not."
    problem = compare(call(p, y), right, mistakes, otherwise)
    if not problem and not near(attempt(call, np.array([1.0, 0.0]), np.array([1, 0])), 0, 1e-5):
        return "Where p is exactly 0 or 1 you take log(0): clip p to [1e-12, 1 - 1e-12] first."
    return problem


@exercise(
    hint="each example has an error, p - y; one of the two averages it, the other weights it by x first.",
    more="p is the sigmoid of b0 + b1 * x; return two means, first that of the errors, and then that of the errors times x.",
    praise="Right: your gradient points uphill in b0 and in b1, so a step against it lowers the loss.",
)
def gradient(call: Callable) -> str | None:
    """Check `gradient(b0, b1, x, y)` -> the mean cross-entropy's gradient (d/d b0, d/d b1); x, y (n,)."""
    b0, b1, x, y = 0.3, -0.7, np.array([0.5, -1.0, 2.0, 3.0, 0.1]), np.array([1, 0, 1, 1, 0])
    line = b0 + b1 * x
    error = logistic(line) - y
    g0, g1 = error.mean(), (error * x).mean()
    mistakes = {
        "Both signs are wrong: the error is p - y, not y - p.": (-g0, -g1),
        "Your gradient has the wrong sign for b1.": (g0, -g1),
        "Your gradient has the wrong sign for b0.": (-g0, g1),
        "The two are swapped: the gradient of b0 comes first.": (g1, g0),
        "You summed over the examples: take the mean, as the loss does.": (5 * g0, 5 * g1),
        "You took the mean for b0 and the sum for b1: take the mean of both.": (g0, 5 * g1),
        "For b1 each error is weighted by its x: (p - y) * x.": (g0, g0),
        "You left out the sigmoid: p is sigmoid(b0 + b1 * x).": ((line - y).mean(), ((line - y) * x).mean()),
    }
    answer = np.asarray(call(b0, b1, x, y), dtype=float).ravel()
    if answer.size != 2:
        return "Return two numbers, the gradient of b0 and of b1, each a mean over the examples."
    return compare(answer, (g0, g1), mistakes, f"At b0 = {b0}, b1 = {b1} your gradient is wrong.")


@exercise(
    hint="start from a table of zeros; zip(ids, ids[1:]) gives every pair of neighbours.",
    more="np.zeros((vocab_size, vocab_size)) is the table; each pair adds 1 to it, in the row of its first token, the column of its second.",
    praise="Right: one count for each pair of neighbours, with a row for the previous token.",
)
def bigram_counts(call: Callable) -> str | None:
    """Check `bigram_counts(ids, vocab_size)` -> (V, V): how often column `next` follows row `previous`."""
    ids, size = [0, 1, 2, 0, 1, 1, 3, 0, 0, 2], 5  # token 4 never occurs

    def table(previous, following):
        counts = np.zeros((size, size))
        np.add.at(counts, (previous, following), 1)
        return counts

    right = table(ids[:-1], ids[1:])
    rows, columns = (np.maximum(right.sum(axis, keepdims=True), 1) for axis in (1, 0))
    mistakes = {
        "The table is transposed: the row is the previous token, the column the next.": right.T,
        "Off by one: the last pair is missing.": table(ids[:-2], ids[1:-1]),
        "Off by one: you count tokens two places apart.": table(ids[:-2], ids[2:]),
        "Off by one: you count each token with itself; shift one list by one place.": table(ids, ids),
        "You mark pairs instead of counting them: on lists of ids, counts[a, b] += 1 adds only once.": right
        > 0,
        "You added 1 to every count: return the counts; smoothing comes later.": right + 1,
        "You normalised each row: return the counts; the division comes next.": right / rows,
        "You normalised, and over the wrong axis: return the counts.": right / columns,
    }
    answer = call(ids, size)
    if np.shape(answer) != (size, size):
        return f"For vocab_size = {size} the table is {size} x {size}, even if some token never occurs."
    return compare(
        answer, right, mistakes, f"{ids} has nine pairs, two of them (0, 1); your table is different."
    )


@exercise(
    hint="draw a number from rng.pareto for each page, and compare it with how far the score is from 1.",
    more="rng.pareto takes the parameter 9 and size=len(scores); a page stays where its draw is larger than 1 minus its score.",
    praise="Right: a page with score 1 is always kept, one with score 0 about once in 500.",
)
def pareto_keep(call: Callable) -> str | None:
    """Check `pareto_keep(scores, rng)` -> bool (n,): GPT-3's rule, pareto(9) > 1 - score.

    Source: Brown et al. 2020, appendix A. numpy's `pareto` starts at 0 (Lomax), so a page with
    score s is kept with probability (2 - s)**-9.
    """
    levels = np.array([0.0, 0.5, 0.9, 1.0])
    scores, right = np.repeat(levels, 20_000), (2 - levels) ** -9.0
    kept = np.asarray(call(scores, np.random.default_rng(0)))
    if kept.shape != scores.shape or kept.dtype != bool:
        return "Return one True or False for each score, in the order of the scores."
    rates = kept.reshape(4, -1).mean(axis=1)
    if np.isin(rates, (0, 1)).all() and not kept.all():
        return "All pages with one score get the same answer: draw a number for each, with size=len(scores)."
    if not kept.all() and (problem := ignored_rng(call, scores)):
        return problem
    mistakes = {
        "Every page is kept: numpy's pareto already starts at 0, so add nothing to it.": np.ones(4),
        "The direction is wrong: keep a page where its draw is larger than 1 - score.": 1 - right,
        "You keep bad pages: compare the draw with 1 - score, not with score.": (1 + levels) ** -9.0,
    }
    otherwise = f"At score 0.5 the rule keeps {right[1]:.1%}, yours {rates[1]:.1%}: is pareto's parameter 9?"
    return compare(rates, right, mistakes, otherwise, tolerance=0.02)
