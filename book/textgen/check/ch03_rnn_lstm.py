"""The checks of chapter 03, recurrent networks and sequences."""

import itertools
from collections.abc import Callable

import numpy as np

from .harness import attempt, compare, exercise, near


def sigmoid(z):
    """Squeeze z into (0, 1)."""
    return 1 / (1 + np.exp(-z))


def draw(*shapes: tuple) -> list:
    """Fixed random arrays to try a function on."""
    rng = np.random.default_rng(3)
    return [rng.normal(size=shape) for shape in shapes]


@exercise(
    hint="tanh of three things added: W_x @ x for the word, W_h @ h for the memory, and b.",
    praise="Right: one step of a recurrent network, the same as torch's.",
)
def rnn_step(call: Callable) -> str | None:
    """Check `rnn_step(x, h, W_x, W_h, b)` = tanh(W_x x + W_h h + b); x (d,), h and b (k,)."""
    x, h, W_x, W_h, b = draw((2,), (3,), (3, 2), (3, 3), (3,))
    total = W_x @ x + W_h @ h + b
    mistakes = {
        "The weighted sum is right; squeeze it with tanh, or the memory grows without limit.": total,
        "That is a sigmoid, from 0 to 1; this cell's memory runs from -1 to 1, with tanh.": sigmoid(total),
        "The old memory h does not come in: add W_h @ h.": np.tanh(W_x @ x + b),
        "The new word x does not come in: add W_x @ x.": np.tanh(W_h @ h + b),
        "The bias b is missing.": np.tanh(W_x @ x + W_h @ h),
        "W_h lies on its side: multiply W_h @ h, not h @ W_h.": np.tanh(W_x @ x + h @ W_h + b),
        "The old memory is added once more, outside tanh; here it passes through W_h only.": h
        + np.tanh(total),
    }
    otherwise = "For d = 2 and k = 3 your new memory is wrong: is it tanh(W_x @ x + W_h @ h + b)?"
    return compare(call(x, h, W_x, W_h, b), np.tanh(total), mistakes, otherwise)


@exercise(
    hint="split W @ x + U @ h + b into four: i, f, o get a sigmoid, g a tanh; then c = f * c + i * g.",
    praise="Right: your cell forgets, writes and shows as torch's LSTM does.",
)
def lstm_step(call: Callable) -> str | None:
    """Check `lstm_step(x, h, c, W, U, b)` -> (h, c); W (4k, d), U (4k, k), b (4k,) hold i, f, g, o in this order."""
    x, h, c, W, U, b = draw((2,), (3,), (3,), (12, 2), (12, 3), (12,))

    def step(order="ifgo", squeeze=np.tanh, new=lambda f, c, i, g: f * c + i * g, show=np.tanh):
        z = dict(zip(order, np.split(W @ x + U @ h + b, 4)))
        i, f, o = (sigmoid(z[name]) for name in "ifo")
        cell = new(f, c, i, squeeze(z["g"]))
        return o * show(cell), cell

    right = step()
    mistakes = {
        "The two are swapped: return the new h first, then the new c.": right[::-1],
        "The rows are in the order i, f, g, o: yours takes the last two the other way round.": step("ifog"),
        "The rows are in the order i, f, g, o: yours takes forget for input.": step("figo"),
        "g is what may be written, so it needs a tanh: with a sigmoid it could never be negative.": step(
            squeeze=sigmoid
        ),
        "h shows tanh(c) through the output gate: the tanh is missing.": step(show=lambda cell: cell),
        "The forget gate does nothing: the old cell is c * f.": step(new=lambda f, c, i, g: c + i * g),
        "The input gate does nothing: what is written is i * g.": step(new=lambda f, c, i, g: f * c + g),
        "What is written is i * g; (1 - f) * g is another network's rule, the GRU's.": step(
            new=lambda f, c, i, g: f * c + (1 - f) * g
        ),
        "h shows the old cell: compute the new c first.": (step(new=lambda f, c, i, g: c)[0], right[1]),
    }
    answer = call(x, h, c, W, U, b)
    if np.shape(answer) != (2, 3):
        return "Return two arrays of the memory's size: the new h, then the new c."
    otherwise = "For d = 2 and k = 3 your step is wrong: c = f * c + i * g, then h = o * tanh(c)."
    return compare(answer, right, mistakes, otherwise)


@exercise(
    hint="the length of all numbers together is the root of the sum of their squares.",
    praise="Right: a long gradient keeps its direction and becomes shorter, a short one stays.",
)
def clip(call: Callable) -> str | None:
    """Check `clip(gradients, longest)`: a list of arrays, scaled together to a length of at most `longest`."""
    gradients, longest = [np.array([[3.0, -4.0]]), np.array([12.0, 0.0])], 2.0  # their length is 13

    def flat(arrays):
        try:
            return np.concatenate([np.ravel(np.asarray(array, dtype=float)) for array in arrays])
        except (TypeError, ValueError):
            return np.zeros(0)

    answer = flat(call([g.copy() for g in gradients], longest))
    if answer.shape != (4,):
        return "Return a list of arrays, as many and as large as those that came."
    each = [g * longest / np.linalg.norm(g) for g in gradients]
    mistakes = {
        "You cut each number by itself, which changes the direction: scale all by one factor.": flat(
            [g.clip(-longest, longest) for g in gradients]
        ),
        "You shorten each array by itself: there is one length, that of all numbers together.": flat(each),
        "You divide by the square of the length: take the root.": flat(gradients) * longest / 169,
        "Divided by the length, it is 1 long: multiply by longest.": flat(gradients) / 13,
        "Nothing changed: 13 is longer than 2.": flat(gradients),
    }
    otherwise = "[3, -4] and [12, 0] together are 13 long; clipped to 2 yours is wrong."
    problem = compare(answer, flat(gradients) * longest / 13, mistakes, otherwise)
    if problem:
        return problem
    if not near(flat(call([g.copy() for g in gradients], 20.0)), flat(gradients)):
        return "A gradient shorter than longest must stay as it is: you stretch it."
    if not near(flat(call([np.zeros(2)], 1.0)), np.zeros(2)):
        return "A gradient of zeros must stay zero: you divide by its length."
    return None


@exercise(
    hint="the noise's power is np.mean(tone**2) / 10 ** (snr / 10), and its spread the root of that.",
    praise="Right: your noise has the power that the decibels ask for.",
)
def add_noise(call: Callable) -> str | None:
    """Check `add_noise(tone, snr, rng)`: tone plus white noise whose power is snr decibels below the tone's."""
    tone, snr = 3 * np.sin(0.3 * np.arange(40_000)), 6.0
    power = 4.5 / 10 ** (snr / 10)
    heard = np.asarray(call(tone, snr, np.random.default_rng(0)), dtype=float)
    if heard.shape != tone.shape:
        return "Return one number for each sample of the tone."
    noise = heard - tone
    if near(heard.std(), np.sqrt(power), 0.03) and abs(np.corrcoef(heard, tone)[0, 1]) < 0.1:
        return "That is the noise alone: add it to the tone."
    if np.ptp(noise) < 1e-9:
        return "Draw a number for each sample: size=len(tone)."
    same, other = (attempt(call, tone, snr, np.random.default_rng(seed)) for seed in (0, 1))
    if not near(same, heard) or near(other, heard):
        return "Draw from the rng that comes in, so that its seed alone decides."
    mistakes = {
        "The spread is the root of the power: you left out the root.": power**2,
        "Power takes snr / 10; with snr / 20 you would divide amplitudes.": 4.5 / 10 ** (snr / 20),
        "The noise is louder than the tone: 6 dB means that the tone has four times its power.": 4.5
        * 10**0.6,
        "The tone's power is the mean of its squares, 4.5 here, not 1.": 1 / 10 ** (snr / 10),
        "The tone's power is the mean of its squares, not their sum.": power * len(tone),
    }
    otherwise = f"At 6 dB the noise should have the power {power:.2f}, and yours has {np.mean(noise**2):.2f}."
    return compare(np.mean(noise**2), power, mistakes, otherwise, tolerance=0.03)


@exercise(
    hint="go through itertools.product of all paths, collapse each, and add up the products of those that match.",
    praise="Right: what CTC adds up in one sweep, you found by trying every path.",
)
def ctc_probability(call: Callable) -> str | None:
    """Check `ctc_probability(p, text)`: the chance of all paths that collapse to `text`; p (T, C), class 0 is blank."""
    p = np.array([[0.2, 0.5, 0.3], [0.4, 0.35, 0.25], [0.3, 0.3, 0.4], [0.25, 0.6, 0.15]])

    def chances(text, collapse):
        paths = itertools.product(range(3), repeat=len(p))
        return [np.prod(p[range(4), path]) for path in paths if collapse(path) == text] or [0.0]

    def merge(path):
        return [c for c, _ in itertools.groupby(path)]

    def blankless(path):
        return [c for c in path if c]

    for text in ([1, 2], [1, 1], [2]):
        right = chances(text, lambda path: blankless(merge(path)))
        mistakes = {
            "That is the best path alone: add up all that collapse to the text.": max(right),
            "You count the paths: add up their probabilities.": len(right),
            "Merge repeats before you drop the blanks, or a double letter becomes a single one.": sum(
                chances(text, lambda path: merge(blankless(path)))
            ),
            "You drop the blanks but merge no repeats: A A is one long A.": sum(chances(text, blankless)),
            "You merge repeats but keep the blanks: class 0 writes nothing.": sum(chances(text, merge)),
        }
        otherwise = f"For the text {text} and four frames the probability is {sum(right):.4f}; yours is not."
        if problem := compare(call(p, text), sum(right), mistakes, otherwise):
            return problem
    return None


@exercise(
    hint="fill a table: each cell is the least of left + 1, above + 1, and diagonal + (letters differ).",
    praise="Right: the fewest letters to insert, drop or change.",
)
def edit_distance(call: Callable) -> str | None:
    """Check `edit_distance(a, b)`: the fewest letters to insert, drop or change (Levenshtein 1966)."""
    cases = {("FOX", "FOX"): 0, ("FOX", "BOX"): 1, ("FOXES", "OXEN"): 2, ("", "KEY"): 3, ("ABCD", "BCDE"): 2}
    cases |= {("AB", "BA"): 2, ("LANTERN", "LATERN"): 1}
    answers = [call(a, b) for a, b in cases]
    mistakes = {
        "You compare letters place by place: one that is missing shifts all that follow.": (
            0,
            1,
            5,
            3,
            4,
            2,
            5,
        ),
        "A changed letter counts 1, not as one dropped and one inserted.": (0, 2, 3, 3, 2, 2, 1),
        "That is the difference of the lengths: letters may also be changed.": (0, 0, 1, 3, 0, 0, 1),
        "Two letters that changed places are 2 changes here, not 1.": (0, 1, 2, 3, 2, 1, 1),
        "Return a count of letters; the rate, divided by the length, comes later.": (
            0,
            1 / 3,
            2 / 4,
            1,
            0.5,
            1,
            1 / 6,
        ),
    }
    wrong = next((c for c, answer in zip(cases.items(), answers) if not near(answer, c[1])), None)
    if wrong is None:
        return None
    (a, b), right = wrong
    otherwise = f"From {a!r} to {b!r} it takes {right}; yours says {answers[list(cases).index((a, b))]}."
    return compare(answers, list(cases.values()), mistakes, otherwise)
