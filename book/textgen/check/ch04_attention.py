"""The checks of chapter 04, attention: scaling, masks, heads, and what a band saves."""

from collections.abc import Callable

import torch

from .harness import attempt, compare, exercise


def example(*shape: int, seed: int = 0) -> torch.Tensor:
    """The same numbers of this shape at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@exercise(
    hint="scores = q @ k.transpose(-2, -1) / math.sqrt(d); softmax over the last axis; then @ v.",
    praise="Right: scaled by the root of the width, one softmax for each query, and the values mixed.",
)
def attention(call: Callable) -> str | None:
    """Check `attention(q, k, v)`: softmax(q kᵀ / √d) v, for q (T, d), k and v (S, d)."""
    q, k, v = 3 * example(3, 16), example(5, 16, seed=1), example(5, 16, seed=2)
    scores = q @ k.T
    right = (scores / 4).softmax(-1) @ v
    mistakes = {
        "Divide the scores by the root of d, the width of a key: without it the softmax saturates.": scores.softmax(
            -1
        )
        @ v,
        "You divided by d: divide by its root.": (scores / 16).softmax(-1) @ v,
        "The softmax runs over the queries: each query's weights must sum to 1, so take dim=-1.": (
            scores / 4
        ).softmax(0)
        @ v,
        "You mix the keys: the weights say how much of each value to take.": (scores / 4).softmax(-1) @ k,
        "There is no softmax: scores are not weights, they do not sum to 1.": scores / 4 @ v,
        "You multiplied by the root of d: divide by it.": (scores * 4).softmax(-1) @ v,
    }
    answer = call(q, k, v)
    if tuple(getattr(answer, "shape", ())) != (3, 16):
        return f"For q (3, 16), k and v (5, 16) the result is (3, 16): a row for each query. Yours is {shape(answer)}."
    otherwise = "The result is not softmax(q kᵀ / √d) v: check each step against the five lines above."
    return compare(answer, right, mistakes, otherwise, 1e-5)


@exercise(
    hint="torch.ones(T, T) with tril, as booleans: row = the position that looks, column = what it looks at.",
    praise="Right: each position sees itself and what stands before it, and nothing that comes later.",
)
def causal_mask(call: Callable) -> str | None:
    """Check `causal_mask(T)`: (T, T), True where the row's position may look at the column's."""
    right = torch.ones(4, 4).tril()
    mistakes = {
        "Rows and columns are swapped: yours lets the first word see all that follow.": right.T,
        "A position must see itself too: its own token is what it continues.": torch.ones(4, 4).tril(-1),
        "Yours sees one word ahead: the answer would be there to copy.": torch.ones(4, 4).tril(1),
        "That is the opposite: True must mean that looking is allowed.": 1 - right,
        "Everything may look at everything: nothing keeps the model from reading the answer.": torch.ones(
            4, 4
        ),
    }
    otherwise = "For T = 4 the rows must hold 1, 2, 3 and 4 times True, from the left."
    return compare(call(4), right, mistakes, otherwise)


@exercise(
    hint="x.view(B, T, n_head, -1) cuts each row into heads; then transpose(1, 2) puts the heads before the positions.",
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
    otherwise = f"For x (2, 3, 8) and 4 heads the result is (2, 4, 3, 2); yours is {shape(answer)}."
    if tuple(getattr(answer, "shape", ())) == (2, 4, 3, 2):
        otherwise = "The shape is right, but head h must hold columns 2h and 2h + 1 of every position."
    return compare(answer, right, mistakes, otherwise)


@exercise(
    hint="position t sees min(t + 1, window) positions, with t from 0; add them up.",
    praise="Right: the triangle at the start, and then a band whose cost grows only with T.",
)
def pairs_in_band(call: Callable) -> str | None:
    """Check `pairs_in_band(T, window)`: how many pairs of positions a banded causal mask allows."""
    cases = [(6, 3), (5, 5), (4, 9), (1, 1), (2048, 64)]
    right = [sum(min(t + 1, w) for t in range(T)) for T, w in cases]
    mistakes = {
        "That is the whole triangle: no position may look further back than the window.": [
            T * (T + 1) / 2 for T, _ in cases
        ],
        "The first positions have less to look at: position 0 sees one, not a whole window.": [
            T * w for T, w in cases
        ],
        "A position counts as part of its own window: window 1 sees itself alone.": [
            sum(min(t + 1, w + 1) for t in range(T)) for T, w in cases
        ],
        "A position sees itself too: count it.": [sum(min(t, w - 1) for t in range(T)) for T, w in cases],
    }
    T, w = cases[0]
    answers = [call(T, w), *(attempt(call, *case) for case in cases[1:])]
    return compare(
        answers, right, mistakes, f"For T = {T} and window {w} there are {right[0]}; yours differ."
    )


def shape(answer) -> str:
    """How an answer's shape reads in a sentence."""
    return str(tuple(answer.shape)) if hasattr(answer, "shape") else type(answer).__name__
