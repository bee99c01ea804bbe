"""The checks of chapter 05, second page: what the loss counts, soft prompts, pass@k, a power law."""

from collections.abc import Callable
from math import comb

import numpy as np
import torch

from .harness import answers, attempt, compare, exercise, near, shape_of, to_numpy


@exercise(
    hint="write the ids in one row and below each what comes after it: at which places does that belong to the answer?",
    more="count the places at which the model would be asked for a token of the prompt: is it asked for the very first one?",
    praise="Right: each target is the next token, and the loss counts the answer alone.",
)
def answer_targets(call: Callable) -> str | None:
    """Check `answer_targets(ids, given)`: the next token for each but the last of ids; -100 inside the prompt."""
    ids, given = [0, 11, 12, 13, 12, 0], 4  # a start token, three of prompt, one of answer, the end token
    right = [-100, -100, -100, 12, 0]
    unshifted = (
        "The targets are not shifted: the target of each token is the NEXT one, so begin with ids[1:]."
    )
    first = "The first token of the answer is not counted: the last token of the prompt must predict it."
    prompt = "The last token of the prompt is counted too: the model need not learn to write the question."
    value = (
        "You decide by what a token is: an answer may repeat a token of its question, so decide by its place."
    )
    end = "The last token is not counted: it ends the text, and without it the model never learns to stop."
    mistakes = {
        unshifted: [-100, -100, -100, -100, 12],
        first: [-100, -100, -100, -100, 0],
        prompt: [-100, -100, 13, 12, 0],
        value: [-100] * 5,
        end: [-100, -100, -100, 12, -100],
        "Every token is counted: inside the prompt the target is -100, which the loss skips.": ids[1:],
        "That is the wrong way round: the answer is what counts.": [11, 12, 13, -100, -100],
        "Use -100 for what is not counted: 0 is a token of its own.": [0, 0, 0, 12, 0],
        "Use -100 for what is not counted: PyTorch's cross-entropy skips no other number.": [
            -1,
            -1,
            -1,
            12,
            0,
        ],
        "Keep the places of the prompt: there is one target for each token but the last.": [12, 0],
    }
    otherwise = f"For ids {ids}, of which {given} are given, the targets are {right}; yours are not."
    answer = call(list(ids), given)
    if np.shape(answer) == (len(ids),):
        return "There is one target too many: nothing comes after the last token."
    if np.shape(answer) == (len(right) - 1,):
        return end
    problem = compare(answer, right, mistakes, otherwise)
    if not problem and not near(attempt(call, [0, 5, 6], 1), [5, 6]):
        return (
            "If only the start token is given, as for ids [0, 5, 6] with 1 given, everything after it counts."
        )
    return problem


@exercise(
    hint="all rows of x share one prompt, so show the same vectors to each of them, and keep their tie to it.",
    more="a prompt with a first axis as long as the batch has the shape of x but for its places, and those lie along dim=1.",
    praise="Right: the same vectors come before each row, and the gradient of all rows reaches them.",
)
def prepend(call: Callable) -> str | None:
    """Check `prepend(prompt, x)`: prompt (P, C) before each row of x (B, T, C), to (B, P + T, C)."""
    prompt, x = torch.arange(6.0).view(2, 3), 10 + torch.arange(24.0).view(2, 4, 3)
    rows, given = prompt.expand(2, -1, -1), prompt.clone().requires_grad_()
    behind = "The prompt comes after the text, where no token can look back at it: put it first."
    answer = call(given, x, detach=False)
    if shape_of(answer) == (2, 4, 3):
        return "The prompt needs places of its own: 2 vectors before 4 positions make 6, and yours has 4."
    if shape_of(answer) != (2, 6, 3):
        return f"For a prompt (2, 3) and x (2, 4, 3) the result is (2, 6, 3); yours is {shape_of(answer)}."
    otherwise = "The shape is right, but each row must begin with the prompt's vectors in their order."
    right, mistakes = torch.cat([rows, x], dim=1), {behind: torch.cat([x, rows], dim=1)}
    if problem := compare(to_numpy(answer), right, mistakes, otherwise):
        return problem
    if shape_of(attempt(call, prompt[:1], x[:, :2].repeat(2, 1, 1))) != (4, 3, 3):
        return "That works for two rows alone: take the number of rows from x, with len(x)."
    if not getattr(answer, "requires_grad", False):
        return "The prompt was cut off from its gradient and could never learn: no detach(), data or numpy."
    (reached,) = torch.autograd.grad(answer.sum(), given, allow_unused=True)
    if reached is None:
        return "A copy of the prompt would learn, and the one you were given would not: use that one itself."
    if not near(reached, np.full((2, 3), 2.0)):
        return "The gradient of some rows never reaches the prompt: every row must hold the prompt itself."
    return None


@exercise(
    hint="at least one is many cases, and none is a single one: how likely is it that all k are wrong?",
    more="every group of k programs is as likely as any other, so count the groups that hold wrong programs alone (math.comb counts).",
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
        "That is the chance that exactly one passes: two or more are welcome too.": c
        * np.array([comb(n - c, k - 1) / comb(n, k) for n, c, k in cases]),
        "// rounds down to a whole number: divide with /.": [
            1 - comb(n - c, k) // comb(n, k) for n, c, k in cases
        ],
    }
    otherwise = f"With 3 of 10 right and k = 2 the chance is {1 - none[0]:.4f}; check that case, and no program right."
    given = answers(call, cases)
    if near(given, 1 - none, 0.05):  # what a draw of some thousands gives; known mistakes go first
        otherwise = "That is near, and not exact: did you draw at random? Count the groups instead."
    return compare(given, 1 - none, mistakes, otherwise)


@exercise(
    hint="on which axes is a power law a straight line?",
    more="take the logarithm of both, fit a straight line, and ask what its slope and its height say about b and a.",
    praise="Right: a straight line in the log-log plot, and both of its parameters.",
)
def power_law(call: Callable) -> str | None:
    """Check `power_law(sizes, excess)` -> (a, b) such that excess = a * sizes ** -b, by least squares.

    On logarithms, as the page does, or on the losses themselves: both are fits to all points.
    """
    sizes = np.array([1e4, 3e4, 1e5, 4e5])
    excess = 30 * sizes**-0.6 * np.array([1.1, 0.9, 0.95, 1.05])
    slope, height = np.polyfit(np.log(sizes), np.log(excess), 1)
    back, ahead = np.polyfit(np.log(excess), np.log(sizes), 1)  # sizes from losses
    raw = np.polyfit(sizes, excess, 1)
    a, b = np.exp(height), -slope
    direct = (83.689, 0.702101)  # scipy.optimize.curve_fit on these points
    ends = np.log(excess[0] / excess[-1]) / np.log(sizes[-1] / sizes[0])
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
        "The axes are swapped: sizes are given, so they go to the right and losses up.": (
            np.exp(ahead),
            -back,
        ),
        "You used the first and the last point alone: fit the line to all of them.": (
            excess[0] * sizes[0] ** ends,
            ends,
        ),
    }
    answer = call(sizes, excess)
    if near(answer, direct, 1e-2):
        return None
    otherwise = f"For points near 30 * size ** -0.6 the fit gives a = {a:.2f}, b = {b:.3f}."
    return compare(answer, (a, b), mistakes, otherwise, 1e-4)
