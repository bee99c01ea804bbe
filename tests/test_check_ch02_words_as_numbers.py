"""The checks of chapter 02, second page: words as numbers."""

import re
from collections import deque

import numpy as np
import torch
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


def cosines(W, i):
    U = W / np.linalg.norm(W, axis=1, keepdims=True)
    return U @ U[i]


def by_columns(W, i):
    U = W / np.linalg.norm(W, axis=0)
    return U @ U[i]


def with_slopes(v, u, negatives):
    p, q = sigmoid(v @ u), sigmoid(negatives @ v)
    return (p - 1) * p * (1 - p) * u + (q * q * (1 - q)) @ negatives


def windows(ids, n, shift=0, step=1):
    padded = [0] * n + ids + [0]
    return [padded[t + shift : t + shift + n][::step] for t in range(len(ids))], ids


def by_regex(word, pieces):
    longest_first = sorted(pieces, key=len, reverse=True)
    found = re.findall("|".join(map(re.escape, longest_first)) + "|.", word)
    return tuple(piece if piece in pieces else "?" for piece in found)


def recursive(word, pieces):
    if not word:
        return []
    piece = max((p for p in pieces if word.startswith(p)), key=len, default="")
    return [piece or "?", *recursive(word[len(piece) or 1 :], pieces)]


def longest_anywhere(word, pieces):
    piece = max((p for p in pieces if p in word), key=len, default="")
    if not piece:
        return ["?"] * len(word)
    before, _, after = word.partition(piece)
    return [*longest_anywhere(before, pieces), piece, *longest_anywhere(after, pieces)]


def one_mark_a_run(word, pieces):
    return re.sub(r"(\? )+", "? ", " ".join(longest_match(word, pieces)) + " ").split()


def by_torch(W, i, k):
    W = torch.tensor(W)
    scores = torch.nn.functional.cosine_similarity(W, W[i], dim=1)
    return [int(j) for j in scores.topk(k + 1).indices if j != i][:k]


def pull_by_autograd(v, u, negatives):
    v = torch.tensor(v, requires_grad=True)
    pairs = torch.cat([torch.tensor(u)[None] @ v, -torch.tensor(negatives) @ v])
    (-torch.nn.functional.logsigmoid(pairs).sum()).backward()
    return v.grad


def pull_by_loop(v, u, negatives):
    total = (sigmoid(v @ u) - 1) * u
    for other in negatives:
        total += sigmoid(v @ other) * other
    return list(total)


def strided(ids, n):
    padded = np.concatenate([np.zeros(n, dtype=int), ids])
    return np.lib.stride_tricks.sliding_window_view(padded, n)[:-1].copy(), np.array(ids)


def by_deque(ids, n):
    last, contexts = deque([0] * n, maxlen=n), []
    for i in ids:
        contexts.append(tuple(last))
        last.append(i)
    return torch.tensor(contexts), torch.tensor(ids)


def filled(ids, n, fill):
    padded = [*fill, *ids]
    return [padded[t : t + n] for t in range(len(ids))], ids


RIGHT = [
    (check.longest_match, longest_match),
    (check.longest_match, by_regex),
    (check.longest_match, recursive),
    (check.nearest, by_torch),
    (check.nearest, lambda W, i, k: np.argsort(-(W @ W[i]) / np.linalg.norm(W, axis=1))[1 : k + 1]),
    (check.pull, pull_by_autograd),
    (check.pull, pull_by_loop),
    (check.windows, strided),
    (check.windows, by_deque),
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
    (check.longest_match, longest_anywhere, "From left to right"),
    (
        check.longest_match,
        lambda w, p: re.findall("|".join(sorted(p, key=len)[::-1]) + "|.", w),
        "You keep a",
    ),
    (
        check.longest_match,
        lambda w, p: (f := longest_match(w, p)) and (["?"] if "?" in f else f),
        "One unknown",
    ),
    (check.longest_match, one_mark_a_run, "Two unknown letters"),
    (check.longest_match, lambda w, p: [len(x) for x in longest_match(w, p)], "list of strings"),
    (check.nearest, lambda *a: nearest(*a, own=True), "not its own neighbour"),
    (check.nearest, lambda *a: nearest(*a, scores=lambda W, i: W @ W[i]), "favours long rows"),
    (check.nearest, lambda *a: nearest(*a, scores=lambda W, i: W @ W[i], own=True), "by the lengths"),
    (
        check.nearest,
        lambda *a: nearest(*a, scores=lambda W, i: -np.linalg.norm(W - W[i], axis=1)),
        "rank by distance",
    ),
    (check.nearest, lambda *a: nearest(*a, up=True), "farthest"),
    (check.nearest, lambda W, i, k: by_torch(W / np.linalg.norm(W, axis=0), i, k), "wrong"),
    (check.nearest, lambda *a: nearest(*a, scores=by_columns), "length of columns"),
    (check.nearest, lambda *a: nearest(*a, scores=lambda W, i: np.abs(cosines(W, i))), "opposite direction"),
    (check.nearest, lambda W, i, k: np.sort(np.delete(cosines(W, i), i))[::-1][:k], "Those are the cosines"),
    (check.nearest, lambda *a: sorted(nearest(*a)), "you sorted their numbers"),
    (check.nearest, lambda *a: nearest(*a)[::-1], "best must come first"),
    (check.nearest, lambda W, i, k: nearest(W, i, k + 1), "return 4 ids"),
    (check.nearest, lambda W, i, k: [0, 0, 0, 0], "your neighbours are wrong"),
    (check.pull, lambda *a: -pull(*a), "raises the loss"),
    (check.pull, lambda *a: pull(*a) - 2 * pull(*a, n=0.0), "true pair has the wrong sign"),
    (check.pull, lambda *a: pull(*a, n=-1.0), "negatives have the wrong sign"),
    (check.pull, lambda *a: pull(*a, true=0.0), "true pair should say 1"),
    (check.pull, lambda *a: pull(*a, false=-1.0), "negatives should say 0"),
    (check.pull, lambda *a: pull(*a, n=0.0), "left out the negatives"),
    (check.pull, lambda v, u, n: (sigmoid(v @ u) - 1 + sigmoid(n @ v).sum()) * v, "gradient for u"),
    (check.pull, with_slopes, "slope of the sigmoid has cancelled"),
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
    (check.windows, lambda ids, n: filled(ids, n, [ids[0]] * n), "not copies of the first"),
    (check.windows, lambda ids, n: filled(ids, n, ids[-n:]), "not the last tokens"),
    (check.windows, lambda ids, n: filled(ids, n, [-1] * n), "there are zeros; yours are -1"),
    (check.windows, lambda ids, n: windows(ids, n) if n < len(ids) else ([ids] * 2, ids), "may be shorter"),
    (check.windows, lambda ids, n: (windows(ids, n)[0], ids[1:]), "must be \\(6, 3\\)"),
    (check.windows, lambda ids, n: (windows(ids, n)[0], [*ids[1:], 0]), "your targets are different"),
    (check.windows, lambda ids, n: windows(ids, n)[0], "Return two things"),
    (check.windows, lambda ids, n: ([[1] * n] * len(ids), ids), "your contexts are wrong"),
]


TestChecks = exercise_tests(RIGHT, WRONG)
