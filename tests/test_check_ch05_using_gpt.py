"""The checks of chapter 05, second page: using GPT."""

from math import comb

import numpy as np
import torch
from exercise_cases import exercise_tests
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


RIGHT = [
    (check.answer_targets, answer_targets),
    (check.prepend, prepend),
    (check.pass_at_k, pass_at_k),
    (check.power_law, power_law),
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
    (check.pass_at_k, lambda n, c, k: c / n, "pass@1"),
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
]


TestChecks = exercise_tests(RIGHT, WRONG)
