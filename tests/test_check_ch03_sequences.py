"""The checks of chapter 03, second page: noise, CTC and the edit distance."""

import itertools
from collections import Counter

import numpy as np
import torch
from exercise_cases import exercise_tests
from textgen import check, morse


def add_noise(tone, snr, rng):
    power = np.mean(tone**2) / 10 ** (snr / 10)
    return tone + np.sqrt(power) * rng.standard_normal(len(tone))


def noise_of(power):
    return lambda tone, snr, rng: tone + np.sqrt(power(tone, snr)) * rng.standard_normal(len(tone))


def merge(path):
    return [c for c, _ in itertools.groupby(path)]


def ctc(p, text, collapse=lambda path: [c for c in merge(path) if c], add=sum, each=np.prod, classes=None):
    paths = itertools.product(range(classes or p.shape[1]), repeat=len(p))
    return add([each(p[range(len(p)), path]) for path in paths if collapse(path) == text])


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


def noise_in_place(tone, snr, rng):
    tone += rng.normal(0, np.sqrt(np.mean(tone * tone)) * 10 ** (-snr / 20), tone.shape)
    return tone


def noise_exact(tone, snr, rng):
    """Noise whose own power is made exactly what it should be; in torch."""
    noise = torch.tensor([rng.normal() for _ in tone])
    wanted = np.linalg.norm(tone) * 10 ** (-snr / 20)
    return torch.tensor(tone) + noise * wanted / noise.norm()


def noise_like(draw):
    """Noise of the right power from numbers of power 1."""
    return lambda t, snr, rng: t + np.sqrt(np.mean(t**2) / 10 ** (snr / 10)) * draw(rng, t)


def running_mean(rng, tone):
    noise = rng.standard_normal(len(tone) + 1)
    return (noise[1:] + noise[:-1]) / 2**0.5


def ctc_table(p, text):
    """The forward pass, which adds up all paths without listing them."""
    line = [0] + [c for letter in text for c in (letter, 0)]
    chance = np.zeros(len(line))
    chance[:2] = p[0, line[:2]]
    for row in p[1:]:
        new = chance.copy()
        new[1:] += chance[:-1]
        for i in range(2, len(line)):
            new[i] += chance[i - 2] * (line[i] != 0 and line[i] != line[i - 2])
        chance = new * row[line]
    return chance[-1] + chance[-2]


def ctc_frame_by_frame(p, text):
    """Every path, grown by one frame at a time."""
    paths = {(): 1.0}
    for row in p.tolist():
        paths = {path + (c,): chance * q for path, chance in paths.items() for c, q in enumerate(row)}
    return sum(chance for path, chance in paths.items() if [c for c in merge(path) if c] == list(text))


def recursive_distance(a, b):
    if not a or not b:
        return len(a) + len(b)
    if a[-1] == b[-1]:
        return recursive_distance(a[:-1], b[:-1])
    return 1 + min(recursive_distance(*two) for two in ((a[:-1], b), (a, b[:-1]), (a[:-1], b[:-1])))


def shared(a, b):
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return 1 + shared(a[:-1], b[:-1])
    return max(shared(a[:-1], b), shared(a, b[:-1]))


def occurring(a, b):
    a, b = Counter(a), Counter(b)
    return max((a - b).total(), (b - a).total())


RIGHT = [
    (check.add_noise, add_noise),
    (check.add_noise, noise_in_place),
    (check.add_noise, noise_exact),
    (check.ctc_probability, ctc),
    (check.ctc_probability, ctc_of_torch),
    (check.ctc_probability, ctc_table),
    (check.ctc_probability, ctc_frame_by_frame),
    (check.edit_distance, edit_distance),
    (check.edit_distance, recursive_distance),
    (check.edit_distance, morse.edits),
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
    (check.add_noise, noise_like(lambda rng, t: rng.choice([-1.0, 1.0], len(t))), "not normally distributed"),
    (check.add_noise, noise_like(lambda rng, t: rng.uniform(-(3**0.5), 3**0.5, len(t))), "not normally"),
    (check.add_noise, noise_like(lambda rng, t: rng.laplace(0, 0.5**0.5, len(t))), "not normally"),
    (check.add_noise, noise_like(running_mean), "not white"),
    (check.add_noise, noise_like(lambda rng, t: np.sort(rng.standard_normal(len(t)))), "not white"),
    (
        check.add_noise,
        noise_like(lambda rng, t: 0.6 + 0.8 * rng.standard_normal(len(t))),
        "mean of your noise",
    ),
    (
        check.add_noise,
        noise_like(lambda rng, t: t / np.sqrt(np.mean(t**2)) * rng.standard_normal(len(t))),
        "louder where the tone is",
    ),
    (check.add_noise, noise_of(lambda t, snr: 4.5 / 10**0.6), "use tone and snr"),
    (check.add_noise, noise_of(lambda t, snr: t.max() ** 2 / 2 / 10 ** (snr / 10)), "use tone and snr"),
    (check.ctc_probability, lambda p, t: ctc(p, t, add=max), "best path alone"),
    (check.ctc_probability, lambda p, t: ctc(p, t, add=np.mean), "a mean over paths"),
    (check.ctc_probability, lambda p, t: np.log(ctc(p, t)), "That is a logarithm"),
    (check.ctc_probability, lambda p, t: -np.log(ctc(p, t)), "the surprise"),
    (check.ctc_probability, lambda p, t: ctc(p, t, each=np.sum), "multiply over the frames"),
    (check.ctc_probability, lambda p, t: ctc(p[:4, :3], t, classes=3), "take both from p"),
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
    (check.edit_distance, occurring, "which letters occur"),
    (check.edit_distance, shared, "what the texts share"),
    (check.edit_distance, lambda a, b: edit_distance(a, b) if b else 0, "From 'KEY' to '' it takes 3"),
    (check.edit_distance, lambda a, b: edit_distance(a, b) / max(1, len(b)), "Return a count"),
    (check.edit_distance, lambda a, b: edit_distance(a, b) + 1, "From 'FOX' to 'FOX' it takes 0"),
]


TestChecks = exercise_tests(RIGHT, WRONG)
