"""The checks of chapter 04, attention: scaling, masks, heads, and what a band saves."""

import math
from collections.abc import Callable

import numpy as np
import torch

from .harness import answers, compare, example, exercise, near, shape_of


@exercise(
    hint="ask every key how well it fits the query, turn the answers into shares of one, and mix the values by these shares.",
    more="before they become shares, the scores are made smaller by a number that depends on the width of a key and on nothing else.",
    praise="Right: scores scaled by the root of d, a softmax for each query, and a mix of the values.",
)
def attention(call: Callable) -> str | None:
    """Check `attention(q, k, v)`: softmax(q kᵀ / √d) v, for q (T, d), k and v (S, d).

    A pair (mixed, weights), as the chapter's own function returns it, counts by its first part.
    """
    found = (attention_once(call, *sizes) for sizes in ((3, 5, 16, 6), (4, 4, 9, 9)))
    return next(filter(None, found), None)


def attention_once(call: Callable, T: int, S: int, d: int, width: int) -> str | None:
    """Check it for T queries, S keys of d numbers, and values of `width`."""
    q, k, v = (torch.tensor(part).float() for part in example((T, d), (S, d), (S, width)))
    scores, root = q @ k.T / 2, math.sqrt(d)
    weights = (scores / root).softmax(-1)
    soft = {  # what stands in for the weights
        "Divide the scores by the root of d, the width of a key, or the softmax saturates.": scores.softmax(
            -1
        ),
        "You divided by d: divide by its root.": (scores / d).softmax(-1),
        "Your softmax is over the queries: each query's weights must sum to 1.": (scores / root).softmax(0),
        "There is no softmax: scores are not weights, they do not sum to 1.": scores / root,
        "You multiplied by the root of d: divide by it.": (scores * root).softmax(-1),
        "You scaled the weights: scale the scores, before the softmax.": scores.softmax(-1) / root,
        "The root is that of the number of keys: it must be that of their width, d.": (
            scores / S**0.5
        ).softmax(-1),
        "The root is that of the number of queries: it must be that of the keys' width, d.": (
            scores / T**0.5
        ).softmax(-1),
        "Scores can be negative, so dividing them by their sum makes no weights: use the softmax.": scores
        / scores.sum(-1, keepdim=True),
        "You take the best key alone, as a plain dictionary does: mix all values by the softmax.": (
            scores == scores.amax(-1, keepdim=True)
        ).float(),
        "You hid later keys with a mask: here every query may look at every key.": (scores / root)
        .masked_fill(torch.ones(T, S).triu(1).bool(), -torch.inf)
        .softmax(-1),
        "Every value counts the same: the weights must come from the queries and the keys.": torch.full(
            (T, S), 1 / S
        ),
    }
    mistakes = {sentence: wrong @ v for sentence, wrong in soft.items()}
    mistakes["You mix the keys: the weights say how much of each value to take."] = weights @ k
    mistakes["These are the weights: the last step mixes the values by them."] = weights
    right = weights @ v
    answer = call(q / 2, k.clone(), v.clone())
    if isinstance(answer, tuple) and len(answer) == 2:
        answer = answer[0]
    need = f"For q {(T, d)}, k {(S, d)} and v {(S, width)} the result is {(T, width)}, a row for each query"
    otherwise = f"{need}; yours is {shape_of(answer)}."
    if shape_of(answer) == (T, width):
        otherwise = "The result is not softmax(q kᵀ / √d) v: check each step of it."
    elif isinstance(answer, list | tuple):
        answer = math.nan
    return compare(answer, right, mistakes, otherwise, 1e-5)


@exercise(
    hint="the row is the position that looks, the column what it looks at: which half of the table is allowed?",
    more="write the table for T = 3 on paper, where the first row holds one True, the second two and the last three: which triangle is that?",
    praise="Right: each position sees itself and everything before it, and nothing after it.",
)
def causal_mask(call: Callable) -> str | None:
    """Check `causal_mask(T)`: (T, T), True where the row's position may look at the column's."""
    found = (causal_mask_once(call(T), T) for T in (4, 6, 1))
    return next(filter(None, found), None)


def causal_mask_once(answer, T: int) -> str | None:
    """Check the mask for T positions."""
    ones = np.ones((T, T))
    right = np.tril(ones)
    mistakes = {
        "Your mask is transposed: it lets the first word see all later ones.": right.T,
        "A position must see itself too: it predicts what follows its own token.": np.tril(ones, -1),
        "Your mask shows one word ahead, so the model could copy the answer.": np.tril(ones, 1),
        "That is the opposite: True must mean that looking is allowed.": 1 - right,
        "Every position sees every other: nothing keeps the model from reading the answer.": ones,
        "Each position sees itself alone: the words before it must be there to look at.": np.eye(T),
        "That mask is made to be added to the scores: here True allows and False forbids.": np.where(
            right, 0, -np.inf
        ),
    }
    kind, answer = shape_of(answer), np.asarray(answer)
    if answer.size == T * T and answer.shape[-2:] == (T, T):
        answer = answer.reshape(T, T)  # axes of length 1 before them do no harm
    otherwise = f"For T = {T} the result is {(T, T)}; yours is {answer.shape or kind}."
    if answer.shape == (T, T):
        otherwise = f"For T = {T} the rows must hold 1 to {T} times True, from the left."
    if near(answer, right) and answer.dtype != bool:
        return "The places are right, but it holds numbers: attention's ~mask needs True and False."
    return compare(answer, right, mistakes, otherwise)


@exercise(
    hint="each position keeps its own numbers: first say which of them belong to which head, and only then change the order of the axes.",
    more="an axis can be cut in two without moving a number, but if you ask for the final shape at once, numbers of several positions end up in one head.",
    praise="Right: each head has its own part of every position, in the order of the text.",
)
def split_heads(call: Callable) -> str | None:
    """Check `split_heads(x, n_head)`: (B, T, C) to (B, n_head, T, C / n_head)."""
    found = (split_heads_once(call, *sizes) for sizes in ((2, 3, 8, 4), (2, 5, 6, 2)))
    return next(filter(None, found), None)


def split_heads_once(call: Callable, B: int, T: int, C: int, n: int) -> str | None:
    """Check it for B texts of T positions with C numbers each, in n heads."""
    d = C // n
    x = torch.arange(1.0 * B * T * C).view(B, T, C)
    right = x.view(B, T, n, d).transpose(1, 2)  # (B, n_head, T, d_head)
    torn = "The shape is right but the numbers are mixed up: asking for the final shape at once tears positions apart."
    mistakes = {
        torn: x.reshape(B, n, T, d),
        "The heads must come before the positions: swap these two axes.": x.view(B, T, n, d),
        "Each of your heads takes every n-th number: a head is a run of numbers side by side.": x.view(
            B, T, d, n
        ).permute(0, 3, 1, 2),
        "You swapped axes before you cut: then the cut goes through the positions.": x.transpose(
            1, 2
        ).reshape(B, n, T, d),
        "The positions must come before the numbers of a head: the last two axes are swapped.": right.transpose(
            2, 3
        ),
        "The heads are the first axis: the texts must come before them.": right.transpose(0, 1),
    }
    answer = call(x.clone(), n)
    if isinstance(answer, list | tuple) and near(answer, right.transpose(0, 1)):
        return "That is a list of heads: put them together into one tensor, along the second axis."
    otherwise = f"For x {(B, T, C)} and {n} heads the result is {(B, n, T, d)}; yours is {shape_of(answer)}."
    if shape_of(answer) == (B, n, T, d):
        otherwise = (
            f"The shape is right, but head h must hold {d} columns of every position, from column {d} h on."
        )
    return compare(answer, right, mistakes, otherwise)


@exercise(
    hint="how many positions does position t see? At the start all up to itself, later a whole window.",
    more="add up two parts, the first positions, which see as many as there are, and the others, which see a window each; either part can be empty.",
    praise="Right: a triangle at the start, and then a band whose cost grows in proportion to T.",
)
def pairs_in_band(call: Callable) -> str | None:
    """Check `pairs_in_band(T, window)`: how many pairs of positions a banded causal mask allows."""
    cases = [(6, 3), (5, 5), (4, 9), (1, 1), (2048, 64)]

    def seen(at_most):
        return [sum(at_most(t, window, T) for t in range(T)) for T, window in cases]

    right = seen(lambda t, w, T: min(t + 1, w))
    formula = [T * w - w * (w - 1) // 2 for T, w in cases]
    mistakes = {
        "That is the whole triangle: no position sees further back than the window.": seen(
            lambda t, w, T: t + 1
        ),
        "The first positions see less: position 0 sees one, not a whole window.": seen(lambda t, w, T: w),
        "The window includes the position itself: with window 1 it sees only itself.": seen(
            lambda t, w, T: min(t, w) + 1
        ),
        "A position sees itself too: count it.": seen(lambda t, w, T: min(t, w - 1)),
        "You look ahead as well: a band reaches back only.": seen(
            lambda t, w, T: min(t + w, T) - max(0, t - w + 1)
        ),
        "Those are the pairs that may not meet: count the ones that may.": seen(
            lambda t, w, T: T - min(t + 1, w)
        ),
        "Right as long as the window fits into the text: with a window of 9 and 4 positions, all is triangle.": formula,
        "Position 0 already sees one, itself: your triangle at the start is one row too small.": [
            n - min(T, w) for n, (T, w) in zip(right, cases)
        ],
    }
    otherwise = f"For T = 6 and window 3 there are {right[0]} pairs; check a window longer than the text too."
    return compare(answers(call, cases), right, mistakes, otherwise)
