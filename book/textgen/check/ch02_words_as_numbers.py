"""The checks of chapter 02, second page: words as numbers."""

from collections.abc import Callable

import numpy as np

from .harness import compare, example, exercise, logistic, near


@exercise(
    hint="while the word is not empty, find the longest piece that it begins with, and cut that off.",
    more="go from the most letters that the next piece can have to the least, and think of the case in which none is known.",
    praise="Right: always the longest known piece, and '?' for a letter that begins none.",
)
def longest_match(call: Callable) -> str | None:
    """Check `longest_match(word, pieces)` -> list of str: from the left, always the longest known piece.

    A letter that begins no known piece becomes "?". WordPiece cuts words in this way (Wu et al. 2016,
    arXiv:1609.08144), except that one unknown letter makes the whole word unknown.
    """
    pieces = {"un", "uns", "a", "able", "under", "stand", "st", "and", "d", "ed", "er", "s", "t"}
    words = {
        "understand": ["under", "stand"],
        "stands": ["stand", "s"],
        "undated": ["un", "d", "a", "t", "ed"],
        "unable": ["un", "able"],
        "stable": ["st", "able"],
        "unstand": ["uns", "t", "and"],
        "a-t": ["a", "?", "t"],
        "a--t": ["a", "?", "?", "t"],
        "": [],
    }
    answers = {word: call(word, set(pieces)) for word in words}
    if any(isinstance(answer, str) or not hasattr(answer, "__iter__") for answer in answers.values()):
        return "Return a list of strings, the pieces in order."
    answers = {word: list(answer) for word, answer in answers.items()}
    if not all(isinstance(piece, str) for answer in answers.values() for piece in answer):
        return "Return a list of strings, the pieces in order."
    if answers["unstand"] == ["un", "stand"]:
        return (
            "From left to right: the longest piece at the start comes first, even where a longer one follows."
        )
    if answers["understand"] == ["un", "d", "er", "s", "t", "a", "?", "d"]:
        return "You take the shortest piece that fits: begin with the longest."
    if answers["understand"] == ["stand", "under"]:
        return "The pieces are in the wrong order: the first piece of the word comes first."
    if answers["a-t"] == ["a", "t"]:
        return "You drop a letter that begins no piece: put '?' in its place."
    if answers["a-t"] == ["a", "-", "t"] and answers["unable"] == words["unable"]:
        return "You keep a letter that begins no piece: put '?' in its place."
    if answers["a-t"] == ["?"] or answers["a-t"] == ["a", "?"]:
        return (
            "One unknown letter costs you what comes after it: put '?' in its place, and go on with the next."
        )
    if answers["a--t"] == ["a", "?", "t"]:
        return "Two unknown letters in a row are two question marks, one for each."
    wrong = next((word for word in words if answers[word] != words[word]), None)
    return wrong and f"{wrong!r} should give {words[wrong]}; yours gives {answers[wrong]}."


@exercise(
    hint="a cosine compares directions, so the lengths of the rows have to go first; and one row is the nearest of all unless you rule it out.",
    more="np.linalg.norm measures lengths along an axis, np.argsort sorts from the smallest up; no cosine lies below -1.",
    praise="Right: the nearest by angle, best first, and no word is its own neighbour.",
)
def nearest(call: Callable) -> str | None:
    """Check `nearest(W, i, k)` -> ids of the k rows of W (V, d) nearest to row i by cosine, best first."""
    (W,), i, k = example((12, 4)), 3, 4
    W *= np.geomspace(0.3, 3, 12)[:, None]
    U = W / np.linalg.norm(W, axis=1, keepdims=True)

    def order(scores, skip=True):
        return [int(j) for j in np.argsort(-scores) if not (skip and j == i)][:k]

    right, columns = order(U @ U[i]), W / np.linalg.norm(W, axis=0)
    both = "You rank by the dot product, and i is its own neighbour: divide by the lengths, leave out i."
    mistakes = {
        "A word is not its own neighbour: leave out i.": order(U @ U[i], skip=False),
        "You rank by the dot product, which favours long rows: divide by their lengths.": order(W @ W[i]),
        both: order(W @ W[i], skip=False),
        "You rank by distance: a cosine does not depend on the length of a row.": order(
            -np.linalg.norm(W - W[i], axis=1)
        ),
        "You measure the length of columns: each row is a word (axis=1).": order(columns @ columns[i]),
        "You take the size of the cosine: a word in the opposite direction is not near.": order(
            np.abs(U @ U[i])
        ),
        "Those are the cosines: return the numbers of their rows.": np.sort(np.delete(U @ U[i], i))[::-1][:k],
        "Those are the right words, but the best must come first: you sorted their numbers.": sorted(right),
        "Those are the farthest: sort the cosines from the largest down.": order(-U @ U[i]),
        "Those are the right words, but the best must come first.": right[::-1],
    }
    if len(answer := np.ravel(call(W, i, k))) != k:
        return f"For k = {k} return {k} ids; yours are {len(answer)}."
    return compare(answer, right, mistakes, "For 12 rows of 4 numbers your neighbours are wrong.")


@exercise(
    hint="each pair is a logistic regression, with the answer 1 for the true pair and 0 for a negative.",
    more="in chapter 01 an example pulled at the parameters with its error times its input; here v is the parameters, so which vectors are the inputs?",
    praise="Right: the true neighbour pulls, the others push, each by its error.",
)
def pull(call: Callable) -> str | None:
    """Check `pull(v, u, negatives)`: the gradient for v of -log s(v.u) - sum log s(-v.n), s the sigmoid.

    v, u (d,), negatives (m, d) to (d,). Source: Mikolov et al. 2013, arXiv:1310.4546, section 2.2.
    """
    v, u, negatives = example(3, 3, (5, 3), seed=2)
    p, q = logistic(v @ u), logistic(negatives @ v)
    true, false = (p - 1) * u, q @ negatives
    mistakes = {
        "The sign is wrong: a step against this gradient raises the loss.": -true - false,
        "The true pair has the wrong sign: its error is s(v.u) - 1.": false - true,
        "The negatives have the wrong sign: their error is s(v.n).": true - false,
        "The true pair should say 1: its error is s(v.u) - 1, not s(v.u).": p * u + false,
        "The negatives should say 0: their error is s(v.n), not s(v.n) - 1.": true + (q - 1) @ negatives,
        "That is the gradient for u, or with v in the place of the other word: each pair adds the other's vector.": (
            p - 1 + q.sum()
        )
        * v,
        "The error is s(v.u) - 1 or s(v.n) as it is: the slope of the sigmoid has cancelled.": (p - 1)
        * p
        * (1 - p)
        * u
        + (q * q * (1 - q)) @ negatives,
        "You left out the negatives.": true,
        "You left out the true pair.": false,
        "You took the mean over the negatives: add them up.": true + false / 5,
        "You weight all negatives alike: each pushes by its own error.": true
        + q.mean() * negatives.sum(axis=0),
    }
    answer = call(v, u, negatives)
    if np.shape(answer) != (3,):
        return f"The gradient has the shape of v, (3,); yours is {np.shape(answer)}."
    otherwise = "For vectors of 3 numbers and 5 negatives your gradient is wrong."
    return compare(answer, true + false, mistakes, otherwise)


@exercise(
    hint="put n zeros before the ids; then every token has n numbers before it.",
    more="ask for each target at which place of the padded list its window begins, and where it must end so as not to hold the target.",
    praise="Right: each target with the n tokens before it, the oldest first, and zeros before the start.",
)
def windows(call: Callable) -> str | None:
    """Check `windows(ids, n)` -> contexts (T, n) and targets (T,): the n ids before each, 0 before the start."""
    ids, n = [5, 7, 2, 9, 4, 7], 3

    def cut(padded):
        return np.array([padded[t : t + n] for t in range(len(ids))])

    right = cut([0] * n + ids)
    answer = call(list(ids), n)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return "Return two things: the contexts and their targets."
    contexts, targets = map(np.asarray, answer)
    if contexts.shape == (len(ids) - n, n):
        return "The first targets are missing: where fewer than n tokens come before, fill up with zeros."
    if contexts.shape != right.shape or targets.shape != (len(ids),):
        came = f"{contexts.shape}, {targets.shape}"
        return f"For 6 ids and n = 3 contexts must be (6, 3) and targets (6,); yours are {came}."
    early = "Your windows start one token too early: each ends with the token right before its target."
    behind = np.array([sorted(row, key=lambda id: id == 0) for row in right.tolist()])
    mistakes = {
        "Your windows contain their own targets: they must end one token earlier.": cut(
            [0] * (n - 1) + ids + [0]
        ),
        "Your windows run backwards: the oldest token comes first.": right[:, ::-1],
        early: cut([0] * (n + 1) + ids),
        "Your zeros come after the tokens: they stand for the places before the start.": behind,
        "Before the start there are zeros, not copies of the first token.": cut([ids[0]] * n + ids),
        "Before the start there are zeros, not the last tokens.": cut(ids[-n:] + ids),
    }
    fill = contexts[0, 0]
    if fill not in [0, *ids] and near(np.where(contexts == fill, 0, contexts), right):
        return f"Before the start there are zeros; yours are {fill:g}."
    if not near(targets, ids):
        return "Row t of the contexts belongs to the target ids[t]: your targets are different."
    wrong = compare(
        contexts, right, mistakes, "For ids [5, 7, 2, 9, 4, 7] and n = 3 your contexts are wrong."
    )
    if wrong:
        return wrong
    short = np.asarray(call([5, 7], 4)[0])
    if not near(short, [[0, 0, 0, 0], [0, 0, 0, 5]]):
        return "A text may be shorter than the window: for ids [5, 7] and n = 4 your contexts are wrong."
    return None
