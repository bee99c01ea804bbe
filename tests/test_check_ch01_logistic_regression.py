"""The checks of chapter 01, logistic regression."""

import math
from itertools import pairwise

import numpy as np
import torch
from exercise_cases import exercise_tests
from scipy.special import expit
from textgen import check


def plain_sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(p, y, clip=1e-12):
    p = np.clip(p, clip, 1 - clip)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()


def each(p, y):
    return -np.log(np.where(y == 1, p, 1 - p))


def gradient(b0, b1, x, y):
    error = plain_sigmoid(b0 + b1 * x) - y
    return error.mean(), (error * x).mean()


def counts(ids, vocab_size):
    table = np.zeros((vocab_size, vocab_size), dtype=int)
    for previous, following in pairwise(ids):
        table[previous, following] += 1
    return table


def pairs(previous, following, vocab_size):
    table = np.zeros((vocab_size, vocab_size))
    np.add.at(table, (previous, following), 1)
    return table


def mark(ids, vocab_size):
    table = np.zeros((vocab_size, vocab_size))
    table[ids[:-1], ids[1:]] += 1
    return table


def keep(scores, rng):
    return rng.pareto(9, size=len(scores)) > 1 - scores


def by_mask(z):
    z = np.asarray(z, dtype=float)
    out = np.empty_like(z)
    low = z < 0
    out[~low], out[low] = 1 / (1 + np.exp(-z[~low])), np.exp(z[low]) / (1 + np.exp(z[low]))
    return out


def in_place(z):
    z = np.asarray(z)
    low = z < 0
    if z.ndim:
        z[low] *= -1
    p = 1 / (1 + np.exp(-np.abs(z)))
    return np.where(low, 1 - p, p)


def cut_to_integers(z):
    out = np.empty_like(z)
    out[...] = expit(z)
    return out


def chapter_cross_entropy(p, y):  # as the page defines it
    return -np.log(np.where(y == 1, p, 1 - p)).mean()


def floored(p, y):
    return sum(-math.log(max(a if b else 1 - a, 1e-12)) for a, b in zip(p, y)) / len(y)


def forgiving(p, y):
    truth = np.where(y == 1, p, 1 - p)
    return -np.log(truth, where=truth > 0, out=np.zeros_like(truth)).mean()


def infinite(p, y):
    with np.errstate(divide="ignore"):
        return np.nan_to_num(each(p, y) / len(y)).sum()


def shifting(p, y):
    y *= 1
    p += 1e-15
    return loss(p, y)


def nudged(b0, b1, x, y, h=1e-6):
    def at(b0, b1):
        return loss(plain_sigmoid(b0 + b1 * x), y)

    return (at(b0 + h, b1) - at(b0 - h, b1)) / 2 / h, (at(b0, b1 + h) - at(b0, b1 - h)) / 2 / h


def looped(b0, b1, x, y):
    errors = [1 / (1 + math.exp(-b0 - b1 * a)) - b for a, b in zip(x, y)]
    return [sum(errors) / len(errors), sum(e * a for e, a in zip(errors, x)) / len(errors)]


def squared(b0, b1, x, y):
    p = plain_sigmoid(b0 + b1 * x)
    slope = (p - y) * p * (1 - p)
    return slope.mean(), (slope * x).mean()


def weighs_in_place(b0, b1, x, y):
    error = plain_sigmoid(b0 + b1 * x) - y
    x *= error
    return error.mean(), x.mean()


def numbered(ids, vocab_size):
    places = np.array(ids[:-1]) * vocab_size + np.array(ids[1:])
    return np.bincount(places, minlength=vocab_size**2).reshape(vocab_size, vocab_size)


def in_torch(ids, vocab_size):
    table = torch.zeros(vocab_size, vocab_size)
    for a, b in pairwise(ids):
        table[a, b] += 1
    return table


def appends(ids, vocab_size):
    ids.append(0)
    return counts(ids[:-1], vocab_size)


RIGHT = [
    (check.sigmoid, expit),
    (check.sigmoid, by_mask),
    (check.sigmoid, lambda z: torch.sigmoid(torch.as_tensor(z, dtype=torch.float64))),
    (check.sigmoid, np.vectorize(lambda z: 1 / (1 + math.exp(-z)) if z > 0 else 1 - 1 / (1 + math.exp(z)))),
    (check.sigmoid, lambda z: 0.5 * (1 + np.tanh(np.asarray(z) / 2))),
    (check.cross_entropy, loss),
    (check.cross_entropy, lambda p, y: each(np.clip(p, 1e-7, 1 - 1e-7), y).mean()),
    (check.cross_entropy, floored),
    (
        check.cross_entropy,
        lambda p, y: torch.nn.functional.binary_cross_entropy(torch.tensor(p), torch.tensor(y).double()),
    ),
    (check.cross_entropy, lambda p, y: each(np.clip(p, 1e-12, 1 - 1e-12), y).mean(keepdims=True)),
    (check.gradient, gradient),
    (check.gradient, nudged),
    (check.gradient, looped),
    (check.gradient, lambda *a: np.array(gradient(*a))),
    (check.gradient, lambda *a: torch.tensor(gradient(*a))),
    (check.bigram_counts, counts),
    (check.bigram_counts, lambda ids, v: counts(ids, v).tolist()),
    (check.bigram_counts, numbered),
    (check.bigram_counts, in_torch),
    (check.pareto_keep, keep),
    (check.pareto_keep, lambda scores, rng: rng.random(len(scores)) < (2 - scores) ** -9),
    (check.pareto_keep, lambda scores, rng: np.array([rng.pareto(9) > 1 - s for s in scores])),
    (check.pareto_keep, lambda scores, rng: rng.pareto(9, len(scores)) + scores > 1),
]
WRONG = [
    (check.sigmoid, lambda z: expit(-z), "sign of z"),
    (check.sigmoid, np.tanh, "tanh"),
    (check.sigmoid, lambda z: 1 / (1 + math.exp(-z)), "does not take an array"),
    (check.sigmoid, lambda z: expit(z).sum(), "does not take an array"),
    (check.sigmoid, plain_sigmoid, "exp overflows"),
    (check.sigmoid, lambda z: np.exp(z) / (1 + np.exp(z)), "is 0 and 1; yours is not"),
    (check.sigmoid, lambda z: expit(z) if np.ndim(z) else [0.0, 0.0], "not a single number"),
    (check.sigmoid, lambda z: np.array([expit(v) for v in z]), "not a single number"),
    (check.sigmoid, lambda z: expit(2 * z), "At z = 0 and 3"),
    (check.sigmoid, lambda z: expit(np.clip(z, -5, 5)), "cut z off too early"),
    (
        check.sigmoid,
        lambda z: [expit(v) for v in z] if np.ndim(z) == 1 else expit(float(z)),
        "array of two rows",
    ),
    (check.sigmoid, cut_to_integers, "whole numbers"),
    (check.sigmoid, in_place, "changes what it is given"),
    (
        check.sigmoid,
        lambda z: np.where(np.asarray(z) >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z))),
        "np.where computes both sides",
    ),
    (check.sigmoid, lambda z: undefined, "raised NameError"),  # noqa: F821
    (check.sigmoid, lambda: 0.5, "raised TypeError"),
    (check.sigmoid, lambda z: np.full(np.shape(z), "half"), "should return numbers"),
    (check.cross_entropy, each, "mean over the examples, not one number"),
    (check.cross_entropy, lambda p, y: -loss(p, y), "needs a minus"),
    (check.cross_entropy, lambda p, y: each(p, y).sum(), "You summed"),
    (check.cross_entropy, lambda p, y: loss(p, y) / math.log(2), "in bits"),
    (check.cross_entropy, lambda p, y: -(y * np.log(p)).mean(), "left out the examples with y = 0"),
    (check.cross_entropy, lambda p, y: loss(1 - p, y), "swapped"),
    (check.cross_entropy, lambda p, y: loss(p, y, clip=0.01), "clip too much"),
    (check.cross_entropy, lambda p, y: ((p - y) ** 2).mean(), "yours is not"),
    (check.cross_entropy, lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(), "0 times log"),
    (check.cross_entropy, chapter_cross_entropy, "certain and wrong, you take log"),
    (
        check.cross_entropy,
        lambda p, y: each(np.clip(p, 1e-12, 1), y).mean(),
        "certain and wrong, you take log",
    ),
    (check.cross_entropy, forgiving, "costs next to nothing"),
    (check.cross_entropy, infinite, "more than a million|certain and wrong"),
    (check.cross_entropy, lambda p, y: loss(p, y) / math.log(10), "powers of ten"),
    (check.cross_entropy, lambda p, y: each(p, y)[y == 1].mean(), "y = 1 alone"),
    (check.cross_entropy, shifting, "changes what it is given"),
    (check.gradient, squared, "cancels in the chain"),
    (
        check.gradient,
        lambda b0, b1, x, y: tuple(g * len(x) / 5 for g in gradient(b0, b1, x, y)),
        "wrong for two",
    ),
    (check.gradient, weighs_in_place, "changes what it is given"),
    (check.gradient, lambda *a: tuple(g / math.log(2) for g in gradient(*a)), "your gradient is wrong"),
    (check.gradient, lambda *a: tuple(-g for g in gradient(*a)), "Both signs are wrong"),
    (check.gradient, lambda *a: (gradient(*a)[0], -gradient(*a)[1]), "wrong sign for b1"),
    (check.gradient, lambda *a: (-gradient(*a)[0], gradient(*a)[1]), "wrong sign for b0"),
    (check.gradient, lambda *a: gradient(*a)[::-1], "swapped"),
    (check.gradient, lambda *a: tuple(g * len(a[2]) for g in gradient(*a)), "You summed"),
    (check.gradient, lambda *a: (gradient(*a)[0], gradient(*a)[1] * len(a[2])), "sum for b1"),
    (check.gradient, lambda *a: (gradient(*a)[0],) * 2, "weighted by its x"),
    (
        check.gradient,
        lambda b0, b1, x, y: ((b0 + b1 * x - y).mean(), ((b0 + b1 * x - y) * x).mean()),
        "left out the sigmoid",
    ),
    (check.gradient, lambda b0, b1, x, y: plain_sigmoid(b0 + b1 * x) - y, "Return two numbers"),
    (check.gradient, lambda *a: (0.0, 0.0), "your gradient is wrong"),
    (check.bigram_counts, lambda ids, v: counts(ids, v).T, "is transposed"),
    (check.bigram_counts, lambda ids, v: counts(ids[:-1], v), "the last pair is missing"),
    (check.bigram_counts, lambda ids, v: pairs(ids[:-2], ids[2:], v), "two places apart"),
    (check.bigram_counts, lambda ids, v: pairs(ids, ids, v), "each token with itself"),
    (check.bigram_counts, mark, "mark pairs"),
    (check.bigram_counts, lambda ids, v: counts(ids, v) + 1, "You added 1"),
    (
        check.bigram_counts,
        lambda ids, v: counts(ids, v) / counts(ids, v).sum(1, keepdims=True).clip(1),
        "normalised each row",
    ),
    (
        check.bigram_counts,
        lambda ids, v: counts(ids, v) / counts(ids, v).sum(0, keepdims=True).clip(1),
        "over the wrong axis",
    ),
    (check.bigram_counts, lambda ids, v: counts(ids, max(ids) + 1), "the table is 5 x 5"),
    (check.bigram_counts, lambda ids, v: counts(ids, v) * 2, "nine pairs"),
    (check.bigram_counts, lambda ids, v: counts([*ids, ids[0]], v), "in a circle"),
    (check.bigram_counts, lambda ids, v: counts(ids, v) + counts(ids, v).T, "both directions"),
    (check.bigram_counts, lambda ids, v: counts([0, *ids, 0], v), "start and the end"),
    (check.bigram_counts, appends, "changes what it is given"),
    (check.bigram_counts, lambda ids, v: counts(ids, v) if v == 5 else np.zeros((v, v)), "wrong for two"),
    (check.pareto_keep, lambda scores, rng: rng.random(len(scores)) < scores, "equal to its score"),
    (check.pareto_keep, lambda scores, rng: keep(scores, rng) & (scores > 0), "one page in 512"),
    (
        check.pareto_keep,
        lambda scores, rng: rng.exponential(1 / 9, len(scores)) > 1 - scores,
        "parameter 9|512",
    ),
    (check.pareto_keep, lambda scores, rng: rng.pareto(8, len(scores)) > 1 - scores, "parameter 9"),
    (check.pareto_keep, lambda scores, rng: (2 - scores) ** -9.0, "one True or False"),
    (check.pareto_keep, lambda scores, rng: np.flatnonzero(keep(scores, rng)), "one True or False"),
    (check.pareto_keep, lambda scores, rng: rng.pareto(9) > 1 - scores, "the same answer"),
    (check.pareto_keep, lambda scores, rng: scores > 0.5, "the same answer"),
    (
        check.pareto_keep,
        lambda scores, rng: rng.pareto(9, len(scores)) + 1 > 1 - scores,
        "Every page is kept",
    ),
    (check.pareto_keep, lambda scores, rng: rng.pareto(9, len(scores)) < 1 - scores, "direction is wrong"),
    (check.pareto_keep, lambda scores, rng: rng.pareto(9, len(scores)) > scores, "You keep bad pages"),
    (check.pareto_keep, lambda scores, rng: rng.pareto(3, len(scores)) > 1 - scores, "parameter 9"),
    (check.pareto_keep, lambda scores, rng: keep(scores, np.random.default_rng(5)), "Draw from the rng"),
    (check.pareto_keep, lambda scores, rng: keep(scores, np.random.default_rng()), "Draw from the rng"),
]


TestChecks = exercise_tests(RIGHT, WRONG)
