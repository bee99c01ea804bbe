"""The checks of chapter 04, attention: scaling, masks, heads, and what a band saves."""

from collections.abc import Callable

import torch

from .harness import answers, compare, example, exercise, shape_of


@exercise(
    hint="score every key for every query, divide by the root of d, softmax over the keys, mix the values.",
    more="q @ k.T has a row of scores for each query; scale it, let softmax(dim=-1) make it sum to 1, and only then multiply by v.",
    praise="Right: scores scaled by the root of d, a softmax for each query, and a mix of the values.",
)
def attention(call: Callable) -> str | None:
    """Check `attention(q, k, v)`: softmax(q kᵀ / √d) v, for q (T, d), k and v (S, d)."""
    q, k, v = (torch.tensor(part).float() for part in example((3, 16), (5, 16), (5, 16)))
    scores = 3 * q @ k.T

    def mix(scores, values=v, dim=-1):
        return scores.softmax(dim) @ values

    mistakes = {
        "Divide the scores by the root of d, the width of a key, or the softmax saturates.": mix(scores),
        "You divided by d: divide by its root.": mix(scores / 16),
        "Your softmax is over the queries: each query's weights must sum to 1, so take dim=-1.": mix(
            scores / 4, dim=0
        ),
        "You mix the keys: the weights say how much of each value to take.": mix(scores / 4, k),
        "There is no softmax: scores are not weights, they do not sum to 1.": scores / 4 @ v,
        "You multiplied by the root of d: divide by it.": mix(scores * 4),
    }
    answer = call(3 * q, k, v)
    if shape_of(answer) != (3, 16):
        need = "For q (3, 16), k and v (5, 16) the result is (3, 16), a row for each query"
        return f"{need}; yours is {shape_of(answer)}."
    otherwise = "The result is not softmax(q kᵀ / √d) v: check each step of it."
    return compare(answer, mix(scores / 4), mistakes, otherwise, 1e-5)


@exercise(
    hint="the row is the position that looks, the column what it looks at: which half of the table is allowed?",
    more="torch.tril keeps the lower triangle of a table, with its diagonal: start from one that is True everywhere.",
    praise="Right: each position sees itself and everything before it, and nothing after it.",
)
def causal_mask(call: Callable) -> str | None:
    """Check `causal_mask(T)`: (T, T), True where the row's position may look at the column's."""
    ones = torch.ones(4, 4)
    right = ones.tril()
    mistakes = {
        "Your mask is transposed: it lets the first word see all later ones.": right.T,
        "A position must see itself too: it predicts what follows its own token.": ones.tril(-1),
        "Your mask shows one word ahead, so the model could copy the answer.": ones.tril(1),
        "That is the opposite: True must mean that looking is allowed.": 1 - right,
        "Every position sees every other: nothing keeps the model from reading the answer.": ones,
    }
    otherwise = "For T = 4 the rows must hold 1, 2, 3 and 4 times True, from the left."
    return compare(call(4), right, mistakes, otherwise)


@exercise(
    hint="view cuts the last axis into heads without moving a number; transpose then swaps two axes.",
    more="view as (B, T, n_head, C // n_head), so that each position keeps its own numbers, and then transpose axes 1 and 2.",
    praise="Right: each head has its own part of every position, in the order of the text.",
)
def split_heads(call: Callable) -> str | None:
    """Check `split_heads(x, n_head)`: (B, T, C) to (B, n_head, T, C / n_head)."""
    x = torch.arange(2.0 * 3 * 8).view(2, 3, 8)
    right = x.view(2, 3, 4, 2).transpose(1, 2)  # (B, n_head, T, d_head)
    mistakes = {
        "The shape is right but the numbers are mixed up: view(B, n_head, T, -1) tears positions apart. "
        "First view(B, T, n_head, -1), then transpose(1, 2).": x.view(2, 4, 3, 2),
        "The heads must come before the positions: add transpose(1, 2).": x.view(2, 3, 4, 2),
    }
    answer = call(x, 4)
    otherwise = f"For x (2, 3, 8) and 4 heads the result is (2, 4, 3, 2); yours is {shape_of(answer)}."
    if shape_of(answer) == (2, 4, 3, 2):
        otherwise = "The shape is right, but head h must hold columns 2h and 2h + 1 of every position."
    return compare(answer, right, mistakes, otherwise)


@exercise(
    hint="how many positions does position t see? At the start all up to itself, later a whole window.",
    more="position t, counted from 0, sees t + 1 positions or a window, whichever is smaller; add that up over range(T).",
    praise="Right: a triangle at the start, and then a band whose cost grows in proportion to T.",
)
def pairs_in_band(call: Callable) -> str | None:
    """Check `pairs_in_band(T, window)`: how many pairs of positions a banded causal mask allows."""
    cases = [(6, 3), (5, 5), (4, 9), (1, 1), (2048, 64)]

    def seen(at_most):
        return [sum(at_most(t, window) for t in range(T)) for T, window in cases]

    mistakes = {
        "That is the whole triangle: no position sees further back than the window.": seen(
            lambda t, w: t + 1
        ),
        "The first positions see less: position 0 sees one, not a whole window.": seen(lambda t, w: w),
        "The window includes the position itself: with window 1 it sees only itself.": seen(
            lambda t, w: min(t, w) + 1
        ),
        "A position sees itself too: count it.": seen(lambda t, w: min(t, w - 1)),
    }
    right = seen(lambda t, w: min(t + 1, w))
    otherwise = f"For T = 6 and window 3 there are {right[0]} pairs; check a window longer than the text too."
    return compare(answers(call, cases), right, mistakes, otherwise)
