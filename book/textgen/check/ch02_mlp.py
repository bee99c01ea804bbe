"""The checks of chapter 02, first page: neurons in layers, and how they learn."""

from collections.abc import Callable

import numpy as np

from .harness import compare, exercise, near


def sigma(z: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-z)), for numbers of moderate size."""
    return 1 / (1 + np.exp(-z))


@exercise(
    hint="each column of X @ W + b is one regression's logit; then the sigmoid of every number in it.",
    praise="Right: every column of your answer is one logistic regression.",
)
def layer(call: Callable) -> str | None:
    """Check `layer(X, W, b)` -> sigmoid(X W + b): X (n, d), W (d, k), b (k,) to (n, k)."""
    rng = np.random.default_rng(0)
    X, W, b = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)
    z = X @ W + b
    right = sigma(z)
    mistakes = {
        "You left out the sigmoid: these are the logits.": z,
        "You left out b: each neuron adds its own.": sigma(X @ W),
        "You add b after the sigmoid: it belongs inside.": sigma(X @ W) + b,
        "b has the wrong sign.": sigma(X @ W - b),
        "Your table lies on its side: examples go down, neurons across.": right.T,
        "That is tanh, which runs from -1 to 1; a regression's answer runs from 0 to 1.": np.tanh(z),
        "That is a softmax: the neurons do not share one probability, each has its own.": (
            np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        ),
    }
    answer = call(X, W, b)
    if np.shape(answer) == (5,):
        return "Return a number for each neuron and each example, (n, k); yours has one for each example."
    return compare(answer, right, mistakes, "For X (5, 3), W (3, 4) and b (4,) your answers are wrong.")


@exercise(
    hint="ask two questions, 'at least one?' and 'at least two?'; let w2 add the first and subtract the second.",
    praise="Right: your network is sure, and right, at all eight settings.",
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
        p = sigma(sigma(X @ W1 + b1) @ w2 + b2.item())
    ups, right = X.sum(axis=1), (X.sum(axis=1) == 1).astype(float)
    if near(p.round(), 1 - right):
        return "The lamp is on where it should be off: turn the signs of w2 and b2 around."
    if near(p.round(), ups % 2) and not near(p.round(), right):
        return "With all three up your lamp shines: that is the odd number of the text, not exactly one."
    if near(p.round(), ups >= 1):
        return "Your lamp shines whenever at least one is up: subtract a second neuron, 'at least two?'."
    wrong = X[p.round() != right]
    if len(wrong):
        return f"At switches {wrong[0].tolist()} the lamp is wrong ({len(wrong)} of 8 settings are)."
    sure = np.abs(p - right).max()
    return (
        None
        if sure < 0.1
        else f"All eight lean the right way, but one is off by {sure:.2f}: enlarge the weights."
    )


@exercise(
    hint="as in the text, with h = np.tanh(...) and the slope (1 - h**2) in the blame.",
    praise="Right: your four gradients equal those of autograd.",
)
def tanh_backprop(call: Callable) -> str | None:
    """Check `tanh_backprop(X, y, W1, b1, w2, b2)` -> the mean cross-entropy's gradients, in that order."""
    rng = np.random.default_rng(0)
    X, y, names = rng.normal(size=(6, 2)), np.array([1, 0, 1, 1, 0, 0]), ("W1", "b1", "w2", "b2")
    W1, b1, w2, b2 = rng.normal(size=(2, 4)), rng.normal(size=4), rng.normal(size=4), 0.3

    def gradients(hidden=np.tanh, slope=lambda h: 1 - h**2, heard=w2, scale=1 / 6):
        h = hidden(X @ W1 + b1)
        error = (sigma(h @ w2 + b2) - y) * scale
        blame = error[:, None] * heard * slope(h)
        return X.T @ blame, blame.sum(axis=0), h.T @ error, error.sum()

    right = gradients()
    answer = call(X, y, W1, b1, w2, b2)
    if not isinstance(answer, tuple | list) or len(answer) != 4:
        return "Return four gradients: of W1, b1, w2 and b2."
    if np.shape(answer[0]) == (4, 2):
        return "Your gradient of W1 lies on its side: it has the shape of W1, a row for each input."
    for name, mine, part in zip(names, answer, right):
        if np.shape(mine) != np.shape(part):
            return f"Your gradient of {name} has shape {np.shape(mine)}; {name} has {np.shape(part)}."
    mistakes = {
        "All signs are wrong: the error is p - y, not y - p.": gradients(scale=-1 / len(y)),
        "You summed over the examples: divide the error by their number.": gradients(scale=1),
        "You left the slope 1 - h**2 out of the blame.": gradients(slope=lambda h: 1),
        "Your slope is the sigmoid's, h (1 - h): that of tanh is 1 - h**2.": gradients(
            slope=lambda h: h * (1 - h)
        ),
        "Your slope is 1 - h: square the h.": gradients(slope=lambda h: 1 - h),
        "You left w2 out of the blame: a neuron that is not heard is not to blame.": gradients(heard=1),
        "Your hidden neurons are sigmoids: h is np.tanh(X @ W1 + b1).": gradients(
            sigma, lambda h: h * (1 - h)
        ),
    }

    def flat(parts):
        return np.concatenate([np.ravel(part) for part in parts])

    mistakes = {sentence: flat(parts) for sentence, parts in mistakes.items()}
    for name, mine, part in zip(names, answer, right):
        mistakes[f"Your gradient has the wrong sign for {name}."] = flat(
            -p if n == name else p for n, p in zip(names, right)
        )
        if not near(mine, part):
            otherwise = f"Your gradient of {name} is wrong; try the text's case first, then change the slope."
            break
    else:
        return None
    return compare(flat(answer), flat(right), mistakes, otherwise)


@exercise(
    hint="rng.normal(size=(d, k)) differs from neuron to neuron; divide it by the square root of d.",
    praise="Right: neurons that differ, and sums of size 1 with 4 inputs as with 400.",
)
def start_weights(call: Callable) -> str | None:
    """Check `start_weights(d, k, rng)` -> (d, k): random, and of size 1 / sqrt(d) as in LeCun et al. 1998."""
    W = np.asarray(call(400, 30, np.random.default_rng(0)), dtype=float)
    if W.shape != (400, 30):
        return f"For d = 400 inputs and k = 30 neurons return (400, 30); yours is {W.shape}."
    if not W.any():
        return "All weights are zero: equal neurons stay equal, and no blame comes through them."
    if np.ptp(W, axis=1).max() < 1e-9:
        return "All neurons start equal, so they stay equal for ever: draw every column."
    if np.ptp(W, axis=0).max() < 1e-9:
        return "Each neuron has one weight for all its inputs: draw a number for every place of the table."
    other = np.asarray(call(400, 30, np.random.default_rng(1)), dtype=float)
    same = np.asarray(call(400, 30, np.random.default_rng(0)), dtype=float)
    if near(W, other) or not near(W, same):
        return "Draw from the rng that comes in, so that its seed alone decides."
    if abs(W.mean()) > 0.2 * W.std():
        return "All weights lean to one side: draw around zero, as rng.normal does."
    sizes = {
        d: np.sqrt((np.asarray(call(d, 200, np.random.default_rng(2))) ** 2).sum(axis=0).mean())
        for d in (4, 400)
    }
    if max(sizes.values()) > 2:
        large = max(sizes, key=sizes.get)
        return f"With {large} inputs the sums are of size {sizes[large]:.1f}: divide by the square root of d."
    small = min(sizes, key=sizes.get)
    if sizes[small] < 0.5:
        return f"With {small} inputs the sums are of size {sizes[small]:.2f}, too small: aim at 1."
    return None
