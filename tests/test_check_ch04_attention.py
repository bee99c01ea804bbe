"""The checks of chapter 04, attention."""

import numpy as np
import torch
from exercise_cases import exercise_tests
from textgen import check
from torch.nn import functional as F


def attention(q, k, v, power=0.5, dim=-1):
    return (q @ k.T / k.size(-1) ** power).softmax(dim) @ v


def weights(q, k):
    return (q @ k.T / k.size(-1) ** 0.5).softmax(-1)


def the_chapters(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ v, scores.softmax(dim=-1)


def in_numpy(q, k, v):
    scores = np.exp(q.numpy() @ k.numpy().T / np.sqrt(k.shape[1]))
    return scores / scores.sum(axis=1, keepdims=True) @ v.numpy()


def in_place(q, k, v):
    q /= k.size(1) ** 0.5
    v *= 1
    return (q @ k.T).softmax(1) @ v


def in_loops(q, k, v):
    rows = []
    for query in q:
        row = torch.stack([query @ key for key in k]) / k.shape[1] ** 0.5
        rows.append(sum(weight * value for weight, value in zip(row.softmax(0), v)))
    return torch.stack(rows)


def masked(q, k, v):
    later = torch.ones(len(q), len(k)).triu(1).bool()
    return (q @ k.T / k.size(-1) ** 0.5).masked_fill(later, -torch.inf).softmax(-1) @ v


def triangle(diagonal=0):
    return lambda T: torch.ones(T, T).tril(diagonal).bool()


def heads(x, n):
    return x.view(*x.shape[:2], n, -1).transpose(1, 2)


def pairs(T, window):
    return sum(min(t + 1, window) for t in range(T))


def counted(T, window):
    back = np.arange(T)[:, None] - np.arange(T)
    return ((back >= 0) & (back < window)).sum()


def in_closed_form(T, window):
    w = min(T, window)
    return w * (w + 1) / 2 + (T - w) * w


RIGHT = [
    (check.attention, attention),
    (check.attention, the_chapters),
    (check.attention, F.scaled_dot_product_attention),
    (check.attention, in_numpy),
    (check.attention, in_place),
    (check.attention, in_loops),
    (check.causal_mask, triangle()),
    (check.causal_mask, lambda T: np.tri(T, dtype=bool)),
    (check.causal_mask, lambda T: torch.arange(T)[:, None] >= torch.arange(T)),
    (check.causal_mask, lambda T: [[column <= row for column in range(T)] for row in range(T)]),
    (check.causal_mask, lambda T: triangle()(T)[None, None]),
    (check.split_heads, heads),
    (check.split_heads, lambda x, n: torch.stack(x.chunk(n, dim=-1), dim=1)),
    (check.split_heads, lambda x, n: np.moveaxis(x.numpy().reshape(*x.shape[:2], n, -1), 2, 1)),
    (check.pairs_in_band, pairs),
    (check.pairs_in_band, counted),
    (check.pairs_in_band, in_closed_form),
]
WRONG = [
    (check.attention, lambda q, k, v: attention(q, k, v, 0), "root of d, the width"),
    (check.attention, lambda q, k, v: attention(q, k, v, 1), "You divided by d"),
    (check.attention, lambda q, k, v: attention(q, k, v, -0.5), "divide by it"),
    (check.attention, lambda q, k, v: attention(q, k, v, dim=0), "over the queries"),
    (check.attention, lambda q, k, v: attention(q, k, k), "mix the keys"),
    (check.attention, lambda q, k, v: weights(q, k), "These are the weights"),
    (check.attention, lambda q, k, v: q @ k.T / k.size(1) ** 0.5 @ v, "no softmax"),
    (check.attention, lambda q, k, v: (q @ k.T).softmax(-1) / k.size(1) ** 0.5 @ v, "scaled the weights"),
    (check.attention, lambda q, k, v: (q @ k.T / len(k) ** 0.5).softmax(-1) @ v, "number of keys"),
    (check.attention, lambda q, k, v: (q @ k.T / len(q) ** 0.5).softmax(-1) @ v, "number of queries"),
    (check.attention, lambda q, k, v: (q @ k.T / v.size(1) ** 0.5).softmax(-1) @ v, "check each step"),
    (check.attention, lambda q, k, v: (q @ k.T / 4).softmax(-1) @ v, "check each step"),
    (check.attention, lambda q, k, v: (s := q @ k.T) / s.sum(-1, keepdim=True) @ v, "Scores can be negative"),
    (check.attention, lambda q, k, v: v[(q @ k.T).argmax(1)], "best key alone"),
    (check.attention, masked, "later keys"),
    (check.attention, lambda q, k, v: v.mean(0).expand(len(q), -1), "counts the same"),
    (check.attention, lambda q, k, v: q @ k.T, r"yours is \(3, 5\)"),
    (check.attention, lambda q, k, v: list(attention(q, k, v)), "yours is list"),
    (check.attention, lambda q, k, v: 2 * attention(q, k, v), "check each step"),
    (check.causal_mask, lambda T: triangle()(T).T, "transposed"),
    (check.causal_mask, triangle(-1), "see itself too"),
    (check.causal_mask, triangle(1), "one word ahead"),
    (check.causal_mask, lambda T: ~triangle()(T), "opposite"),
    (check.causal_mask, lambda T: torch.ones(T, T).bool(), "Every position"),
    (check.causal_mask, lambda T: torch.eye(T).bool(), "itself alone"),
    (check.causal_mask, lambda T: torch.ones(T, T).tril(), "holds numbers"),
    (check.causal_mask, lambda T: torch.full((T, T), -torch.inf).triu(1), "added to the scores"),
    (check.causal_mask, lambda T: triangle()(4), r"For T = 6 the result is \(6, 6\)"),
    (check.causal_mask, lambda T: triangle()(T).flip(1), "1 to 4 times True"),
    (check.causal_mask, lambda T: triangle()(T) & ~triangle(-3)(T), "1 to 4 times True"),
    (check.causal_mask, lambda T: True, "yours is bool"),
    (check.split_heads, lambda x, n: x.view(x.size(0), n, x.size(1), -1), "tears positions apart"),
    (check.split_heads, lambda x, n: x.view(*x.shape[:2], n, -1), "before the positions: swap"),
    (check.split_heads, lambda x, n: x, r"yours is \(2, 3, 8\)"),
    (check.split_heads, lambda x, n: heads(x, n).flip(1), "columns of every position"),
    (check.split_heads, lambda x, n: x.view(*x.shape[:2], -1, n).permute(0, 3, 1, 2), "every n-th number"),
    (check.split_heads, lambda x, n: x.mT.reshape(len(x), n, x.size(1), -1), "before you cut"),
    (check.split_heads, lambda x, n: heads(x, n).mT, "last two axes are swapped"),
    (check.split_heads, lambda x, n: heads(x, n).transpose(0, 1), "heads are the first axis"),
    (check.split_heads, lambda x, n: x.chunk(n, dim=-1), "a list of heads"),
    (check.split_heads, lambda x, n: heads(x, 4), r"yours is|RuntimeError"),
    (check.pairs_in_band, lambda T, w: T * (T + 1) // 2, "whole triangle"),
    (check.pairs_in_band, lambda T, w: T * w, "first positions"),
    (check.pairs_in_band, lambda T, w: pairs(T, w + 1), "includes the position itself"),
    (check.pairs_in_band, lambda T, w: sum(min(t, w - 1) for t in range(T)), "sees itself too"),
    (check.pairs_in_band, lambda T, w: sum(min(t, w) for t in range(T)), "one row too small|sees itself"),
    (check.pairs_in_band, lambda T, w: T * w - w * (w - 1) // 2, "fits into the text"),
    (check.pairs_in_band, lambda T, w: T * T - pairs(T, w), "may not meet"),
    (
        check.pairs_in_band,
        lambda T, w: sum(abs(a - b) < w for a in range(T) for b in range(T)),
        "look ahead as well",
    ),
    (check.pairs_in_band, lambda T, w: 7, "there are 15"),
]


TestChecks = exercise_tests(RIGHT, WRONG)
