"""The checks of chapter 02, first page: neurons in layers, and how they learn."""

from collections.abc import Callable

import numpy as np

from .harness import compare, example, exercise, flat, ignored_rng, logistic, near


@exercise(
    hint="a column of W and its entry of b are one logistic regression; a product of tables runs all of them at once.",
    more="first make a table of weighted sums, a row for each example and a column for each neuron; what does a regression do with such a sum?",
    praise="Right: every column of your answer is one logistic regression.",
)
def layer(call: Callable) -> str | None:
    """Check `layer(X, W, b)` -> sigmoid(X W + b): X (n, d), W (d, k), b (k,) to (n, k)."""
    X, W, b = example((5, 3), (3, 4), 4)
    z = X @ W + b
    right, softmax = logistic(z), np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    mistakes = {
        "You left out the sigmoid: these are the logits.": z,
        "You left out b: each neuron adds its own.": logistic(X @ W),
        "You add b after the sigmoid: it belongs inside.": logistic(X @ W) + b,
        "b has the wrong sign.": logistic(X @ W - b),
        "Your sigmoid falls where it should rise: the sign in its exponent is wrong.": logistic(-z),
        "The sigmoid comes after the weighted sum, not before it.": logistic(X) @ W + b,
        "Your table is transposed: each example is a row, each neuron a column.": right.T,
        "That is tanh, which runs from -1 to 1; a regression's answer runs from 0 to 1.": np.tanh(z),
        "That is a softmax: the neurons do not share one probability, each has its own.": softmax,
    }
    answer = call(X, W, b)
    if np.shape(answer) == (5,):
        return "Return a number for each neuron and each example, (n, k); yours has one for each example."
    return compare(answer, right, mistakes, "For X (5, 3), W (3, 4) and b (4,) your answers are wrong.")


@exercise(
    hint="one question should wake with the first switch that is up, the other as soon as there are too many; what does the lamp make of each?",
    more="in the stairwell every switch counted 20, and the bias decided how many it took to wake a neuron; a lamp that is off by itself needs a bias too.",
    praise="Right: your network is right at all eight settings, and confident.",
)
def exactly_one(call: Callable) -> str | None:
    """Check `exactly_one()` -> W1 (3, k), b1 (k,), w2 (k,), b2: on where exactly one of three inputs is 1."""
    answer = call()
    if not isinstance(answer, tuple | list) or len(answer) != 4:
        return "Return four things: W1, b1, w2 and b2."
    W1, b1, w2, b2 = (np.asarray(part, dtype=float) for part in answer)
    if W1.ndim != 2 or len(W1) != 3:
        return f"W1 needs a row for each of the three switches, (3, k); yours is {W1.shape}."
    k = W1.shape[1]
    if b1.shape != (k,) or w2.shape != (k,) or b2.size != 1:
        return f"With W1 (3, {k}), b1 and w2 must be ({k},) and b2 one number."
    X = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    with np.errstate(over="ignore"):
        p = logistic(logistic(X @ W1 + b1) @ w2 + b2.item())
    up, right = X.sum(axis=1), (X.sum(axis=1) == 1).astype(float)
    if near(p.round(), 1 - right):
        return "The lamp is on where it should be off: change the signs of w2 and b2."
    if near(p.round(), up % 2):
        return "Your lamp is also on with all three up: that is an odd number, not exactly one."
    if near(p.round(), up >= 1):
        return "Your lamp is on whenever at least one is up: subtract a second neuron, 'at least two?'."
    wrong = X[p.round() != right]
    if len(wrong):
        return f"At switches {wrong[0].tolist()} the lamp is wrong ({len(wrong)} of 8 settings are)."
    off = np.abs(p - right).max()
    if off > 0.1:
        return f"All eight round to the right answer, but one is off by {off:.2f}: use larger weights."
    return None


@exercise(
    hint="only two things differ from the text's backprop: what a hidden neuron says, and how easily it changes its mind.",
    more="go through the three factors of the error signal one by one: the error of a mean, the weight by which a neuron was heard, the slope of its bend.",
    praise="Right: your four gradients equal those of autograd.",
)
def tanh_backprop(call: Callable) -> str | None:
    """Check `tanh_backprop(X, y, W1, b1, w2, b2)` -> the mean cross-entropy's gradients, in that order."""
    X, W1, b1, w2 = example((6, 2), (2, 4), 4, 4)
    y, b2, names = np.array([1, 0, 1, 1, 0, 0]), 0.3, ("W1", "b1", "w2", "b2")

    def gradients(hidden=np.tanh, slope=lambda h: 1 - h**2, weights=w2, scale=1 / 6):
        h = hidden(X @ W1 + b1)
        error = (logistic(h @ w2 + b2) - y) * scale
        delta = error[:, None] * weights * slope(h)
        return X.T @ delta, delta.sum(axis=0), h.T @ error, error.sum()

    def sigmoid_slope(h):
        return h * (1 - h)

    def squared():
        h = np.tanh(X @ W1 + b1)
        p = logistic(h @ w2 + b2)
        error = (p - y) * p * (1 - p) / 6
        delta = error[:, None] * w2 * (1 - h**2)
        return X.T @ delta, delta.sum(axis=0), h.T @ error, error.sum()

    right = gradients()
    answer = call(X, y, W1, b1, w2, b2)
    if not isinstance(answer, tuple | list) or len(answer) != 4:
        return "Return four gradients: of W1, b1, w2 and b2."
    if np.shape(answer[0]) == (4, 2):
        return "Your gradient of W1 is transposed: it has the shape of W1, a row for each input."
    for name, mine, part in zip(names, answer, right):
        if np.shape(mine) != np.shape(part):
            return f"Your gradient of {name} has shape {np.shape(mine)}; {name} has {np.shape(part)}."
    mistakes = {
        "All signs are wrong: the error is p - y, not y - p.": gradients(scale=-1 / 6),
        "You summed over the examples: divide the error by their number.": gradients(scale=1),
        "You left the slope 1 - h**2 out of delta.": gradients(slope=lambda h: 1),
        "Your slope is the sigmoid's, h (1 - h): that of tanh is 1 - h**2.": gradients(slope=sigmoid_slope),
        "Your slope is 1 - h: square the h.": gradients(slope=lambda h: 1 - h),
        "h is the tanh already, and you take the tanh of it again: the slope is 1 - h**2.": gradients(
            slope=lambda h: 1 - np.tanh(h) ** 2
        ),
        "The error at the output is p - y as it is: the slope of the last sigmoid has cancelled.": squared(),
        "You average twice: divide by the number of examples in the error alone.": gradients(scale=1 / 36),
        "You left w2 out of delta: the error comes back through the weights.": gradients(weights=1),
        "Your hidden neurons are sigmoids: h is np.tanh(X @ W1 + b1).": gradients(logistic, sigmoid_slope),
    }
    for n, name in enumerate(names):
        mistakes[f"Your gradient has the wrong sign for {name}."] = right[:n] + (-right[n],) + right[n + 1 :]
    wrong = next((name for name, mine, part in zip(names, answer, right) if not near(mine, part)), None)
    otherwise = f"Your gradient of {wrong} is wrong: start from the text's backprop, then change the slope."
    known = {sentence: flat(parts) for sentence, parts in mistakes.items()}
    return compare(flat(answer), flat(right), known, otherwise)


@exercise(
    hint="how large is a sum of d random numbers of size 1, with d = 4 and with d = 400?",
    more="their signs differ, so the sum grows more slowly than d itself; whatever it grows with has to be divided out.",
    praise="Right: the neurons differ, and the sums have size 1 with 4 inputs as with 400.",
)
def start_weights(call: Callable) -> str | None:
    """Check `start_weights(d, k, rng)` -> (d, k): random, and of size 1 / sqrt(d) as in LeCun et al. 1998."""
    W = np.asarray(call(400, 30, np.random.default_rng(0)), dtype=float)
    if W.shape != (400, 30):
        return f"For d = 400 inputs and k = 30 neurons return (400, 30); yours is {W.shape}."
    if not W.any():
        return "All weights are zero: equal neurons stay equal, and no error signal gets through them."
    if np.ptp(W, axis=1).max() < 1e-9:
        return "All neurons start equal, so they stay equal: draw different numbers for each column."
    columns = np.unique(W.round(12), axis=1).shape[1]
    if columns < W.shape[1]:
        return f"Only {columns} of your {W.shape[1]} neurons differ, and equal ones stay equal: draw every column anew."
    if np.ptp(W, axis=0).max() < 1e-9:
        return "Each neuron has one weight for all its inputs: draw a number for every entry of the table."
    if problem := ignored_rng(call, 400, 30):
        return problem
    if abs(W.mean()) > 0.2 * W.std():
        return "The mean of your weights is not zero: draw them around zero, as rng.normal does."
    sizes = {}
    for d, k in (
        (4, 8),
        (400, 30),
    ):  # Glorot's sqrt(2 / (d + k)) is right in both, 1 / sqrt(k) and 1 / d are not
        tables = [np.asarray(call(d, k, np.random.default_rng(seed)), dtype=float) for seed in range(25)]
        sizes[d] = np.sqrt(np.mean([(W**2).sum(axis=0).mean() for W in tables]))
    large, small = max(sizes, key=sizes.get), min(sizes, key=sizes.get)
    if sizes[large] > 2:
        return f"With {large} inputs the weighted sums have size {sizes[large]:.1f}: divide by the square root of d."
    if sizes[small] < 0.5:
        return f"With {small} inputs the weighted sums have size {sizes[small]:.2f}, too small: aim at 1."
    return None
