"""The checks of chapter 05's second page: right answers pass, stubs get a hint, mistakes their own diagnosis."""

from math import comb

import numpy as np
import pytest
import torch
from textgen.check import ch05_using_gpt
from textgen.check.harness import Diagnosis


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


RIGHT = {
    "answer_targets": answer_targets,
    "prepend": prepend,
    "pass_at_k": pass_at_k,
    "power_law": power_law,
}
WRONG = [
    ("answer_targets", lambda ids, given: [-100] * given + ids[given:-1], "not shifted"),
    ("answer_targets", lambda ids, given: [-100] * given + ids[given + 1 :], "first token of the answer"),
    (
        "answer_targets",
        lambda ids, given: [-100] * (given - 2) + ids[given - 1 :],
        "last token of the prompt",
    ),
    ("answer_targets", lambda ids, given: ids[1:], "Every token"),
    ("answer_targets", lambda ids, given: ids[1:given] + [-100] * (len(ids) - given), "wrong way round"),
    ("answer_targets", lambda ids, given: answer_targets(ids, given, 0), "0 is a token"),
    ("answer_targets", lambda ids, given: ids[given:], "Keep the places"),
    ("answer_targets", lambda ids, given: [-100] * given + ids[given:], "one target too many"),
    ("answer_targets", lambda ids, given: [7] * 5, "of which 4 are given"),
    ("answer_targets", lambda ids, given: answer_targets(ids, max(given, 2)), "start token alone"),
    ("prepend", lambda prompt, x: torch.cat([x, prompt.expand(len(x), -1, -1)], dim=1), "behind the text"),
    ("prepend", lambda prompt, x: x + prompt[:1], "places of its own"),
    (
        "prepend",
        lambda prompt, x: torch.cat([x[:, :2] + prompt, x[:, 2:], x[:, :2]], dim=1),
        "in their order",
    ),
    ("prepend", lambda prompt, x: torch.cat([prompt, x[0]]), r"yours is \(6, 3\)"),
    ("prepend", lambda prompt, x: prepend(prompt.flip(0), x), "in their order"),
    ("prepend", lambda prompt, x: prepend(prompt.detach(), x), "cut off from its gradient"),
    ("pass_at_k", lambda n, c, k: c / n, "pass@1"),
    ("pass_at_k", lambda n, c, k: 1 - (1 - c / n) ** k, "back after drawing"),
    ("pass_at_k", lambda n, c, k: comb(n - c, k) / comb(n, k), "none passes"),
    ("pass_at_k", lambda n, c, k: comb(c, k) / comb(n, k), "one is enough"),
    ("pass_at_k", lambda n, c, k: k * c / n, "may exceed 1"),
    ("pass_at_k", lambda n, c, k: 0.5, "3 of 10"),
    ("power_law", lambda s, e: (np.exp(line(s, e)[1]), line(s, e)[0]), "positive"),
    ("power_law", lambda s, e: (line(s, e)[1], -line(s, e)[0]), "exponential of the line's height, not"),
    ("power_law", lambda s, e: line(s, e)[::-1], "slope without its minus"),
    ("power_law", lambda s, e: power_law(s, e)[::-1], "swapped"),
    ("power_law", lambda s, e: (np.exp(line(s, e, np.log10)[1]), -line(s, e)[0]), "base 10"),
    ("power_law", lambda s, e: (np.polyfit(s, e, 1)[1], -np.polyfit(s, e, 1)[0]), "logarithm of both"),
    ("power_law", lambda s, e: (30, 0.6), "points near"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass_and_stubs_get_a_hint(name, capsys):
    check = getattr(ch05_using_gpt, name)
    check(RIGHT[name])
    assert capsys.readouterr().out.startswith("Right:")
    check(lambda *arguments: ...)
    assert capsys.readouterr().out.startswith("Not written yet. Hint:")


@pytest.mark.parametrize(("name", "wrong", "diagnosis"), WRONG)
def test_each_mistake_has_its_diagnosis(name, wrong, diagnosis):
    with pytest.raises(Diagnosis, match=diagnosis):
        getattr(ch05_using_gpt, name)(wrong)
