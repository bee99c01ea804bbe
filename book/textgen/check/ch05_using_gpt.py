"""The checks of chapter 05's second page, using GPT: what the loss counts, soft prompts, pass@k, a power law."""

from collections.abc import Callable
from math import comb

import numpy as np
import torch

from .harness import attempt, compare, exercise, near


@exercise(
    hint="start from ids[1:], what comes next; then the first given - 1 of these, which are still prompt, become -100.",
    praise="Right: each target is the next token, and the loss counts the answer alone.",
)
def answer_targets(call: Callable) -> str | None:
    """Check `answer_targets(ids, given)`: the next token for each but the last of ids; -100 inside the prompt."""
    ids, given = [0, 11, 12, 13, 21, 22], 4  # a start token, three tokens of prompt, two of answer
    right = [-100, -100, -100, 21, 22]
    mistakes = {
        "The targets are not shifted: at each place the target is the NEXT token, so begin with ids[1:].": [
            -100,
            -100,
            -100,
            -100,
            21,
        ],
        "The first token of the answer is not counted: the last token of the prompt must foretell it.": [
            -100,
            -100,
            -100,
            -100,
            22,
        ],
        "The last token of the prompt is counted too: nobody asks the model to write the question.": [
            -100,
            -100,
            13,
            21,
            22,
        ],
        "Every token is counted: inside the prompt the target is -100, which the loss skips.": ids[1:],
        "That is the wrong way round: the answer is what counts.": [11, 12, 13, -100, -100],
        "Use -100 for what is not counted: 0 is a token of its own.": [0, 0, 0, 21, 22],
        "Keep the places of the prompt: there is one target for each token but the last.": [21, 22],
        "There is one target too many: nothing comes after the last token.": [-100, -100, -100, -100, 21, 22],
    }
    otherwise = f"For ids {ids}, of which {given} are given, the targets are {right}; yours are not."
    problem = compare(call(list(ids), given), right, mistakes, otherwise)
    if not problem and not near(attempt(call, [0, 5, 6], 1), [5, 6]):
        return "Where the start token alone is given, as for ids [0, 5, 6] with 1 given, all that follows counts."
    return problem


@exercise(
    hint="prompt.expand(len(x), -1, -1) repeats it for each row; torch.cat([...], dim=1) joins along the positions.",
    praise="Right: the same vectors stand before each row, and the gradient of all rows reaches them.",
)
def prepend(call: Callable) -> str | None:
    """Check `prepend(prompt, x)`: prompt (P, C) before each row of x (B, T, C), to (B, P + T, C)."""
    prompt = torch.arange(6.0).view(2, 3).requires_grad_()
    x = 10 + torch.arange(24.0).view(2, 4, 3)
    rows = prompt.expand(2, -1, -1)
    right = torch.cat([rows, x], dim=1)
    mistakes = {
        "The prompt stands behind the text, where no token of it can look back at it: put it first.": torch.cat(
            [x, rows], dim=1
        ).detach(),
    }
    answer = call(prompt, x)
    came = tuple(getattr(answer, "shape", ()))
    if came == (2, 4, 3):
        return "The prompt needs places of its own: 2 vectors before 4 positions make 6, and yours has 4."
    if came != (2, 6, 3):
        return f"For a prompt (2, 3) and x (2, 4, 3) the result is (2, 6, 3); yours is {came or type(answer).__name__}."
    otherwise = "The shape is right, but each row must begin with the prompt's vectors in their order."
    problem = compare(answer.detach(), right.detach(), mistakes, otherwise)
    if not problem and not answer.requires_grad:
        return "The prompt was cut off from its gradient: without detach() or data, or it can never learn."
    return problem


@exercise(
    hint="1 minus the chance that all k are wrong: comb(n - c, k) of the comb(n, k) ways to choose k.",
    praise="Right: the chance that at least one of k programs passes, from n that were run.",
)
def pass_at_k(call: Callable) -> str | None:
    """Check `pass_at_k(n, c, k)` = 1 - C(n - c, k) / C(n, k): c of n programs are right, k may be tried."""
    cases = [(10, 3, 2), (10, 3, 1), (5, 0, 2), (5, 4, 2), (8, 8, 1)]
    right = [1 - comb(n - c, k) / comb(n, k) for n, c, k in cases]
    all_k = [comb(c, k) / comb(n, k) for n, c, k in cases]
    mistakes = {
        "That is pass@1 whatever k: with more tries the chance must grow.": [c / n for n, c, k in cases],
        "You put each program back after drawing it, which is too low on average: draw k different ones.": [
            1 - (1 - c / n) ** k for n, c, k in cases
        ],
        "That is the chance that none passes: take 1 minus it.": [1 - value for value in right],
        "That is the chance that all k pass: one is enough.": all_k,
        "k times c / n counts a group twice where two of it pass, and may exceed 1.": [
            k * c / n for n, c, k in cases
        ],
    }
    answers = [call(*cases[0]), *(attempt(call, *case) for case in cases[1:])]
    otherwise = (
        f"With 3 of 10 right and k = 2 the chance is {right[0]:.4f}; check that case, and no program right."
    )
    return compare(answers, right, mistakes, otherwise)


@exercise(
    hint="log(excess) = log(a) - b * log(sizes) is a straight line: np.polyfit(np.log(sizes), np.log(excess), 1).",
    praise="Right: a line on doubly logarithmic paper, and both of its numbers.",
)
def power_law(call: Callable) -> str | None:
    """Check `power_law(sizes, excess)` -> (a, b) such that excess = a * sizes ** -b, by least squares on logarithms."""
    sizes = np.array([1e4, 3e4, 1e5, 4e5])
    excess = 30 * sizes**-0.6 * np.array([1.1, 0.9, 0.95, 1.05])
    slope, intercept = np.polyfit(np.log(sizes), np.log(excess), 1)
    raw = np.polyfit(sizes, excess, 1)
    mistakes = {
        "b should be positive: the formula has the minus sign already.": (np.exp(intercept), slope),
        "a is the exponential of the line's height, not the height itself.": (intercept, -slope),
        "a is the exponential of the line's height, and b the slope without its minus.": (intercept, slope),
        "The two are swapped: a comes first.": (-slope, np.exp(intercept)),
        "You took logarithms to base 10 and then exp: undo them with 10 ** height.": (
            np.exp(intercept / np.log(10)),
            -slope,
        ),
        "You fitted a straight line to the numbers themselves: take the logarithm of both first.": (
            raw[1],
            -raw[0],
        ),
    }
    otherwise = (
        f"For points near 30 * size ** -0.6 the fit gives a = {np.exp(intercept):.2f}, b = {-slope:.3f}."
    )
    return compare(call(sizes, excess), (np.exp(intercept), -slope), mistakes, otherwise, 1e-4)
