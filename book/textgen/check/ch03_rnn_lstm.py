"""The checks of chapter 03, first page: one step of an RNN and of an LSTM, and clipping."""

from collections.abc import Callable

import numpy as np

from .harness import compare, example, exercise, flat, logistic, near


@exercise(
    hint="add three things, one from the word, one from the memory, and b; then tanh.",
    more="W_x @ x and W_h @ h both have the shape of b, (k,): add up the three, and take np.tanh once, of the sum.",
    praise="Right: one step of a recurrent network, the same as torch's.",
)
def rnn_step(call: Callable) -> str | None:
    """Check `rnn_step(x, h, W_x, W_h, b)` = tanh(W_x x + W_h h + b); x (d,), h and b (k,)."""
    x, h, W_x, W_h, b = example(2, 3, (3, 2), (3, 3), 3, seed=3)
    total = W_x @ x + W_h @ h + b
    outside = "You also add the old memory outside the tanh: it comes in through W_h only."
    mistakes = {
        "The weighted sum is right, but without a tanh the memory grows without limit.": total,
        "That is a sigmoid, from 0 to 1; this cell's memory runs from -1 to 1, with tanh.": logistic(total),
        "The old memory h is not used: add W_h @ h.": np.tanh(W_x @ x + b),
        "The new word x is not used: add W_x @ x.": np.tanh(W_h @ h + b),
        "The bias b is missing.": np.tanh(W_x @ x + W_h @ h),
        "W_h is transposed: multiply W_h @ h, not h @ W_h.": np.tanh(W_x @ x + h @ W_h + b),
        outside: h + np.tanh(total),
    }
    otherwise = "For d = 2 and k = 3 your new memory is wrong: is it tanh(W_x @ x + W_h @ h + b)?"
    return compare(call(x, h, W_x, W_h, b), np.tanh(total), mistakes, otherwise)


@exercise(
    hint="split W @ x + U @ h + b into four: i, f, o get a sigmoid, g a tanh; then update c, and h last.",
    more="the new c is what f keeps of the old one and what i lets in of g; the new h is o times the tanh of this new c.",
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
        "The forget gate does nothing: multiply the old cell by f.": step(new=lambda f, i, g: c + i * g),
        "The input gate does nothing: multiply g by i.": step(new=lambda f, i, g: f * c + g),
        "You add (1 - f) * g, as a GRU does: an LSTM adds i * g.": step(
            new=lambda f, i, g: f * c + (1 - f) * g
        ),
        "h comes from the old cell: compute the new c first.": (step(new=lambda f, i, g: c)[0], right[1]),
    }
    answer = call(x, h, c, W, U, b)
    if np.shape(answer) != (2, 3):
        return "Return two arrays of the memory's size: the new h, then the new c."
    otherwise = "For d = 2 and k = 3 your step is wrong: c = f * c + i * g, then h = o * tanh(c)."
    return compare(answer, right, mistakes, otherwise)


@exercise(
    hint="the length of all numbers together, the global norm, is the root of the sum of their squares.",
    more="compute one length over all arrays, and only where it is larger than longest multiply each of them by longest / length.",
    praise="Right: a long gradient keeps its direction and becomes shorter, a short one stays as it is.",
)
def clip(call: Callable) -> str | None:
    """Check `clip(gradients, longest)`: a list of arrays, scaled together to a length of at most `longest`."""
    gradients, longest = [np.array([[3.0, -4.0]]), np.array([12.0, 0.0])], 2.0  # their length is 13

    def clipped(arrays, longest):
        answer = call([array.copy() for array in arrays], longest)
        return flat(answer) if np.iterable(answer) else np.zeros(0)

    answer, whole = clipped(gradients, longest), flat(gradients)
    if answer.shape != (4,):
        return "Return a list of arrays, with the shapes of those that you are given."
    separate = flat(g * longest / np.linalg.norm(g) for g in gradients)
    mistakes = {
        "You clip each number, which changes the direction: scale all by one factor.": whole.clip(-2, 2),
        "You scale each array separately: there is one length, that of all numbers together.": separate,
        "You divide by the square of the length: take the root.": whole * longest / 169,
        "Divided by its length a gradient has length 1: multiply by longest.": whole / 13,
        "Nothing changed: the length, 13, is more than 2.": whole,
    }
    otherwise = "[3, -4] and [12, 0] together have length 13; scaled to length 2 yours is wrong."
    if problem := compare(answer, whole * longest / 13, mistakes, otherwise):
        return problem
    if not near(clipped(gradients, 20.0), whole):
        return "A gradient shorter than longest must stay as it is: you stretch it."
    if not near(clipped([np.zeros(2)], 1.0), np.zeros(2)):
        return "A gradient of zeros must stay zero: you divide by its length."
    return None
