"""The checks of chapter 04, attention."""

import torch
from exercise_cases import exercise_tests
from textgen import check


def attention(q, k, v, power=0.5, dim=-1):
    return (q @ k.T / k.size(-1) ** power).softmax(dim) @ v


def triangle(diagonal=0):
    return lambda T: torch.ones(T, T).tril(diagonal).bool()


def pairs(T, window):
    return sum(min(t + 1, window) for t in range(T))


RIGHT = [
    (check.attention, attention),
    (check.causal_mask, triangle()),
    (check.split_heads, lambda x, n: x.view(*x.shape[:2], n, -1).transpose(1, 2)),
    (check.pairs_in_band, pairs),
]
WRONG = [
    (check.attention, lambda q, k, v: attention(q, k, v, 0), "root of d, the width"),
    (check.attention, lambda q, k, v: attention(q, k, v, 1), "You divided by d"),
    (check.attention, lambda q, k, v: attention(q, k, v, -0.5), "divide by it"),
    (check.attention, lambda q, k, v: attention(q, k, v, dim=0), "over the queries"),
    (check.attention, lambda q, k, v: attention(q, k, k), "mix the keys"),
    (check.attention, lambda q, k, v: q @ k.T / 4 @ v, "no softmax"),
    (check.attention, lambda q, k, v: q @ k.T, r"yours is \(3, 5\)"),
    (check.attention, lambda q, k, v: 2 * attention(q, k, v), "check each step"),
    (check.causal_mask, lambda T: triangle()(T).T, "transposed"),
    (check.causal_mask, triangle(-1), "see itself too"),
    (check.causal_mask, triangle(1), "one word ahead"),
    (check.causal_mask, lambda T: ~triangle()(T), "opposite"),
    (check.causal_mask, lambda T: torch.ones(T, T), "Every position"),
    (check.causal_mask, lambda T: torch.eye(T), "1, 2, 3 and 4"),
    (check.split_heads, lambda x, n: x.view(x.size(0), n, x.size(1), -1), "tears positions apart"),
    (check.split_heads, lambda x, n: x.view(*x.shape[:2], n, -1), "add transpose"),
    (check.split_heads, lambda x, n: x, r"yours is \(2, 3, 8\)"),
    (check.split_heads, lambda x, n: x.view(*x.shape[:2], n, -1).transpose(1, 2).flip(1), "columns 2h"),
    (check.pairs_in_band, lambda T, w: T * (T + 1) // 2, "whole triangle"),
    (check.pairs_in_band, lambda T, w: T * w, "first positions"),
    (check.pairs_in_band, lambda T, w: pairs(T, w + 1), "includes the position itself"),
    (check.pairs_in_band, lambda T, w: sum(min(t, w - 1) for t in range(T)), "sees itself too"),
    (check.pairs_in_band, lambda T, w: 7, "there are 15"),
]


TestChecks = exercise_tests(RIGHT, WRONG)
