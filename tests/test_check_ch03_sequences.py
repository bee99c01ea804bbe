"""The checks of chapter 03, second page: noise, CTC and the edit distance."""

import itertools

import numpy as np
import torch
from exercise_cases import exercise_tests
from textgen import check


def add_noise(tone, snr, rng):
    power = np.mean(tone**2) / 10 ** (snr / 10)
    return tone + np.sqrt(power) * rng.standard_normal(len(tone))


def noise_of(power):
    return lambda tone, snr, rng: tone + np.sqrt(power(tone, snr)) * rng.standard_normal(len(tone))


def merge(path):
    return [c for c, _ in itertools.groupby(path)]


def ctc(p, text, collapse=lambda path: [c for c in merge(path) if c], add=sum):
    paths = itertools.product(range(p.shape[1]), repeat=len(p))
    return add([np.prod(p[range(len(p)), path]) for path in paths if collapse(path) == text])


def ctc_of_torch(p, text):
    logs = torch.tensor(p).log()[:, None]
    loss = torch.nn.functional.ctc_loss(logs, torch.tensor([text]), [len(p)], [len(text)], reduction="sum")
    return torch.exp(-loss)


def edit_distance(a, b, change=1, swap=False):
    table = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            best = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + change * (x != y))
            if swap and i > 1 and j > 1 and a[i - 2] == y and b[j - 2] == x:
                best = min(best, table[i - 2, j - 2] + 1)
            table[i, j] = best
    return table[-1, -1]


def places(a, b):
    return sum(x != y for x, y in zip(a, b)) + abs(len(a) - len(b))


RIGHT = [
    (check.add_noise, add_noise),
    (check.ctc_probability, ctc),
    (check.ctc_probability, ctc_of_torch),
    (check.edit_distance, edit_distance),
]
WRONG = [
    (check.add_noise, lambda t, snr, rng: add_noise(t, snr, rng) - t, "the noise alone"),
    (check.add_noise, lambda t, snr, rng: t + rng.standard_normal(), "a number for each sample"),
    (check.add_noise, lambda t, snr, rng: t[:5], "Return one number for each sample"),
    (check.add_noise, lambda t, snr, rng: add_noise(t, snr, np.random.default_rng(5)), "Draw from the rng"),
    (check.add_noise, lambda t, snr, rng: add_noise(t, snr, np.random.default_rng()), "Draw from the rng"),
    (check.add_noise, noise_of(lambda t, snr: (4.5 / 10 ** (snr / 10)) ** 2), "left out the root"),
    (check.add_noise, noise_of(lambda t, snr: 4.5 / 10 ** (snr / 20)), "for amplitudes"),
    (check.add_noise, noise_of(lambda t, snr: 4.5 * 10 ** (snr / 10)), "louder than the tone"),
    (check.add_noise, noise_of(lambda t, snr: 10 ** (-snr / 10)), "not 1"),
    (check.add_noise, noise_of(lambda t, snr: (t**2).sum() / 10 ** (snr / 10)), "not their sum"),
    (check.add_noise, noise_of(lambda t, snr: 0.2), "should have the power"),
    (check.ctc_probability, lambda p, t: ctc(p, t, add=max), "best path alone"),
    (check.ctc_probability, lambda p, t: ctc(p, t, add=len), "count the paths"),
    (
        check.ctc_probability,
        lambda p, t: ctc(p, t, lambda q: merge([c for c in q if c])),
        "Merge repeats before",
    ),
    (check.ctc_probability, lambda p, t: ctc(p, t, lambda q: [c for c in q if c]), "do not merge repeats"),
    (check.ctc_probability, lambda p, t: ctc(p, t, merge), "keep the blanks"),
    (check.ctc_probability, lambda p, t: 0.5, "four frames"),
    (check.edit_distance, places, "place by place"),
    (check.edit_distance, lambda a, b: edit_distance(a, b, change=2), "counts 1"),
    (check.edit_distance, lambda a, b: abs(len(a) - len(b)), "difference of the lengths"),
    (check.edit_distance, lambda a, b: edit_distance(a, b, swap=True), "changed places"),
    (check.edit_distance, lambda a, b: edit_distance(a, b) / max(1, len(b)), "Return a count"),
    (check.edit_distance, lambda a, b: edit_distance(a, b) + 1, "From 'FOX' to 'FOX' it takes 0"),
]


TestChecks = exercise_tests(RIGHT, WRONG)
