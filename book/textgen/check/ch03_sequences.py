"""The checks of chapter 03, second page: noise in decibels, CTC and the edit distance."""

import itertools
from collections.abc import Callable

import numpy as np

from .harness import compare, exercise, ignored_rng, near


@exercise(
    hint="decibels divide the tone's power by 10 ** (snr / 10); the standard deviation of noise is the root of its power.",
    more="np.mean(tone**2) is the tone's power; rng.standard_normal(len(tone)) has power 1: scale it by a root, then add it.",
    praise="Right: your noise has the power that the decibels ask for.",
)
def add_noise(call: Callable) -> str | None:
    """Check `add_noise(tone, snr, rng)`: tone plus white noise whose power is snr decibels below the tone's."""
    tone, snr = 3 * np.sin(0.3 * np.arange(40_000)), 6.0  # the power of the tone is 4.5
    power = 4.5 / 10 ** (snr / 10)
    noisy = np.asarray(call(tone, snr, np.random.default_rng(0)), dtype=float)
    if noisy.shape != tone.shape:
        return "Return one number for each sample of the tone."
    noise = noisy - tone
    if near(noisy.std(), np.sqrt(power), 0.03) and abs(np.corrcoef(noisy, tone)[0, 1]) < 0.1:
        return "That is the noise alone: add it to the tone."
    if np.ptp(noise) < 1e-9:
        return "Draw a number for each sample: size=len(tone)."
    if problem := ignored_rng(call, tone, snr):
        return problem
    mistakes = {
        "You left out the root: the standard deviation of the noise is the root of its power.": power**2,
        "A ratio of powers takes snr / 10; snr / 20 is for amplitudes.": 4.5 / 10 ** (snr / 20),
        "The noise is louder than the tone: at 6 dB the tone has four times its power.": 4.5 * 10**0.6,
        "The tone's power is the mean of its squares, 4.5 here, not 1.": 1 / 10 ** (snr / 10),
        "The tone's power is the mean of its squares, not their sum.": power * len(tone),
    }
    otherwise = f"At 6 dB the noise should have the power {power:.2f}, and yours has {np.mean(noise**2):.2f}."
    return compare(np.mean(noise**2), power, mistakes, otherwise, tolerance=0.03)


@exercise(
    hint="go through all paths with itertools.product, and add up the probabilities of those that collapse to the text.",
    more="itertools.groupby merges repeats, and the zeros go only after that; a path's probability is the product over its frames.",
    praise="Right: you tried every path, and got what CTC computes in one pass.",
)
def ctc_probability(call: Callable) -> str | None:
    """Check `ctc_probability(p, text)`: the chance of all paths that collapse to `text`; p (T, C), class 0 is blank."""
    p = np.array([[0.2, 0.5, 0.3], [0.4, 0.35, 0.25], [0.3, 0.3, 0.4], [0.25, 0.6, 0.15]])

    def chances(text, collapse):
        paths = itertools.product(range(3), repeat=len(p))
        return [np.prod(p[range(4), path]) for path in paths if collapse(path) == text] or [0.0]

    def merge(path):
        return [c for c, _ in itertools.groupby(path)]

    def drop(path):
        return [c for c in path if c]

    for text in ([1, 2], [1, 1], [2]):
        right = chances(text, lambda path: drop(merge(path)))
        late = sum(chances(text, lambda path: merge(drop(path))))
        mistakes = {
            "That is the best path alone: add up all that collapse to the text.": max(right),
            "You count the paths: add up their probabilities.": len(right),
            "Merge repeats before you drop the blanks, or a double letter becomes a single one.": late,
            "You drop the blanks but do not merge repeats: A A is one long A.": sum(chances(text, drop)),
            "You merge repeats but keep the blanks: class 0 stands for no letter.": sum(chances(text, merge)),
        }
        otherwise = f"For the text {text} and four frames the probability is {sum(right):.4f}; yours is not."
        if problem := compare(call(p, text), sum(right), mistakes, otherwise):
            return problem
    return None


@exercise(
    hint="fill a table; each cell follows from its neighbours to the left, above, and diagonally between them.",
    more="the first row and column count 0, 1, 2, ...; any other cell is the least of left + 1, above + 1 and diagonal, + 1 if the letters differ.",
    praise="Right: the fewest letters to insert, drop or change.",
)
def edit_distance(call: Callable) -> str | None:
    """Check `edit_distance(a, b)`: the fewest letters to insert, drop or change (Levenshtein 1966)."""
    cases = [("FOX", "FOX"), ("FOX", "BOX"), ("FOXES", "OXEN"), ("", "KEY"), ("ABCD", "BCDE"), ("AB", "BA")]
    cases += [("LANTERN", "LATERN")]
    right = [0, 1, 2, 3, 2, 2, 1]
    rates = [distance / len(b) for distance, (a, b) in zip(right, cases)]
    mistakes = {
        "You compare letters place by place: one missing letter shifts all that follow.": (
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
        "Return a count of letters; the rate, divided by the length, comes later.": rates,
    }
    found = [call(a, b) for a, b in cases]
    for (a, b), distance, mine in zip(cases, right, found):
        if not near(mine, distance):
            otherwise = f"From {a!r} to {b!r} it takes {distance}; yours says {mine}."
            return compare(found, right, mistakes, otherwise)
    return None
