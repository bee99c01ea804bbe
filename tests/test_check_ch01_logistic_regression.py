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


RIGHT = [
    (check.sigmoid, expit),
    (check.sigmoid, lambda z: 0.5 * (1 + np.tanh(np.asarray(z) / 2))),
    (check.cross_entropy, loss),
    (check.cross_entropy, lambda p, y: each(np.clip(p, 1e-7, 1 - 1e-7), y).mean()),
    (check.gradient, gradient),
    (check.gradient, lambda *a: np.array(gradient(*a))),
    (check.gradient, lambda *a: torch.tensor(gradient(*a))),
    (check.bigram_counts, counts),
    (check.bigram_counts, lambda ids, v: counts(ids, v).tolist()),
    (check.pareto_keep, keep),
    (check.pareto_keep, lambda scores, rng: rng.pareto(9, len(scores)) + scores > 1),
]
WRONG = [
    (check.sigmoid, lambda z: expit(-z), "sign of z"),
    (check.sigmoid, np.tanh, "tanh"),
    (check.sigmoid, lambda z: 1 / (1 + math.exp(-z)), "does not take an array"),
    (check.sigmoid, lambda z: expit(z).sum(), "does not take an array"),
    (check.sigmoid, plain_sigmoid, "exp overflows"),
    (check.sigmoid, lambda z: np.exp(z) / (1 + np.exp(z)), "exp overflows"),
    (check.sigmoid, lambda z: expit(z) if np.ndim(z) else [0.0, 0.0], "not a single number"),
    (check.sigmoid, lambda z: np.array([expit(v) for v in z]), "not a single number"),
    (check.sigmoid, lambda z: expit(2 * z), "At z = 0 and 3"),
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
    (check.cross_entropy, lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(), "you take log"),
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
