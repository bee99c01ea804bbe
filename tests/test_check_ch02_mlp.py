"""The checks of chapter 02, first page: neurons in layers."""

import numpy as np
import torch
from exercise_cases import exercise_tests
from scipy.special import expit as sigmoid
from scipy.special import softmax
from textgen import check


def exactly_one(at_least=(1, 2), heard=(20.0, -20.0), b2=-10.0, size=20.0):
    W1 = np.full((3, len(at_least)), size)
    return W1, np.array([size / 2 - size * n for n in at_least]), np.array(heard), b2


def backprop(X, y, W1, b1, w2, b2, slope=lambda h: 1 - h**2, heard=True, hidden=np.tanh, scale=1.0):
    h = hidden(X @ W1 + b1)
    error = scale * (sigmoid(h @ w2 + b2) - y) / len(y)
    delta = error[:, None] * (w2 if heard else 1) * slope(h)
    return X.T @ delta, delta.sum(axis=0), h.T @ error, error.sum()


def flipped(n):
    return lambda *a: tuple(-g if i == n else g for i, g in enumerate(backprop(*a)))


def start(d, k, rng):
    return rng.normal(size=(d, k)) / np.sqrt(d)


def neuron_by_neuron(X, W, b):
    out = np.empty((len(X), len(b)))
    for j in range(len(b)):
        out[:, j] = sigmoid(X @ W[:, j] + b[j])
    return out


def one_neuron_a_setting():
    """Three neurons, each awake at one of the three settings."""
    W1 = np.full((3, 3), -20.0) + 40 * np.eye(3)
    return torch.tensor(W1), [-10.0] * 3, (20.0, 20.0, 20.0), np.array([-10.0])


def autograd(X, y, *params):
    W1, b1, w2, b2 = tensors = [torch.tensor(p, requires_grad=True) for p in params]
    p = torch.sigmoid(torch.tanh(torch.tensor(X) @ W1 + b1) @ w2 + b2)
    torch.nn.functional.binary_cross_entropy(p, torch.tensor(y).double()).backward()
    return [t.grad for t in tensors]


def by_loops(X, y, W1, b1, w2, b2):
    g = [np.zeros_like(np.asarray(p, dtype=float)) for p in (W1, b1, w2, b2)]
    for x, true in zip(X, y):
        h = np.tanh(x @ W1 + b1)
        error = (sigmoid(h @ w2 + b2) - true) / len(y)
        delta = error * w2 * (1 - h * h)
        for total, part in zip(g, (np.outer(x, delta), delta, error * h, error)):
            total += part
    return g


def squared(X, y, W1, b1, w2, b2):
    h = np.tanh(X @ W1 + b1)
    p = sigmoid(h @ w2 + b2)
    error = (p - y) * p * (1 - p) / len(y)
    delta = error[:, None] * w2 * (1 - h**2)
    return X.T @ delta, delta.sum(axis=0), h.T @ error, error.sum()


def nearly_all_equal(d, k, rng):
    W = start(d, k, rng)
    W[:, 1:] = W[:, 1:2]
    return W


RIGHT = [
    (check.layer, lambda X, W, b: sigmoid(X @ W + b)),
    (check.layer, lambda X, W, b: [[sigmoid(x @ w + c) for w, c in zip(W.T, b)] for x in X]),
    (check.exactly_one, exactly_one),
    (check.exactly_one, lambda: exactly_one((1, 2, 3), (20, -20, 0))),
    (check.tanh_backprop, backprop),
    (check.tanh_backprop, lambda *a: list(backprop(*a))),
    (check.start_weights, start),
    (check.layer, lambda X, W, b: torch.sigmoid(torch.tensor(X) @ torch.tensor(W) + torch.tensor(b))),
    (check.layer, lambda X, W, b: (1 + np.tanh((X @ W + b) / 2)) / 2),
    (check.layer, neuron_by_neuron),
    (check.exactly_one, lambda: exactly_one((2, 1), (-30.0, 30.0), -15.0)),
    (check.exactly_one, one_neuron_a_setting),
    (check.tanh_backprop, autograd),
    (check.tanh_backprop, by_loops),
    (check.start_weights, lambda d, k, rng: rng.uniform(-1, 1, (d, k)) * np.sqrt(3 / d)),
    (check.start_weights, lambda d, k, rng: rng.uniform(-1, 1, (d, k)) / np.sqrt(d)),  # nn.Linear's
    (check.start_weights, lambda d, k, rng: rng.normal(0, np.sqrt(2 / (d + k)), (d, k))),  # Glorot's
    (check.start_weights, lambda d, k, rng: rng.normal(0, np.sqrt(2 / d), (d, k))),  # He's
    (check.start_weights, lambda d, k, rng: rng.choice([-1.0, 1.0], (d, k)) / np.sqrt(d)),
]
WRONG = [
    (check.layer, lambda X, W, b: X @ W + b, "left out the sigmoid"),
    (check.layer, lambda X, W, b: sigmoid(X @ W), "left out b"),
    (check.layer, lambda X, W, b: sigmoid(X @ W) + b, "belongs inside"),
    (check.layer, lambda X, W, b: sigmoid(X @ W - b), "b has the wrong sign"),
    (check.layer, lambda X, W, b: sigmoid(X @ W + b).T, "is transposed"),
    (check.layer, lambda X, W, b: np.tanh(X @ W + b), "That is tanh"),
    (check.layer, lambda X, W, b: softmax(X @ W + b, axis=1), "That is a softmax"),
    (check.layer, lambda X, W, b: sigmoid(X @ W + b).sum(axis=1), "one for each example"),
    (check.layer, lambda X, W, b: sigmoid(2 * (X @ W + b)), "your answers are wrong"),
    (check.layer, lambda X, W, b: sigmoid(-(X @ W + b)), "falls where it should rise"),
    (check.layer, lambda X, W, b: sigmoid(X) @ W + b, "after the weighted sum"),
    (check.layer, lambda X, W, b: sigmoid(W @ X + b), "raised ValueError"),
    (check.exactly_one, lambda: 1.0, "Return four things"),
    (check.exactly_one, lambda: (np.ones((2, 3)), np.ones(3), np.ones(3), 0.0), "a row for each"),
    (check.exactly_one, lambda: (np.ones((3, 2)), np.ones(3), np.ones(2), 0.0), "must be \\(2,\\)"),
    (check.exactly_one, lambda: exactly_one(heard=(-20.0, 20.0), b2=10.0), "change the signs"),
    (check.exactly_one, lambda: exactly_one((1, 2, 3), (20.0, -20.0, 20.0)), "with all three up"),
    (check.exactly_one, lambda: exactly_one(heard=(20.0, 0.0)), "subtract a second neuron"),
    (check.exactly_one, lambda: exactly_one((1, 3)), "At switches \\[0, 1, 1\\] the lamp is wrong \\(3"),
    (check.exactly_one, lambda: exactly_one(heard=(3.0, -3.0), b2=-1.5), "use larger weights"),
    (check.tanh_backprop, lambda *a: tuple(-g for g in backprop(*a)), "All signs are wrong"),
    (check.tanh_backprop, flipped(0), "wrong sign for W1"),
    (check.tanh_backprop, flipped(1), "wrong sign for b1"),
    (check.tanh_backprop, flipped(2), "wrong sign for w2"),
    (check.tanh_backprop, flipped(3), "wrong sign for b2"),
    (check.tanh_backprop, lambda *a: backprop(*a, scale=len(a[1])), "You summed"),
    (check.tanh_backprop, lambda *a: backprop(*a, slope=lambda h: 1), "left the slope"),
    (check.tanh_backprop, lambda *a: backprop(*a, slope=lambda h: h * (1 - h)), "is the sigmoid's"),
    (check.tanh_backprop, lambda *a: backprop(*a, slope=lambda h: 1 - h), "square the h"),
    (check.tanh_backprop, lambda *a: backprop(*a, heard=False), "left w2 out"),
    (check.tanh_backprop, lambda *a: backprop(*a, slope=lambda h: 1 - np.tanh(h) ** 2), "tanh of it again"),
    (check.tanh_backprop, squared, "last sigmoid has cancelled"),
    (check.tanh_backprop, lambda *a: backprop(*a, scale=1 / len(a[1])), "You average twice"),
    (
        check.tanh_backprop,
        lambda *a: backprop(*a, slope=lambda h: h * (1 - h), hidden=sigmoid),
        "hidden neurons are sigmoids",
    ),
    (check.tanh_backprop, lambda *a: (backprop(*a)[0].T, *backprop(*a)[1:]), "W1 is transposed"),
    (check.tanh_backprop, lambda *a: (*backprop(*a)[:3], np.zeros(6)), "b2 has shape"),
    (check.tanh_backprop, lambda *a: backprop(*a)[:3], "Return four gradients"),
    (check.tanh_backprop, lambda *a: (2 * backprop(*a)[0], *backprop(*a)[1:]), "gradient of W1 is wrong"),
    (check.start_weights, lambda d, k, rng: start(k, d, rng), "return \\(400, 30\\)"),
    (check.start_weights, lambda d, k, rng: np.zeros((d, k)), "All weights are zero"),
    (check.start_weights, lambda d, k, rng: np.repeat(start(d, 1, rng), k, axis=1), "start equal"),
    (check.start_weights, lambda d, k, rng: np.repeat(start(1, k, rng), d, axis=0), "one weight for all"),
    (check.start_weights, nearly_all_equal, "Only 2 of your 30 neurons differ"),
    (
        check.start_weights,
        lambda d, k, rng: rng.normal(size=(d, k)) / np.sqrt(k),
        "With 400 inputs .* divide",
    ),
    (check.start_weights, lambda d, k, rng: rng.normal(size=(d, k)) / d, "too small"),
    (check.start_weights, lambda d, k, rng: start(d, k, np.random.default_rng(0)), "Draw from the rng"),
    (check.start_weights, lambda d, k, rng: start(d, k, np.random.default_rng()), "Draw from the rng"),
    (check.start_weights, lambda d, k, rng: rng.random((d, k)) / np.sqrt(d), "is not zero"),
    (check.start_weights, lambda d, k, rng: rng.normal(size=(d, k)), "divide by the square root"),
    (check.start_weights, lambda d, k, rng: 0.05 * rng.normal(size=(d, k)), "With 4 inputs .* too small"),
]


TestChecks = exercise_tests(RIGHT, WRONG)
