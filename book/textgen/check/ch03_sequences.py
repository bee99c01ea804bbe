"""The checks of chapter 03, second page: noise in decibels, CTC and the edit distance."""

import itertools
from collections.abc import Callable

import numpy as np

from .harness import attempt, compare, exercise, ignored_rng, near


@exercise(
    hint="solve the formula for the power of the noise first; then think how large random numbers must be to have that power.",
    more="6 dB mean that the tone has 10 ** 0.6, about four, times the noise's power, and noise twice as large has four times the power.",
    praise="Right: your noise has the power that the decibels ask for.",
)
def add_noise(call: Callable) -> str | None:
    """Check `add_noise(tone, snr, rng)`: tone plus white noise whose power is snr decibels below the tone's."""
    tone, snr = 3 * np.sin(0.3 * np.arange(40_000)), 6.0  # the power of the tone is 4.5
    power = 4.5 / 10 ** (snr / 10)

    def noise_on(tone, snr, rng):
        """What the function adds to a tone, which it may change in place."""
        return np.asarray(call(tone.copy(), snr, rng), dtype=float) - tone

    if np.shape(call(tone.copy(), snr, np.random.default_rng(0))) != tone.shape:
        return "Return one number for each sample of the tone."
    noise = noise_on(tone, snr, np.random.default_rng(0))
    noisy = noise + tone
    if near(noisy.std(), np.sqrt(power), 0.03) and abs(np.corrcoef(noisy, tone)[0, 1]) < 0.1:
        return "That is the noise alone: add it to the tone."
    if np.ptp(noise) < 1e-9:
        return "Draw a number for each sample: size=len(tone)."
    if problem := ignored_rng(noise_on, tone, snr):
        return problem
    mistakes = {
        "You left out the root: the standard deviation of the noise is the root of its power.": power**2,
        "A ratio of powers takes snr / 10; snr / 20 is for amplitudes.": 4.5 / 10 ** (snr / 20),
        "The noise is louder than the tone: at 6 dB the tone has four times its power.": 4.5 * 10**0.6,
        "The tone's power is the mean of its squares, 4.5 here, not 1.": 1 / 10 ** (snr / 10),
        "The tone's power is the mean of its squares, not their sum.": power * len(tone),
    }
    otherwise = f"At 6 dB the noise should have the power {power:.2f}, and yours has {np.mean(noise**2):.2f}."
    if problem := compare(np.mean(noise**2), power, mistakes, otherwise, tolerance=0.03):
        return problem
    loud = abs(tone) > 2
    if not near(noise[loud].std(), noise[~loud].std(), 0.05):
        return "Your noise is louder where the tone is: add numbers that know nothing of the tone."
    if abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) > 0.03:
        return "Your noise is not white: each sample's noise must be drawn anew, whatever its neighbours'."
    if abs(noise.mean()) > 0.03:
        return "The mean of your noise is not zero: it pushes the tone to one side."
    small, large = np.mean(abs(noise) < power**0.5 / 2), np.mean(abs(noise) > 2 * power**0.5)
    if not (near(small, 0.383, 0.03) and abs(large - 0.0455) < 0.01):
        return "The power is right, but the noise is not normally distributed, as rng.standard_normal is."
    keyed = np.where(np.arange(40_000) < 10_000, np.sin(0.3 * np.arange(40_000)), 0.0)  # its power is 0.125
    found = np.mean(noise_on(keyed, -3.0, np.random.default_rng(0)) ** 2)
    if not near(found, 0.125 * 10**0.3, 0.03):
        return "Right for one tone at 6 dB, not for one that is silent most of the time at -3 dB: use tone and snr."
    return None


@exercise(
    hint="with so few frames you can afford to try every path there is, and ask of each what it says.",
    more="what a path says follows from the page's two rules in their order, and how likely it is from one entry of p a frame.",
    praise="Right: you tried every path, and got what CTC computes in one pass.",
)
def ctc_probability(call: Callable) -> str | None:
    """Check `ctc_probability(p, text)`: the chance of all paths that collapse to `text`; p (T, C), class 0 is blank."""
    p = np.array([[0.2, 0.5, 0.3], [0.4, 0.35, 0.25], [0.3, 0.3, 0.4], [0.25, 0.6, 0.15]])

    def paths_of(classes, frames):
        return itertools.product(range(classes), repeat=frames)

    def added(path):
        return float(np.sum(p[range(4), path]))

    def chances(text, collapse):
        return [np.prod(p[range(4), path]) for path in paths_of(3, 4) if collapse(path) == text] or [0.0]

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
            "That is a mean over paths: any of them will do, so add them up.": np.mean(right),
            "That is a logarithm: return the probability itself.": np.log(sum(right)),
            "That is the loss, the surprise: return the probability itself.": -np.log(sum(right)),
            "Within a path, multiply over the frames; you add.": sum(
                added(path) for path in paths_of(3, 4) if drop(merge(path)) == text
            ),
            "Merge repeats before you drop the blanks, or a double letter becomes a single one.": late,
            "You drop the blanks but do not merge repeats: A A is one long A.": sum(chances(text, drop)),
            "You merge repeats but keep the blanks: class 0 stands for no letter.": sum(chances(text, merge)),
        }
        otherwise = f"For the text {text} and four frames the probability is {sum(right):.4f}; yours is not."
        if problem := compare(call(p, text), sum(right), mistakes, otherwise):
            return problem
    p = np.array([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.3, 0.2], [0.4, 0.1, 0.2, 0.3]])
    right = sum(np.prod(p[range(3), path]) for path in paths_of(4, 3) if drop(merge(path)) == [3, 1])
    fixed = "It is right for 4 frames and 3 classes, but not for 3 frames and 4 classes: take both from p."
    return compare(attempt(call, p, [3, 1]), right, {}, fixed)


@exercise(
    hint="look at the last letters of a and b: either they go together, or one of the two has to go, and what is left is shorter.",
    more="begin at the edges of the table, where one of the texts is empty, and let each other cell choose the cheapest of its three neighbours.",
    praise="Right: the fewest letters to insert, drop or change.",
)
def edit_distance(call: Callable) -> str | None:
    """Check `edit_distance(a, b)`: the fewest letters to insert, drop or change (Levenshtein 1966)."""
    cases = [("FOX", "FOX"), ("FOX", "BOX"), ("FOXES", "OXEN"), ("", "KEY"), ("ABCD", "BCDE"), ("AB", "BA")]
    cases += [("LANTERN", "LATERN"), ("KEY", "")]
    right = [0, 1, 2, 3, 2, 2, 1, 3]
    rates = [distance / max(1, len(b)) for distance, (a, b) in zip(right, cases)]
    place_by_place = (0, 1, 5, 3, 4, 2, 5, 3)
    mistakes = {
        "You compare letters place by place: one missing letter shifts all that follow.": place_by_place,
        "A changed letter counts 1, not as one dropped and one inserted.": (0, 2, 3, 3, 2, 2, 1, 3),
        "That is the difference of the lengths: letters may also be changed.": (0, 0, 1, 3, 0, 0, 1, 3),
        "Two letters that changed places are 2 changes here, not 1.": (0, 1, 2, 3, 2, 1, 1, 3),
        "You compare which letters occur, not in which order.": (0, 1, 2, 3, 1, 0, 1, 3),
        "That is what the texts share, not what is to change.": (3, 2, 3, 0, 3, 1, 6, 0),
        "Return a count of letters; the rate, divided by the length, comes later.": rates,
    }
    found = [call(a, b) for a, b in cases]
    for (a, b), distance, mine in zip(cases, right, found):
        if not near(mine, distance):
            otherwise = f"From {a!r} to {b!r} it takes {distance}; yours says {mine}."
            return compare(found, right, mistakes, otherwise)
    return None
