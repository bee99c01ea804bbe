"""The checks of chapter 05, second page: using GPT."""

from math import comb

import numpy as np
import torch
from exercise_cases import exercise_tests
from scipy.optimize import curve_fit
from textgen import check


def answer_targets(ids, given, fill=-100):
    return [fill] * (given - 1) + ids[given:]


def prepend(prompt, x):
    return torch.cat([prompt.expand(len(x), -1, -1), x], dim=1)


def pass_at_k(n, c, k):
    return 1 - comb(n - c, k) / comb(n, k)


def power_law(sizes, excess):
    slope, height = np.polyfit(np.log(sizes), np.log(excess), 1)
    return np.exp(height), -slope


def line(sizes, excess, log=np.log):
    return np.polyfit(log(sizes), log(excess), 1)


def targets_in_place(ids, given):
    ids[:given] = [-100] * given
    return ids[1:]


def prepend_filled(prompt, x):
    out = torch.empty(len(x), len(prompt) + x.size(1), x.size(2))
    out[:, : len(prompt)] = prompt
    out[:, len(prompt) :] = x
    return out


def prepend_in_a_loop(prompt, x):
    return torch.stack([torch.cat([prompt, row]) for row in x])


def half_cut_off(prompt, x):
    rows = [torch.cat([prompt if i else prompt.detach(), row]) for i, row in enumerate(x)]
    return torch.stack(rows)


def with_numpy(prompt, x):
    rows = np.broadcast_to(prompt.detach().numpy(), (len(x), *prompt.shape))
    return np.concatenate([rows, x.numpy()], axis=1)


def of_chen(n, c, k):
    return 1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1))


def drawing_in_turn(n, c, k):
    none = 1.0
    for i in range(k):
        none *= max(0, n - c - i) / (n - i)
    return 1 - none


def drawn(n, c, k):
    rng = np.random.default_rng(0)
    return np.mean([rng.choice(n, k, replace=False).min() < c for _ in range(4000)])


def by_gradient_of_a_matrix(sizes, excess):
    x = torch.tensor(np.stack([np.ones_like(sizes), -np.log(sizes)], axis=1))
    height, b = torch.linalg.lstsq(x, torch.tensor(np.log(excess))).solution
    return height.exp(), b


def at_once(sizes, excess):
    return curve_fit(lambda n, a, b: a * n**-b, sizes, excess, p0=(30, 0.6))[0]


def of_the_ends(sizes, excess):
    b = np.log(excess[0] / excess[-1]) / np.log(sizes[-1] / sizes[0])
    return excess[0] * sizes[0] ** b, b


RIGHT = [
    (check.answer_targets, answer_targets),
    (check.prepend, prepend),
    (check.pass_at_k, pass_at_k),
    (check.power_law, power_law),
    (check.answer_targets, targets_in_place),
    (check.answer_targets, lambda ids, given: np.concatenate([np.full(given - 1, -100), ids[given:]])),
    (check.answer_targets, lambda ids, given: [-100 if i < given else t for i, t in enumerate(ids)][1:]),
    (check.prepend, prepend_filled),
    (check.prepend, prepend_in_a_loop),
    (check.prepend, lambda prompt, x: torch.cat([prompt[None].repeat(len(x), 1, 1), x], dim=-2)),
    (check.pass_at_k, of_chen),
    (check.pass_at_k, drawing_in_turn),
    (check.power_law, at_once),
    (check.power_law, by_gradient_of_a_matrix),
    (check.power_law, lambda s, e: [10 ** line(s, e, np.log10)[1], -line(s, e, np.log10)[0]]),
]
WRONG = [
    (check.answer_targets, lambda ids, given: [-100] * given + ids[given:-1], "not shifted"),
    (check.answer_targets, lambda ids, given: [-100] * given + ids[given + 1 :], "first token of the answer"),
    (
        check.answer_targets,
        lambda ids, given: [-100] * (given - 2) + ids[given - 1 :],
        "last token of the prompt",
    ),
    (check.answer_targets, lambda ids, given: ids[1:], "Every token"),
    (check.answer_targets, lambda ids, given: ids[1:given] + [-100] * (len(ids) - given), "wrong way round"),
    (check.answer_targets, lambda ids, given: answer_targets(ids, given, 0), "0 is a token"),
    (check.answer_targets, lambda ids, given: ids[given:], "Keep the places"),
    (check.answer_targets, lambda ids, given: [-100] * given + ids[given:], "one target too many"),
    (check.answer_targets, lambda ids, given: answer_targets(ids, given) + [-100], "one target too many"),
    (check.answer_targets, lambda ids, given: answer_targets(ids, given)[:-1], "never learns to stop"),
    (
        check.answer_targets,
        lambda ids, given: answer_targets(ids, given)[:-1] + [-100],
        "never learns to stop",
    ),
    (
        check.answer_targets,
        lambda ids, given: [-100 if t in ids[:given] else t for t in ids[1:]],
        "decide by its place",
    ),
    (check.answer_targets, lambda ids, given: answer_targets(ids, given, -1), "skips no other number"),
    (check.answer_targets, lambda ids, given: [7] * 5, "of which 4 are given"),
    (check.answer_targets, lambda ids, given: answer_targets(ids, max(given, 2)), "only the start token"),
    (
        check.prepend,
        lambda prompt, x: torch.cat([x, prompt.expand(len(x), -1, -1)], dim=1),
        "after the text",
    ),
    (check.prepend, lambda prompt, x: x + prompt[:1], "places of its own"),
    (
        check.prepend,
        lambda prompt, x: torch.cat([x[:, :2] + prompt, x[:, 2:], x[:, :2]], dim=1),
        "in their order",
    ),
    (check.prepend, lambda prompt, x: torch.cat([prompt, x[0]]), r"yours is \(6, 3\)"),
    (check.prepend, lambda prompt, x: prepend(prompt.flip(0), x), "in their order"),
    (check.prepend, lambda prompt, x: prepend(prompt.detach(), x), "cut off from its gradient"),
    (check.prepend, lambda prompt, x: prepend(torch.nn.Parameter(prompt.clone()), x), "A copy of the prompt"),
    (check.prepend, lambda prompt, x: prepend(prompt.data, x), "cut off from its gradient"),
    (check.prepend, with_numpy, "cut off from its gradient"),
    (check.prepend, half_cut_off, "gradient of some rows"),
    (
        check.prepend,
        lambda prompt, x: torch.cat([prompt.expand(2, -1, -1), x], dim=1),
        "two rows alone",
    ),
    (check.pass_at_k, lambda n, c, k: c / n, "pass@1"),
    (check.pass_at_k, lambda n, c, k: c * comb(n - c, k - 1) / comb(n, k), "exactly one"),
    (check.pass_at_k, lambda n, c, k: 1 - comb(n - c, k) // comb(n, k), "rounds down"),
    (check.pass_at_k, drawn, "did you draw at random"),
    (check.pass_at_k, lambda n, c, k: 1 - (1 - c / n) ** k, "with replacement"),
    (check.pass_at_k, lambda n, c, k: comb(n - c, k) / comb(n, k), "none passes"),
    (check.pass_at_k, lambda n, c, k: comb(c, k) / comb(n, k), "one is enough"),
    (check.pass_at_k, lambda n, c, k: k * c / n, "may exceed 1"),
    (check.pass_at_k, lambda n, c, k: 0.5, "3 of 10"),
    (check.power_law, lambda s, e: (np.exp(line(s, e)[1]), line(s, e)[0]), "positive"),
    (check.power_law, lambda s, e: (line(s, e)[1], -line(s, e)[0]), "exponential of the line's height, not"),
    (check.power_law, lambda s, e: line(s, e)[::-1], "slope without its minus"),
    (check.power_law, lambda s, e: power_law(s, e)[::-1], "swapped"),
    (check.power_law, lambda s, e: (np.exp(line(s, e, np.log10)[1]), -line(s, e)[0]), "base 10"),
    (check.power_law, lambda s, e: (np.polyfit(s, e, 1)[1], -np.polyfit(s, e, 1)[0]), "logarithm of both"),
    (check.power_law, lambda s, e: (30, 0.6), "points near"),
    (check.power_law, of_the_ends, "first and the last point"),
    (
        check.power_law,
        lambda s, e: (np.exp(line(e, s)[1]), -line(e, s)[0]),
        "axes are swapped",
    ),
]


TestChecks = exercise_tests(RIGHT, WRONG)
