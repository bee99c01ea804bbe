"""The checks of chapter 01, logistic regression."""

import math
from collections.abc import Callable

import numpy as np

from .harness import attempt, compare, exercise, ignored_rng, logistic, near


def altered(call: Callable, *arguments) -> str | None:
    """Return a diagnosis where the learner's function changes an array or list that it is given."""
    before = [np.array(argument) for argument in arguments]
    attempt(call, *arguments)
    if all(np.array_equal(old, new) for old, new in zip(before, arguments)):
        return None
    return "Your function changes what it is given: work on a copy, so that the caller's numbers stay as they were."


@exercise(
    hint="find the z for which np.exp overflows, and ask how the fraction could be written so that exp never sees it.",
    more="the exponential of a number that is not positive lies between 0 and 1, and a fraction keeps its value when top and bottom are multiplied by the same number.",
    praise="Right: your sigmoid takes numbers and arrays, and does not overflow at -1000 or 1000.",
)
def sigmoid(call: Callable) -> str | None:
    """Check `sigmoid(z)` = 1 / (1 + exp(-z)) for a number or an array z of any shape."""
    z = np.array([-10.0, -2.0, 0.0, 0.5, 3.0, 10.0])
    right, ends = logistic(z), np.array([-1000.0, 1000.0])
    mistakes = {
        "The sign of z is wrong: a large z must give a value near 1.": 1 - right,
        "That is tanh, which runs from -1 to 1; a probability runs from 0 to 1.": np.tanh(z),
    }
    number = attempt(call, 3.0)
    values = attempt(call, z.copy()) if near(number, right[4]) else call(z.copy())
    if np.shape(values) != z.shape:
        return "Your function does not take an array: use np.exp, which works on every element."
    inner = abs(z) < 4
    if near(np.asarray(values)[inner], right[inner]) and not near(values, right):
        return "You cut z off too early: at z = 10 the sigmoid is 0.99995, and at z = -10 it is 0.00005."
    problem = compare(
        values, right, mistakes, "At z = 0 and 3 a sigmoid gives 0.5 and 0.953; yours does not."
    )
    if problem:
        return problem
    if not near(number, right[4]):
        return "Your function takes an array but not a single number: z = 3.0 should give 0.953."
    if not near(attempt(call, z.reshape(2, 3).copy()), right.reshape(2, 3)):
        return "Your function takes a row of numbers but not an array of two rows: it should take any shape."
    if not near(attempt(call, np.array([-2, 0, 3])), logistic(np.array([-2, 0, 3]))):
        return (
            "Your function fails for whole numbers: probabilities put into an array of integers are cut to 0."
        )
    if not near(attempt(call, ends.copy()), [0, 1]):
        return overflowing(call, ends)
    return altered(call, z)


def overflowing(call: Callable, ends: np.ndarray) -> str:
    """Say why `call` fails at `ends`, -1000 and 1000."""
    with np.errstate(all="ignore"):
        quiet, halves = attempt(call, ends.copy()), [attempt(call, end) for end in ends]
    if not near(quiet, [0, 1]):
        return "At z = -1000 and 1000 the sigmoid is 0 and 1; yours is not, because exp overflows on the way."
    if near(halves, [0, 1]) and not near(attempt(call, ends[1:].copy()), [1]):
        return (
            "np.where computes both sides for every z, so exp overflows in the side that is thrown away: "
            "make what goes into exp harmless in both."
        )
    return "exp overflows at |z| = 1000: call it only on numbers that are not positive, such as -abs(z)."


@exercise(
    hint="ask first how much probability each thing that happened was given, and only then take logarithms.",
    more="a logarithm has no value at 0, so keep the probability of what happened a hair away from it; a hair of 1e-12 costs 28 nats.",
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
        "That is in powers of ten: use the natural logarithm, np.log, for nats.": right / math.log(10),
        "That is the mean over the examples with y = 1 alone: those with y = 0 count too.": each[
            y == 1
        ].mean(),
        "You left out the examples with y = 0: they add -log(1 - p).": -(y * np.log(p)).mean(),
        "p and 1 - p are swapped: y = 1 goes with p.": swapped.mean(),
        "You clip too much, so that confident mistakes cost too little: 1e-12 is enough.": clipped,
    }
    otherwise = f"For p = {p.tolist()} and y = {y.tolist()} the loss is {right:.4f}; yours is not."
    answer = call(p.copy(), y.copy())
    problem = compare(np.ravel(answer)[0] if np.size(answer) == 1 else answer, right, mistakes, otherwise)
    if problem:
        return problem
    if not near(np.ravel(attempt(call, np.array([1.0, 0.0]), np.array([1, 0]))).sum(), 0, 1e-5):
        return (
            "Where p is certain and right, the loss is 0; yours is not a number there: 0 times log(0) is nan."
        )
    certain = [attempt(call, np.array([1.0 - y, 0.5]), np.array([y, y])) for y in (0, 1)]
    if not np.isfinite(certain).all():
        return "Where p is certain and wrong, you take log(0): keep the probability of what happened above 0."
    if np.min(certain) < 2:
        return (
            "Being certain and wrong costs next to nothing in yours: it must be finite, and still cost a lot."
        )
    if np.max(certain) > 1e6:
        return "Being certain and wrong costs more than a million nats in yours, which drowns all other examples."
    return altered(call, p, y)


@exercise(
    hint="look at what was left when the chain rule had cancelled p (1 - p), for b1 and for b0.",
    more="the two differ only in what each error is multiplied by: how much does the logit of an example move when you nudge b0, and when you nudge b1?",
    praise="Right: your gradient points uphill in b0 and in b1, so a step against it lowers the loss.",
)
def gradient(call: Callable) -> str | None:
    """Check `gradient(b0, b1, x, y)` -> the mean cross-entropy's gradient (d/d b0, d/d b1); x, y (n,)."""
    b0, b1, x, y = 0.3, -0.7, np.array([0.5, -1.0, 2.0, 3.0, 0.1]), np.array([1, 0, 1, 1, 0])
    line = b0 + b1 * x
    error = logistic(line) - y
    g0, g1 = error.mean(), (error * x).mean()
    steep = (
        error * logistic(line) * (1 - logistic(line))
    )  # the squared error's gradient, but for a factor of 2
    mistakes = {
        "Both signs are wrong: the error is p - y, not y - p.": (-g0, -g1),
        "Your gradient has the wrong sign for b1.": (g0, -g1),
        "Your gradient has the wrong sign for b0.": (-g0, g1),
        "The two are swapped: the gradient of b0 comes first.": (g1, g0),
        "You summed over the examples: take the mean, as the loss does.": (5 * g0, 5 * g1),
        "You took the mean for b0 and the sum for b1: take the mean of both.": (g0, 5 * g1),
        "For b1 each error is weighted by its x: (p - y) * x.": (g0, g0),
        "You left p (1 - p) in, which cancels in the chain: the error alone is p - y.": (
            steep.mean(),
            (steep * x).mean(),
        ),
        "You left out the sigmoid: p is sigmoid(b0 + b1 * x).": ((line - y).mean(), ((line - y) * x).mean()),
    }
    answer = np.asarray(call(b0, b1, x.copy(), y.copy()), dtype=float).ravel()
    if answer.size != 2:
        return "Return two numbers, the gradient of b0 and of b1, each a mean over the examples."
    problem = compare(answer, (g0, g1), mistakes, f"At b0 = {b0}, b1 = {b1} your gradient is wrong.")
    if problem:
        return problem
    fewer = np.ravel(attempt(call, b0, b1, x[:2].copy(), y[:2].copy()))
    if not near(fewer, (error[:2].mean(), (error * x)[:2].mean())):
        return "Right for five examples and wrong for two: divide by how many came, and use the x and y that came."
    return altered(call, b0, b1, x, y)


@exercise(
    hint="say first how many pairs of neighbours a list of ten tokens has, and which cell of the table the first of them adds to.",
    more="lay the list beside itself, moved by one place, so that each token stands next to the one that follows it.",
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
        "You counted the first token as following the last: a text does not go in a circle.": table(
            ids, ids[1:] + ids[:1]
        ),
        "You counted each pair in both directions: only the row's token comes first.": right + right.T,
        "You also counted the start and the end of the text: count the pairs in ids alone.": table(
            [0, *ids], [*ids, 0]
        ),
        "You mark pairs instead of counting them: on lists of ids, counts[a, b] += 1 adds only once.": right
        > 0,
        "You added 1 to every count: return the counts; smoothing comes later.": right + 1,
        "You normalised each row: return the counts; the division comes next.": right / rows,
        "You normalised, and over the wrong axis: return the counts.": right / columns,
    }
    answer = call(list(ids), size)
    if np.shape(answer) != (size, size):
        return f"For vocab_size = {size} the table is {size} x {size}, even if some token never occurs."
    problem = compare(
        answer, right, mistakes, f"{ids} has nine pairs, two of them (0, 1); your table is different."
    )
    if not problem and not near(attempt(call, [1, 0], 2), [[0, 0], [1, 0]]):
        return "Right for ten tokens and wrong for two: [1, 0] has one pair, in row 1, column 0."
    return problem or altered(call, list(ids), size)


@exercise(
    hint="every page needs a draw of its own, and a page of score 1 must be kept whatever its draw is.",
    more="a draw from this distribution is never negative, and large ones are rare: which bar would no draw miss at score 1, and hardly any clear at score 0?",
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
        "You keep a page with a probability equal to its score: draw from rng.pareto, and compare.": levels,
        "You keep bad pages: compare the draw with 1 - score, not with score.": (1 + levels) ** -9.0,
    }
    otherwise = f"At score 0.5 the rule keeps {right[1]:.1%}, yours {rates[1]:.1%}: is pareto's parameter 9?"
    if not near(rates[1:], right[1:], 0.012):
        return compare(rates, math.nan, mistakes, otherwise, tolerance=0.02)
    if not 0.0008 < rates[0] < 0.004:
        return f"At score 0 one page in 512 should stay, and of yours {rates[0] * 20_000:.0f} in 20,000 do."
    return altered(call, scores, np.random.default_rng(0))
