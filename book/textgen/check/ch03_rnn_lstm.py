"""The checks of chapter 03, first page: one step of an RNN and of an LSTM, and clipping."""

from collections.abc import Callable

import numpy as np

from .harness import Unfinished, attempt, compare, example, exercise, flat, logistic, near


@exercise(
    hint="the new memory weighs what comes in and what it remembers, each with a matrix of its own, and squeezes the sum.",
    more="each matrix times its vector has the shape of b, (k,), and the squeeze comes once, after all is added up.",
    praise="Right: one step of a recurrent network, the same as torch's.",
)
def rnn_step(call: Callable) -> str | None:
    """Check `rnn_step(x, h, W_x, W_h, b)` = tanh(W_x x + W_h h + b); x (d,), h and b (k,)."""
    x, h, W_x, W_h, b = example(2, 3, (3, 2), (3, 3), 3, seed=1)
    total = W_x @ x + W_h @ h + b
    outside = "You also add the old memory outside the tanh: it comes in through W_h only."
    mistakes = {
        "The weighted sum is right, but without a tanh the memory grows without limit.": total,
        "That is a sigmoid, from 0 to 1; this cell's memory runs from -1 to 1, with tanh.": logistic(total),
        "That cuts off what is negative; this cell's memory runs from -1 to 1, with tanh.": np.maximum(
            total, 0
        ),
        "The old memory h is not used: it comes in through W_h.": np.tanh(W_x @ x + b),
        "The new word x is not used: it comes in through W_x.": np.tanh(W_h @ h + b),
        "The bias b is missing.": np.tanh(W_x @ x + W_h @ h),
        "The bias b comes in with a minus.": np.tanh(W_x @ x + W_h @ h - b),
        "b stands outside the tanh: squeeze once, after all is added up.": np.tanh(W_x @ x + W_h @ h) + b,
        "You squeeze each part by itself: add up first, then squeeze once.": np.tanh(W_x @ x)
        + np.tanh(W_h @ h)
        + np.tanh(b),
        "W_h is transposed: its rows, not its columns, belong to the new memory.": np.tanh(
            W_x @ x + h @ W_h + b
        ),
        outside: h + np.tanh(total),
    }
    otherwise = "For d = 2 and k = 3 your new memory is wrong: compare it with the formula part by part."
    if problem := compare(call(x.copy(), h.copy(), W_x, W_h, b), np.tanh(total), mistakes, otherwise):
        return problem
    x, h, W_x, W_h, b = example(4, 2, (2, 4), (2, 2), 2, seed=4)
    fixed = "It is right for d = 2 and k = 3, but not for d = 4 and k = 2: take the sizes from the arrays."
    return compare(attempt(call, x.copy(), h.copy(), W_x, W_h, b), np.tanh(W_x @ x + W_h @ h + b), {}, fixed)


@exercise(
    hint="all four gates' sums come from one weighted sum, 4k numbers long; cut it up, squeeze each part, then do the cell first and h last.",
    more="the new cell is what one gate keeps of the old plus what another lets in of g, and h shows the squeezed new cell as far as o allows.",
    praise="Right: your cell forgets, writes and reads as torch's LSTM does.",
)
def lstm_step(call: Callable) -> str | None:
    """Check `lstm_step(x, h, c, W, U, b)` -> (h, c); W (4k, d), U (4k, k), b (4k,) hold i, f, g, o in this order."""
    x, h, c, W, U, b = example(2, 3, 3, (12, 2), (12, 3), 12, seed=3)

    def step(order="ifgo", squeeze=np.tanh, new=lambda f, i, g: f * c + i * g, read=np.tanh):
        z = dict(zip(order, np.split(W @ x + U @ h + b, 4)))
        i, f, o = (logistic(z[name]) for name in "ifo")
        cell = new(f, i, squeeze(z["g"]))
        return o * read(cell), cell

    right = step()
    mistakes = {
        "The two are swapped: return the new h first, then the new c.": right[::-1],
        "The rows are in the order i, f, g, o: you swapped the last two.": step("ifog"),
        "The rows are in the order i, f, g, o: you swapped the first two.": step("figo"),
        "g needs a tanh: with a sigmoid it could never be negative.": step(squeeze=logistic),
        "h is o * tanh(c): the tanh is missing.": step(read=lambda cell: cell),
        "g has no tanh yet: what is written must lie between -1 and 1.": step(squeeze=lambda z: z),
        "The forget gate does nothing: it decides how much of the old cell stays.": step(
            new=lambda f, i, g: c + i * g
        ),
        "The input gate does nothing: it decides how much of g is written.": step(
            new=lambda f, i, g: f * c + g
        ),
        "The forget gate works the wrong way round: at 1 it keeps the old cell.": step(
            new=lambda f, i, g: (1 - f) * c + i * g
        ),
        "You multiply where the cell adds: what is kept and what is written are added up.": step(
            new=lambda f, i, g: f * c * i * g
        ),
        "You add (1 - f) * g, as a GRU does: an LSTM adds i * g.": step(
            new=lambda f, i, g: f * c + (1 - f) * g
        ),
        "h comes from the old cell: compute the new c first.": (step(new=lambda f, i, g: c)[0], right[1]),
    }
    answer = call(x.copy(), h.copy(), c.copy(), W, U, b)
    if np.shape(answer) != (2, 3):
        return "Return two arrays of the memory's size: the new h, then the new c."
    z = W @ x + U @ h
    mistakes |= {
        "The bias b is missing.": cell_step(z, c),
        "The old memory h is not used: it comes in through U.": cell_step(W @ x + b, c),
        "The new word x is not used: it comes in through W.": cell_step(U @ h + b, c),
    }
    otherwise = (
        "For d = 2 and k = 3 your step is wrong: compare the four gates, then c, then h with the formulas."
    )
    if problem := compare(answer, right, mistakes, otherwise):
        return problem
    x, h, c, W, U, b = example(3, 2, 2, (8, 3), (8, 2), 8, seed=4)
    fixed = "It is right for d = 2 and k = 3, but not for d = 3 and k = 2: take the sizes from the arrays."
    return compare(
        attempt(call, x.copy(), h.copy(), c.copy(), W, U, b), cell_step(W @ x + U @ h + b, c), {}, fixed
    )


def cell_step(z: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The new h and c of an LSTM whose gates have the sums z (4k,), in the order i, f, g, o."""
    i, f, g, o = np.split(z, 4)
    c = logistic(f) * c + logistic(i) * np.tanh(g)
    return logistic(o) * np.tanh(c), c


@exercise(
    hint="think of all arrays laid end to end as one long arrow: it may become shorter, but must not turn.",
    more="one length belongs to all arrays together, and where it is too large one factor brings every number of them down.",
    praise="Right: a long gradient keeps its direction and becomes shorter, a short one stays as it is.",
)
def clip(call: Callable) -> str | None:
    """Check `clip(gradients, longest)`: a list of arrays, scaled together to a length of at most `longest`."""
    gradients, longest = [np.array([[3.0, -4.0]]), np.array([12.0, 0.0])], 2.0  # their length is 13
    given = [array.copy() for array in gradients]
    try:
        answer = call(given, longest)
    except Unfinished:
        if not near(flat(given), flat(gradients)):
            return "You changed the arrays in place and return nothing: return the list of them."
        raise
    answer = list(answer) if np.iterable(answer) else [answer]
    if [np.shape(array) for array in answer] != [array.shape for array in gradients]:
        return "Return a list of arrays, with the shapes of those that you are given."

    def clipped(arrays, longest):
        answer = attempt(call, [array.copy() for array in arrays], longest)
        return flat(answer) if np.iterable(answer) else np.zeros(0)

    answer, whole = flat(answer), flat(gradients)
    separate = flat(g * min(1, longest / np.linalg.norm(g)) for g in gradients)
    mistakes = {
        "You clip each number, which changes the direction: scale all by one factor.": whole.clip(-2, 2),
        "You scale each array separately: there is one length, that of all numbers together.": separate,
        "You divide by the square of the length: take the root.": whole * longest / 169,
        "You measure by the largest number, 12: the length is the root of the sum of all squares.": whole / 6,
        "You add up the lengths of the arrays, 5 and 12: take the length of all numbers together.": whole
        * 2
        / 17,
        "You add up the numbers without their signs, 19: the length is the root of the sum of squares.": whole
        * 2
        / 19,
        "Divided by its length a gradient has length 1: it should have the length longest.": whole / 13,
        "Nothing changed: the length, 13, is more than 2.": whole,
    }
    otherwise = "[3, -4] and [12, 0] together have length 13; scaled to length 2 yours is wrong."
    if problem := compare(answer, whole * longest / 13, mistakes, otherwise):
        return problem
    if not near(clipped(gradients, 20.0), whole):
        return "A gradient shorter than longest must stay as it is: you stretch it."
    if not near(clipped([np.zeros(2)], 1.0), np.zeros(2)):
        return "A gradient of zeros must stay zero: you divide by its length."
    if not near(clipped([np.array(8.0), np.full((2, 2), 3.0)], 5.0), [4.0, 1.5, 1.5, 1.5, 1.5]):
        return "It is right for two arrays of two numbers, but not for 8 and [[3, 3], [3, 3]], whose length is 10."
    return None
