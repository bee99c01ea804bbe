"""The checks of chapter 07, second page: words exchanged, how far a model leans, and what a swap would do."""

from collections.abc import Callable

import numpy as np

from .harness import attempt, compare, exercise, near


@exercise(
    hint="look each word up in one table that holds every pair both ways, and write what it says; leave all else as it is.",
    more="build the table {a: b, b: a} with the capitalised forms too, and use re.sub on whole words, r'\\w+', so that no word is exchanged twice.",
    praise="Right: in one pass, both ways, whole words alone. Doing it twice gives the text back.",
)
def exchange(call: Callable) -> str | None:
    """Check `exchange(text, pairs)`: a text and pairs of words, to the text with the words of each pair exchanged."""
    pairs = [("she", "he"), ("her", "his"), ("Ada", "Otto")]
    text, right = (
        "Ada said, she lost his hat. Then he saw Otto.",
        "Otto said, he lost her hat. Then she saw Ada.",
    )
    answer = call(text, list(pairs))
    if not isinstance(answer, str):
        return "Return the text."
    mistakes = {
        "The words went one way and back: exchange in one pass, so that no word is changed twice.": [
            "Ada said, she lost her hat. Then she saw Ada.",
        ],
        "You changed letters inside other words, such as the 'he' in 'Then': match whole words.": [
            "Otto said, he lost her hat. Tshen she saw Ada.",
            "Ada said, sshe lost her hat. Tshen she saw Ada.",
        ],
        "A word before a full stop or a comma counts too: match words, not what stands between spaces.": [
            "Otto said, he lost her hat. Then she saw Otto.",
        ],
        "It must go both ways, in one pass: she becomes he, and he becomes she.": [
            "Otto said, he lost his hat. Then he saw Otto.",
            "Otto said, he lost her hat. Then he saw Ada.",
        ],
        "Spaces and punctuation must stay as they were.": [
            "Otto said he lost her hat Then she saw Ada",
            "Otto said , he lost her hat . Then she saw Ada .",
        ],
    }
    if answer != right:
        found = (sentence for sentence, wrong in mistakes.items() if answer in wrong)
        return next(found, f"{text!r} becomes {right!r}; yours is {answer!r}.")
    if attempt(call, "She ran. His bell rang.", list(pairs)) != "He ran. Her bell rang.":
        return "At the start of a sentence a word has a capital: 'She ran. His bell rang.' becomes 'He ran. Her bell rang.'"
    other = attempt(call, "a king and a queen", [("king", "queen")])
    if other != "a queen and a king":
        return "Take the words from `pairs`: other pairs may be given."
    text = "She has two\n  hats, he's poor: Ada's (his) HAT."
    right = "He has two\n  hats, she's poor: Otto's (her) HAT."
    if attempt(call, text, list(pairs)) != right:
        return f"All else stays as it is, line breaks, marks and capitals: {text!r} becomes {right!r}."
    return None


@exercise(
    hint="fit a line to the points (corpus, model) by least squares; its slope is what is asked.",
    more="subtract from x and y their means; the slope is the sum of x * y over the sum of x * x.",
    praise="Right: at 1 a model leans as its text does, above 1 it strengthens the lean, below 1 it weakens it.",
)
def slope(call: Callable) -> str | None:
    """Check `slope(corpus, model)`: log-odds (n,) each, to the least-squares slope of the second on the first."""
    x = np.array([-2.0, -1.0, 0.5, 1.0, 2.5])
    y = np.array([-1.0, 0.4, 0.2, 1.6, 1.8])
    a, b = x - x.mean(), y - y.mean()
    right = (a @ b) / (a @ a)
    answer = call(x.copy(), y.copy())
    if np.shape(answer) == (2,):
        return "Return the slope alone: a line has an intercept too, but nobody asks for it here."
    mistakes = {
        "That is the correlation: it does not say how steep the line is.": (a @ b)
        / np.sqrt((a @ a) * (b @ b)),
        "It is turned round: the model's log-odds are y, and the corpus's are x.": (a @ b) / (b @ b),
        "Your line goes through the origin: subtract the means first.": (x @ y) / (x @ x),
        "That is the ratio of the spreads: it forgets whether the two go together.": b.std() / a.std(),
        "That is the mean of the ratios: one small x would decide it. Fit a line.": (y / x).mean(),
        "That is the ratio of the sums: fit a line.": y.sum() / x.sum(),
        "That is the covariance: divide by the variance of x.": (a @ b) / len(x),
        "np.cov divides by n - 1, and np.var by n: use the same for both.": right * len(x) / (len(x) - 1),
        "That is the intercept: return how steep the line is.": y.mean() - right * x.mean(),
        "That is the share of the spread that the line explains, the square of the correlation.": (a @ b) ** 2
        / ((a @ a) * (b @ b)),
    }
    otherwise = f"For these five points the slope is {right:.4f}; yours differs."
    if problem := compare(answer, right, mistakes, otherwise):
        return problem
    steep = attempt(call, x.copy(), 3 * x + 7)
    return None if near(steep, 3) else "Of points on the line y = 3 x + 7 the slope is 3."


@exercise(
    hint="a swap moves the embedding from the old word's to the new word's; the gradient says what such a move does.",
    more="the move to each word is E - E[old], one row a word; multiply it by the gradient.",
    praise="Right: one backward pass prices every word of the vocabulary, and only the best few need to be tried.",
)
def first_order(call: Callable) -> str | None:
    """Check `first_order(E, old, gradient)`: embeddings (V, n), a word and its gradient (n,), to changes (V,)."""
    E = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0], [3.0, -1.0, 0.0], [0.5, 0.5, -1.0]])
    gradient, old = np.array([2.0, 1.0, 1.0]), 1  # one swap makes the harm smaller
    moves = E - E[old]
    answer = call(E.copy(), old, gradient.copy())
    if np.ndim(answer) == 0:
        return "Return one number for each word of the vocabulary, and not the best word alone."
    mistakes = {
        "The old word is missing: what changes is E - E[old], not E.": E @ gradient,
        "The sign is turned: the move goes from the old word to the new one.": -moves @ gradient,
        "Divide by nothing: the length of the move counts.": (moves @ gradient)
        / np.maximum(np.linalg.norm(moves, axis=1), 1e-9),
        "Add up over the numbers of an embedding: one figure a word.": moves * gradient,
        "That is the length of each move: multiply it by the gradient.": np.linalg.norm(moves, axis=1),
        "The old word's own embedding is no gradient: multiply the moves by the gradient.": moves @ E[old],
        "The sizes are right and their signs are gone: a swap may also make the harm smaller.": abs(
            moves @ gradient
        ),
    }
    otherwise = f"Here the changes are {(moves @ gradient).tolist()}; yours differ."
    if problem := compare(answer, moves @ gradient, mistakes, otherwise):
        return problem
    other = attempt(call, E.copy(), 2, gradient.copy())
    return None if near(other, (E - E[2]) @ gradient) else "Take the old word from `old`: it may be any."
