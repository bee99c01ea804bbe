"""The checks of chapter 07, second page: words exchanged, a slope, and what a swap would do."""

import re

import numpy as np
import torch
from exercise_cases import exercise_tests
from textgen import check


def table(pairs):
    both = dict(pairs) | {b: a for a, b in pairs}
    return both | {a.capitalize(): b.capitalize() for a, b in both.items()}


def exchange(text, pairs):
    return re.sub(r"\w+", lambda match: table(pairs).get(match[0], match[0]), text)


def exchange_by_pattern(text, pairs):
    words = table(pairs)
    return re.sub(rf"\b({'|'.join(words)})\b", lambda match: words[match[1]], text)


def exchange_by_pieces(text, pairs):
    words = table(pairs)
    return "".join(words.get(piece, piece) for piece in re.split(r"(\W+)", text))


def exchange_with_placeholders(text, pairs):
    """Two passes, and a word that no text holds between them."""
    words = table(pairs)
    for i, word in enumerate(words):
        text = re.sub(rf"\b{word}\b", f"\0{i}\0", text)
    for i, word in enumerate(words):
        text = text.replace(f"\0{i}\0", words[word])
    return text


def in_small_letters(text, pairs):
    """The capital at the start is there again, all others are lost."""
    done = exchange(text, pairs)
    return done[:1] + done[1:].replace("HAT", "hat")


def one_after_another(text, pairs):
    for a, b in pairs:
        text = re.sub(rf"\b{b}\b", a, re.sub(rf"\b{a}\b", b, text))
    return text


def letters(text, pairs):
    words = dict(pairs) | {b: a for a, b in pairs}
    return re.sub("|".join(words), lambda match: words[match[0]], text)


def lower_case_alone(text, pairs):
    words = dict(pairs) | {b: a for a, b in pairs}
    return re.sub(r"\w+", lambda match: words.get(match[0], match[0]), text)


def between_spaces(text, pairs):
    return " ".join(table(pairs).get(word, word) for word in text.split())


def one_way(text, pairs):
    return re.sub(r"\w+", lambda match: dict(pairs).get(match[0], match[0]), text)


def words_alone(text, pairs):
    return " ".join(table(pairs).get(word, word) for word in re.findall(r"\w+", text))


def slope(x, y):
    return np.polyfit(x, y, 1)[0]


def slope_of_sums(x, y):
    return ((x - x.mean()) * y).sum() / ((x - x.mean()) ** 2).sum()


def slope_in_tensors(x, y):
    rows = torch.stack([torch.tensor(x), torch.ones(len(x))], 1)
    return torch.linalg.lstsq(rows, torch.tensor(y)[:, None]).solution[0, 0]


def first_order(E, old, gradient):
    return (E - E[old]) @ gradient


def first_order_in_place(E, old, gradient):
    E -= E[old].copy()
    E *= gradient
    return E.sum(1)


def first_order_by_words(E, old, gradient):
    return [float((row - E[old]) @ gradient) for row in E]


RIGHT = [
    (check.exchange, exchange),
    (check.exchange, exchange_by_pattern),
    (check.exchange, exchange_by_pieces),
    (check.exchange, exchange_with_placeholders),
    (check.slope, slope),
    (check.slope, slope_of_sums),
    (check.slope, slope_in_tensors),
    (check.slope, lambda x, y: np.cov(x, y)[0, 1] / x.var(ddof=1)),
    (check.slope, lambda x, y: np.corrcoef(x, y)[0, 1] * y.std() / x.std()),
    (check.first_order, first_order),
    (check.first_order, first_order_by_words),
    (check.first_order, first_order_in_place),
    (check.first_order, lambda E, old, g: np.einsum("vn,n->v", E, g) - g @ E[old]),
    (check.first_order, lambda E, old, g: torch.tensor(E) @ torch.tensor(g) - float(E[old] @ g)),
]
WRONG = [
    (check.exchange, lambda text, pairs: text.split(), "Return the text"),
    (check.exchange, one_after_another, "one way and back"),
    (check.exchange, letters, "inside other words"),
    (check.exchange, lower_case_alone, "has a capital"),
    (check.exchange, between_spaces, "full stop"),
    (check.exchange, one_way, "both ways"),
    (check.exchange, words_alone, "punctuation must stay"),
    (check.exchange, lambda text, pairs: "?", "becomes"),
    (
        check.exchange,
        lambda text, pairs: exchange(text, [("she", "he"), ("her", "his"), ("Ada", "Otto")]),
        "other pairs",
    ),
    (check.exchange, in_small_letters, "line breaks"),
    (check.exchange, lambda text, pairs: " ".join(exchange(text, pairs).split()), "line breaks"),
    (check.slope, lambda x, y: np.cov(x, y)[0, 1] / np.var(x), "n - 1"),
    (check.slope, lambda x, y: np.polyfit(x, y, 1)[1], "intercept"),
    (check.slope, lambda x, y: np.corrcoef(x, y)[0, 1] ** 2, "square of the correlation"),
    (check.first_order, lambda E, old, g: (E - E[old]) @ E[old], "no gradient"),
    (check.first_order, lambda E, old, g: abs(first_order(E, old, g)), "signs are gone"),
    (check.slope, lambda x, y: np.polyfit(x, y, 1), "slope alone"),
    (check.slope, lambda x, y: np.corrcoef(x, y)[0, 1], "correlation"),
    (check.slope, lambda x, y: slope(y, x), "turned round"),
    (check.slope, lambda x, y: x @ y / (x @ x), "origin"),
    (check.slope, lambda x, y: y.std() / x.std(), "spreads"),
    (check.slope, lambda x, y: (y / x).mean(), "mean of the ratios"),
    (check.slope, lambda x, y: y.sum() / x.sum(), "ratio of the sums"),
    (check.slope, lambda x, y: np.cov(x, y, bias=True)[0, 1], "covariance"),
    (check.slope, lambda x, y: 0.1, "five points"),
    (
        check.slope,
        lambda x, y: slope(np.array([-2.0, -1.0, 0.5, 1.0, 2.5]), [-1, 0.4, 0.2, 1.6, 1.8]),
        "slope is 3",
    ),
    (check.first_order, lambda E, old, g: (E @ g).argmax(), "each word"),
    (check.first_order, lambda E, old, g: E @ g, "old word is missing"),
    (check.first_order, lambda E, old, g: (E[old] - E) @ g, "sign is turned"),
    (
        check.first_order,
        lambda E, old, g: first_order(E, old, g) / np.maximum(np.linalg.norm(E - E[old], axis=1), 1e-9),
        "Divide by nothing",
    ),
    (check.first_order, lambda E, old, g: (E - E[old]) * g, "one figure a word"),
    (check.first_order, lambda E, old, g: np.linalg.norm(E - E[old], axis=1), "length of each move"),
    (check.first_order, lambda E, old, g: first_order(E, 1, g), "it may be any"),
    (check.first_order, lambda E, old, g: np.zeros(len(E)), "the changes are"),
]
TestExercises = exercise_tests(RIGHT, WRONG)
