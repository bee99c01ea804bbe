"""The checks of chapter 02, second page: words as numbers."""

from collections.abc import Callable

import numpy as np

from .ch02_mlp import sigma
from .harness import attempt, compare, exercise, near


@exercise(
    hint="while the word is not empty, try its first n letters for n = len(word) down to 1; cut off what fits.",
    praise="Right: the longest known piece first, and what no piece begins is one unknown letter.",
)
def longest_match(call: Callable) -> str | None:
    """Check `longest_match(word, pieces)` -> list of str: from the left, always the longest known piece.

    A letter that begins no known piece becomes "?". As WordPiece cuts words (Wu et al. 2016, arXiv:1609.08144),
    but that it then gives up the whole word.
    """
    pieces = {"un", "a", "able", "under", "stand", "st", "and", "d", "ed", "er", "s", "t"}
    words = {
        "understand": ["under", "stand"],
        "stands": ["stand", "s"],
        "undated": ["un", "d", "a", "t", "ed"],
        "unable": ["un", "able"],
        "stable": ["st", "able"],
        "a-t": ["a", "?", "t"],
        "": [],
    }
    answers = {word: call(word, set(pieces)) for word in words}
    if not all(isinstance(answer, list) for answer in answers.values()):
        return "Return a list of strings, the pieces in order."
    if answers["understand"] == ["un", "d", "er", "s", "t", "a", "?", "d"]:
        return "You take the shortest piece that fits: begin with the longest."
    if answers["understand"] == ["stand", "under"]:
        return "The pieces come in the wrong order: the word's first piece first."
    if answers["a-t"] == ["a", "t"]:
        return "You drop the letter that no piece begins: put '?' in its place."
    wrong = next((word for word in words if answers[word] != words[word]), None)
    return wrong and f"{wrong!r} should give {words[wrong]}; yours gives {answers[wrong]}."


@exercise(
    hint="scale every row to length 1; U @ U[i] holds the cosines; np.argsort sorts upwards, and i itself must go.",
    praise="Right: the nearest by angle, best first, and no word is its own neighbour.",
)
def nearest(call: Callable) -> str | None:
    """Check `nearest(W, i, k)` -> ids of the k rows of W (V, d) nearest to row i by cosine, best first."""
    W = np.random.default_rng(0).normal(size=(12, 4)) * np.geomspace(0.3, 3, 12)[:, None]
    i, k = 3, 4
    U = W / np.linalg.norm(W, axis=1, keepdims=True)

    def order(scores, skip=True):
        return [int(j) for j in np.argsort(-scores) if not (skip and j == i)][:k]

    right = order(U @ U[i])
    if len(answer := np.ravel(call(W, i, k))) != k:
        return f"For k = {k} return {k} ids; yours are {len(answer)}."
    mistakes = {
        "A word is not its own neighbour: leave out i.": order(U @ U[i], skip=False),
        "You rank by the product, which favours long rows: divide by their lengths first.": order(W @ W[i]),
        "You rank by the product, and i is its own neighbour: divide by the lengths, leave out i.": order(
            W @ W[i], skip=False
        ),
        "You rank by distance; by cosine the length of a row does not matter.": order(
            -np.linalg.norm(W - W[i], axis=1)
        ),
        "Those are the farthest: sort the cosines downwards.": order(-U @ U[i]),
        "The right ones, but the best must come first.": right[::-1],
    }
    return compare(answer, right, mistakes, "For 12 rows of 4 numbers your neighbours are wrong.")


@exercise(
    hint="two logistic regressions: the true pair should say 1, each negative 0. Said minus came, times the other vector.",
    praise="Right: the true neighbour pulls, the others push, each by its error.",
)
def pull(call: Callable) -> str | None:
    """Check `pull(v, u, negatives)`: the gradient for v of -log s(v.u) - sum log s(-v.n), s the sigmoid.

    v, u (d,), negatives (m, d) to (d,). Source: Mikolov et al. 2013, arXiv:1310.4546, section 2.2.
    """
    rng = np.random.default_rng(2)
    v, u, negatives = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(5, 3))
    said, wrongly = sigma(v @ u), sigma(negatives @ v)
    right = (said - 1) * u + wrongly @ negatives
    mistakes = {
        "The sign is the wrong way round: this raises the loss.": -right,
        "The true pair has the wrong sign: it came, so its error is s(v.u) - 1.": (1 - said) * u
        + wrongly @ negatives,
        "The negatives have the wrong sign: they did not come, so their error is s(v.n).": (
            (said - 1) * u - wrongly @ negatives
        ),
        "The true pair did come: its error is s(v.u) - 1, not s(v.u).": said * u + wrongly @ negatives,
        "The negatives did not come: their error is s(v.n), not s(v.n) - 1.": (
            (said - 1) * u + (wrongly - 1) @ negatives
        ),
        "You left out the negatives.": (said - 1) * u,
        "You left out the true pair.": wrongly @ negatives,
        "You took the mean over the negatives: each of them counts in full.": (
            (said - 1) * u + wrongly @ negatives / len(negatives)
        ),
        "The negatives are weighted alike: each pushes by its own error.": (
            (said - 1) * u + wrongly.mean() * negatives.sum(axis=0)
        ),
    }
    answer = call(v, u, negatives)
    if np.shape(answer) != (3,):
        return f"The gradient has the shape of v, (3,); yours is {np.shape(answer)}."
    return compare(
        answer, right, mistakes, "For vectors of 3 numbers and 5 negatives your gradient is wrong."
    )


@exercise(
    hint="put n zeros before the ids; row t of the contexts is then padded[t : t + n], and its target ids[t].",
    praise="Right: each target with the n tokens before it, the oldest first, zeros where there are none.",
)
def windows(call: Callable) -> str | None:
    """Check `windows(ids, n)` -> contexts (T, n) and targets (T,): the n ids before each, 0 before the start."""
    ids, n = [5, 7, 2, 9, 4, 7], 3
    padded = [0] * n + ids
    right = np.array([padded[t : t + n] for t in range(len(ids))])
    answer = call(list(ids), n)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return "Return two things: the contexts and their targets."
    contexts, targets = (np.asarray(attempt(np.asarray, part)) for part in answer)
    if contexts.shape == (len(ids) - n, n):
        return "The first targets are missing: where fewer than n tokens stand before, fill up with zeros."
    if contexts.shape != right.shape or targets.shape != (len(ids),):
        return f"For 6 ids and n = 3 contexts must be (6, 3) and targets (6,); yours are {contexts.shape}, {targets.shape}."
    leaks = np.array([(padded + [0])[t + 1 : t + 1 + n] for t in range(len(ids))])
    mistakes = {
        "Your window holds its own target: it must end one token before it.": leaks,
        "Your windows run backwards: the oldest token comes first.": right[:, ::-1],
        "Your windows start one token too early: the last of each is the token right before the target.": np.array(
            [([0] + padded)[t : t + n] for t in range(len(ids))]
        ),
        "The zeros stand behind the tokens: they fill the place before the start.": np.array(
            [sorted(row, key=lambda id: id == 0) for row in right.tolist()]
        ),
    }
    if not near(targets, ids):
        return "Row t of the contexts belongs to the target ids[t]: your targets are others."
    return compare(contexts, right, mistakes, "For ids [5, 7, 2, 9, 4, 7] and n = 3 your contexts are wrong.")
