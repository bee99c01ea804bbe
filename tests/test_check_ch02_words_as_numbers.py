"""The checks of chapter 02, second page: words as numbers."""

import numpy as np
from exercise_cases import exercise_tests
from scipy.special import expit as sigmoid
from textgen import check


def longest_match(word, pieces, shortest=False, unknown="?"):
    found = []
    while word:
        lengths = range(1, len(word) + 1) if shortest else range(len(word), 0, -1)
        n = next((n for n in lengths if word[:n] in pieces), 0)
        found += [word[:n]] if n else [unknown] if unknown else []
        word = word[max(n, 1) :]
    return found


def nearest(W, i, k, scores=None, own=False, up=False):
    U = W / np.linalg.norm(W, axis=1, keepdims=True)
    scores = U @ U[i] if scores is None else scores(W, i)
    return [j for j in np.argsort(scores if up else -scores) if own or j != i][:k]


def pull(v, u, negatives, true=-1.0, false=0.0, n=1.0):
    return (sigmoid(v @ u) + true) * u + n * (sigmoid(negatives @ v) + false) @ negatives


def windows(ids, n, shift=0, step=1):
    padded = [0] * n + ids + [0]
    return [padded[t + shift : t + shift + n][::step] for t in range(len(ids))], ids


RIGHT = [
    (check.longest_match, longest_match),
    (check.nearest, nearest),
    (check.nearest, lambda *a: np.array(nearest(*a))),
    (check.pull, pull),
    (check.windows, windows),
    (check.windows, lambda ids, n: tuple(np.array(part) for part in windows(ids, n))),
]
WRONG = [
    (check.longest_match, lambda w, p: longest_match(w, p, shortest=True), "shortest piece"),
    (check.longest_match, lambda w, p: longest_match(w, p)[::-1], "wrong order"),
    (check.longest_match, lambda w, p: longest_match(w, p, unknown=""), "You drop a letter"),
    (check.longest_match, lambda w, p: longest_match(w, p, unknown="!"), "'a-t' should give"),
    (check.longest_match, lambda w, p: " ".join(longest_match(w, p)), "list of strings"),
    (check.longest_match, lambda w, p: [w] if w in p else list(w), "'understand' should give"),
    (check.nearest, lambda *a: nearest(*a, own=True), "not its own neighbour"),
    (check.nearest, lambda *a: nearest(*a, scores=lambda W, i: W @ W[i]), "favours long rows"),
    (check.nearest, lambda *a: nearest(*a, scores=lambda W, i: W @ W[i], own=True), "by the lengths"),
    (
        check.nearest,
        lambda *a: nearest(*a, scores=lambda W, i: -np.linalg.norm(W - W[i], axis=1)),
        "rank by distance",
    ),
    (check.nearest, lambda *a: nearest(*a, up=True), "farthest"),
    (check.nearest, lambda *a: nearest(*a)[::-1], "best must come first"),
    (check.nearest, lambda W, i, k: nearest(W, i, k + 1), "return 4 ids"),
    (check.nearest, lambda W, i, k: [0, 0, 0, 0], "your neighbours are wrong"),
    (check.pull, lambda *a: -pull(*a), "raises the loss"),
    (check.pull, lambda *a: pull(*a) - 2 * pull(*a, n=0.0), "true pair has the wrong sign"),
    (check.pull, lambda *a: pull(*a, n=-1.0), "negatives have the wrong sign"),
    (check.pull, lambda *a: pull(*a, true=0.0), "true pair should say 1"),
    (check.pull, lambda *a: pull(*a, false=-1.0), "negatives should say 0"),
    (check.pull, lambda *a: pull(*a, n=0.0), "left out the negatives"),
    (check.pull, lambda *a: pull(*a) - pull(*a, n=0.0), "left out the true pair"),
    (check.pull, lambda *a: pull(*a, n=1 / 5), "add them up"),
    (
        check.pull,
        lambda v, u, n: pull(v, u, n, n=0.0) + sigmoid(n @ v).mean() * n.sum(axis=0),
        "pushes by its own error",
    ),
    (check.pull, lambda v, u, n: n, "has the shape of v"),
    (check.pull, lambda v, u, n: v, "your gradient is wrong"),
    (check.windows, lambda ids, n: windows(ids, n, shift=1), "contain their own targets"),
    (check.windows, lambda ids, n: windows(ids, n, step=-1), "run backwards"),
    (check.windows, lambda ids, n: (windows([0, *ids], n)[0][:-1], ids), "one token too early"),
    (
        check.windows,
        lambda ids, n: ([sorted(r, key=lambda i: i == 0) for r in windows(ids, n)[0]], ids),
        "zeros come after",
    ),
    (check.windows, lambda ids, n: (windows(ids, n)[0][n:], ids[n:]), "first targets are missing"),
    (check.windows, lambda ids, n: (windows(ids, n)[0], ids[1:]), "must be \\(6, 3\\)"),
    (check.windows, lambda ids, n: (windows(ids, n)[0], [*ids[1:], 0]), "your targets are different"),
    (check.windows, lambda ids, n: windows(ids, n)[0], "Return two things"),
    (check.windows, lambda ids, n: ([[1] * n] * len(ids), ids), "your contexts are wrong"),
]


TestChecks = exercise_tests(RIGHT, WRONG)
