"""The checks of chapter 05, second page: what the loss counts, soft prompts, pass@k, a power law."""

from collections.abc import Callable
from math import comb

import numpy as np
import torch

from .harness import answers, attempt, compare, exercise, near, shape_of, to_numpy


@exercise(
    hint="the targets are ids[1:], what comes next; those that still belong to the prompt become -100.",
    more="the first token is nobody's target, so the list begins with given - 1 times -100, and the tokens of the answer follow.",
    praise="Right: each target is the next token, and the loss counts the answer alone.",
)
def answer_targets(call: Callable) -> str | None:
    """Check `answer_targets(ids, given)`: the next token for each but the last of ids; -100 inside the prompt."""
    ids, given = [0, 11, 12, 13, 21, 22], 4  # a start token, three tokens of prompt, two of answer
    right = [-100, -100, -100, 21, 22]
    unshifted = (
        "The targets are not shifted: the target of each token is the NEXT one, so begin with ids[1:]."
    )
    first = "The first token of the answer is not counted: the last token of the prompt must predict it."
    prompt = "The last token of the prompt is counted too: the model need not learn to write the question."
    mistakes = {
        unshifted: [-100, -100, -100, -100, 21],
        first: [-100, -100, -100, -100, 22],
        prompt: [-100, -100, 13, 21, 22],
        "Every token is counted: inside the prompt the target is -100, which the loss skips.": ids[1:],
        "That is the wrong way round: the answer is what counts.": [11, 12, 13, -100, -100],
        "Use -100 for what is not counted: 0 is a token of its own.": [0, 0, 0, 21, 22],
        "Keep the places of the prompt: there is one target for each token but the last.": [21, 22],
        "There is one target too many: nothing comes after the last token.": [-100, *right],
    }
    otherwise = f"For ids {ids}, of which {given} are given, the targets are {right}; yours are not."
    problem = compare(call(list(ids), given), right, mistakes, otherwise)
    if not problem and not near(attempt(call, [0, 5, 6], 1), [5, 6]):
        return (
            "If only the start token is given, as for ids [0, 5, 6] with 1 given, everything after it counts."
        )
    return problem


@exercise(
    hint="expand repeats the prompt for each row of x without a copy; torch.cat joins along an axis.",
    more="expand the prompt to (B, P, C), where B is len(x), and join it and x, in this order, along the axis of positions, dim=1.",
    praise="Right: the same vectors come before each row, and the gradient of all rows reaches them.",
)
def prepend(call: Callable) -> str | None:
    """Check `prepend(prompt, x)`: prompt (P, C) before each row of x (B, T, C), to (B, P + T, C)."""
    prompt, x = torch.arange(6.0).view(2, 3), 10 + torch.arange(24.0).view(2, 4, 3)
    rows = prompt.expand(2, -1, -1)
    behind = "The prompt comes after the text, where no token can look back at it: put it first."
    answer = call(prompt.clone().requires_grad_(), x, detach=False)
    if shape_of(answer) == (2, 4, 3):
        return "The prompt needs places of its own: 2 vectors before 4 positions make 6, and yours has 4."
    if shape_of(answer) != (2, 6, 3):
        return f"For a prompt (2, 3) and x (2, 4, 3) the result is (2, 6, 3); yours is {shape_of(answer)}."
    otherwise = "The shape is right, but each row must begin with the prompt's vectors in their order."
    right, mistakes = torch.cat([rows, x], dim=1), {behind: torch.cat([x, rows], dim=1)}
    problem = compare(to_numpy(answer), right, mistakes, otherwise)
    if not problem and not getattr(answer, "requires_grad", False):
        return "The prompt was cut off from its gradient and could never learn: do not use detach() or data."
    return problem


@exercise(
    hint="take 1 minus the chance that all k are wrong; comb(n, k) counts the ways to choose k of n.",
    more="n - c programs are wrong, and math.comb(n - c, k) groups hold nothing else: what share of all groups is that?",
    praise="Right: the chance that at least one of k programs passes, from n that were run.",
)
def pass_at_k(call: Callable) -> str | None:
    """Check `pass_at_k(n, c, k)` = 1 - C(n - c, k) / C(n, k): c of n programs are right, k may be tried."""
    cases = [(10, 3, 2), (10, 3, 1), (5, 0, 2), (5, 4, 2), (8, 8, 1)]
    none = np.array([comb(n - c, k) / comb(n, k) for n, c, k in cases])
    n, c, k = np.array(cases).T
    replaced = "You draw with replacement, which gives too little on average: draw k different programs."
    mistakes = {
        "That is pass@1 for every k: with more tries the chance must grow.": c / n,
        replaced: 1 - (1 - c / n) ** k,
        "That is the chance that none passes: take 1 minus it.": none,
        "That is the chance that all k pass: one is enough.": [comb(c, k) / comb(n, k) for n, c, k in cases],
        "k * c / n counts a group twice where two of it pass, and may exceed 1.": k * c / n,
    }
    otherwise = f"With 3 of 10 right and k = 2 the chance is {1 - none[0]:.4f}; check that case, and no program right."
    return compare(answers(call, cases), 1 - none, mistakes, otherwise)


@exercise(
    hint="log(excess) = log(a) - b * log(sizes) is a straight line, and np.polyfit fits straight lines.",
    more="np.polyfit of degree 1 returns slope and height of the line through the logarithms; undo the logarithm for a, and the minus for b.",
    praise="Right: a straight line in the log-log plot, and both of its parameters.",
)
def power_law(call: Callable) -> str | None:
    """Check `power_law(sizes, excess)` -> (a, b) such that excess = a * sizes ** -b, by least squares on logarithms."""
    sizes = np.array([1e4, 3e4, 1e5, 4e5])
    excess = 30 * sizes**-0.6 * np.array([1.1, 0.9, 0.95, 1.05])
    slope, height = np.polyfit(np.log(sizes), np.log(excess), 1)
    raw = np.polyfit(sizes, excess, 1)
    a, b = np.exp(height), -slope
    mistakes = {
        "b should be positive: the formula already has the minus sign.": (a, slope),
        "a is the exponential of the line's height, not the height itself.": (height, b),
        "a is the exponential of the line's height, and b the slope without its minus.": (height, slope),
        "The two are swapped: a comes first.": (b, a),
        "You took logarithms to base 10 and then exp: undo them with 10 ** height.": (
            a ** (1 / np.log(10)),
            b,
        ),
        "You fitted a line to the numbers themselves: take the logarithm of both first.": (raw[1], -raw[0]),
    }
    otherwise = f"For points near 30 * size ** -0.6 the fit gives a = {a:.2f}, b = {b:.3f}."
    return compare(call(sizes, excess), (a, b), mistakes, otherwise, 1e-4)
