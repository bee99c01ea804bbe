"""The checks of chapter 02: the right answer passes, a stub gets a hint, each mistake its own diagnosis."""

import numpy as np
import pytest
from textgen import check


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def exactly_one(at_least=(1, 2), heard=(20.0, -20.0), b2=-10.0, size=20.0):
    W1 = np.full((3, len(at_least)), size)
    return W1, np.array([size / 2 - size * n for n in at_least]), np.array(heard), b2


def backprop(X, y, W1, b1, w2, b2, slope=lambda h: 1 - h**2, heard=True, hidden=np.tanh, scale=1.0):
    h = hidden(X @ W1 + b1)
    error = scale * (sigmoid(h @ w2 + b2) - y) / len(y)
    blame = error[:, None] * (w2 if heard else 1) * slope(h)
    return X.T @ blame, blame.sum(axis=0), h.T @ error, error.sum()


def flipped(n):
    return lambda *a: tuple(-g if i == n else g for i, g in enumerate(backprop(*a)))


def start(d, k, rng):
    return rng.normal(size=(d, k)) / np.sqrt(d)


def longest_match(word, pieces, shortest=False, unknown="?"):
    found = []
    while word:
        lengths = range(1, len(word) + 1) if shortest else range(len(word), 0, -1)
        n = next((n for n in lengths if word[:n] in pieces), 0)
        found += [word[:n]] if n else [unknown] if unknown else []
        word = word[max(n, 1) :]
    return found


def nearest(W, i, k, scores=None, own=False, up=False):
    U = W / np.linalg.norm(W, axis=1, keepdims=True)
    scores = U @ U[i] if scores is None else scores(W, i)
    return [j for j in np.argsort(scores if up else -scores) if own or j != i][:k]


def pull(v, u, negatives, true=-1.0, false=0.0, n=1.0):
    return (sigmoid(v @ u) + true) * u + n * (sigmoid(negatives @ v) + false) @ negatives


def windows(ids, n, shift=0, step=1):
    padded = [0] * n + ids + [0]
    return [padded[t + shift : t + shift + n][::step] for t in range(len(ids))], ids


RIGHT = [
    (check.layer, lambda X, W, b: sigmoid(X @ W + b)),
    (check.layer, lambda X, W, b: [[sigmoid(x @ w + c) for w, c in zip(W.T, b)] for x in X]),
    (check.exactly_one, exactly_one),
    (check.exactly_one, lambda: exactly_one((1, 2, 3), (20, -20, 0))),
    (check.tanh_backprop, backprop),
    (check.tanh_backprop, lambda *a: list(backprop(*a))),
    (check.start_weights, start),
    (check.start_weights, lambda d, k, rng: rng.uniform(-1, 1, (d, k)) * np.sqrt(3 / d)),
    (check.longest_match, longest_match),
    (check.nearest, nearest),
    (check.nearest, lambda *a: np.array(nearest(*a))),
    (check.pull, pull),
    (check.windows, windows),
    (check.windows, lambda ids, n: tuple(np.array(part) for part in windows(ids, n))),
]
JUDGES = list(dict.fromkeys(judge for judge, _ in RIGHT))


@pytest.mark.parametrize(("judge", "function"), RIGHT)
def test_a_right_answer_is_told_so_in_one_line(judge, function, capsys):
    assert judge(function) is None
    said = capsys.readouterr().out
    assert said.startswith("Right: ") and said.count("\n") == 1


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("stub", [lambda *a: None, lambda *a: ...])
def test_a_stub_gets_a_hint_and_no_error(judge, stub, capsys):
    assert judge(stub) is None
    assert capsys.readouterr().out.startswith("Not written yet. Hint: ")


WRONG = [
    (check.layer, lambda X, W, b: X @ W + b, "left out the sigmoid"),
    (check.layer, lambda X, W, b: sigmoid(X @ W), "left out b"),
    (check.layer, lambda X, W, b: sigmoid(X @ W) + b, "belongs inside"),
    (check.layer, lambda X, W, b: sigmoid(X @ W - b), "b has the wrong sign"),
    (check.layer, lambda X, W, b: sigmoid(X @ W + b).T, "lies on its side"),
    (check.layer, lambda X, W, b: np.tanh(X @ W + b), "That is tanh"),
    (check.layer, lambda X, W, b: softmax(X @ W + b), "That is a softmax"),
    (check.layer, lambda X, W, b: sigmoid(X @ W + b).sum(axis=1), "one for each example"),
    (check.layer, lambda X, W, b: sigmoid(2 * (X @ W + b)), "your answers are wrong"),
    (check.layer, lambda X, W, b: sigmoid(W @ X + b), "raised ValueError"),
    (check.exactly_one, lambda: 1.0, "Return four things"),
    (check.exactly_one, lambda: (np.ones((2, 3)), np.ones(3), np.ones(3), 0.0), "a row for each"),
    (check.exactly_one, lambda: (np.ones((3, 2)), np.ones(3), np.ones(2), 0.0), "must be \\(2,\\)"),
    (check.exactly_one, lambda: exactly_one(heard=(-20.0, 20.0), b2=10.0), "turn the signs"),
    (check.exactly_one, lambda: exactly_one((1, 2, 3), (20.0, -20.0, 20.0)), "With all three up"),
    (check.exactly_one, lambda: exactly_one(heard=(20.0, 0.0)), "subtract a second neuron"),
    (check.exactly_one, lambda: exactly_one((1, 3)), "At switches \\[0, 1, 1\\] the lamp is wrong \\(3"),
    (check.exactly_one, lambda: exactly_one(heard=(3.0, -3.0), b2=-1.5), "enlarge the weights"),
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
    (
        check.tanh_backprop,
        lambda *a: backprop(*a, slope=lambda h: h * (1 - h), hidden=sigmoid),
        "hidden neurons are sigmoids",
    ),
    (check.tanh_backprop, lambda *a: (backprop(*a)[0].T, *backprop(*a)[1:]), "W1 lies on its side"),
    (check.tanh_backprop, lambda *a: (*backprop(*a)[:3], np.zeros(6)), "b2 has shape"),
    (check.tanh_backprop, lambda *a: backprop(*a)[:3], "Return four gradients"),
    (check.tanh_backprop, lambda *a: (2 * backprop(*a)[0], *backprop(*a)[1:]), "gradient of W1 is wrong"),
    (check.start_weights, lambda d, k, rng: start(k, d, rng), "return \\(400, 30\\)"),
    (check.start_weights, lambda d, k, rng: np.zeros((d, k)), "All weights are zero"),
    (check.start_weights, lambda d, k, rng: np.repeat(start(d, 1, rng), k, axis=1), "start equal"),
    (check.start_weights, lambda d, k, rng: np.repeat(start(1, k, rng), d, axis=0), "one weight for all"),
    (check.start_weights, lambda d, k, rng: start(d, k, np.random.default_rng(0)), "Draw from the rng"),
    (check.start_weights, lambda d, k, rng: start(d, k, np.random.default_rng()), "Draw from the rng"),
    (check.start_weights, lambda d, k, rng: rng.random((d, k)) / np.sqrt(d), "lean to one side"),
    (check.start_weights, lambda d, k, rng: rng.normal(size=(d, k)), "divide by the square root"),
    (check.start_weights, lambda d, k, rng: 0.05 * rng.normal(size=(d, k)), "With 4 inputs .* too small"),
    (check.longest_match, lambda w, p: longest_match(w, p, shortest=True), "shortest piece"),
    (check.longest_match, lambda w, p: longest_match(w, p)[::-1], "wrong order"),
    (check.longest_match, lambda w, p: longest_match(w, p, unknown=""), "You drop the letter"),
    (check.longest_match, lambda w, p: longest_match(w, p, unknown="!"), "'a-t' should give"),
    (check.longest_match, lambda w, p: " ".join(longest_match(w, p)), "list of strings"),
    (check.longest_match, lambda w, p: [w] if w in p else list(w), "'understand' should give"),
    (check.nearest, lambda *a: nearest(*a, own=True), "not its own neighbour"),
    (check.nearest, lambda *a: nearest(*a, scores=lambda W, i: W @ W[i]), "favours long rows"),
    (check.nearest, lambda *a: nearest(*a, scores=lambda W, i: W @ W[i], own=True), "by the lengths"),
    (
        check.nearest,
        lambda *a: nearest(*a, scores=lambda W, i: -np.linalg.norm(W - W[i], axis=1)),
        "rank by distance",
    ),
    (check.nearest, lambda *a: nearest(*a, up=True), "farthest"),
    (check.nearest, lambda *a: nearest(*a)[::-1], "best must come first"),
    (check.nearest, lambda W, i, k: nearest(W, i, k + 1), "return 4 ids"),
    (check.nearest, lambda W, i, k: [0, 0, 0, 0], "your neighbours are wrong"),
    (check.pull, lambda *a: -pull(*a), "raises the loss"),
    (check.pull, lambda *a: pull(*a) - 2 * pull(*a, n=0.0), "true pair has the wrong sign"),
    (check.pull, lambda *a: pull(*a, n=-1.0), "negatives have the wrong sign"),
    (check.pull, lambda *a: pull(*a, true=0.0), "The true pair did come"),
    (check.pull, lambda *a: pull(*a, false=-1.0), "The negatives did not come"),
    (check.pull, lambda *a: pull(*a, n=0.0), "left out the negatives"),
    (check.pull, lambda *a: pull(*a) - pull(*a, n=0.0), "left out the true pair"),
    (check.pull, lambda *a: pull(*a, n=1 / 5), "each of them counts in full"),
    (
        check.pull,
        lambda v, u, n: pull(v, u, n, n=0.0) + sigmoid(n @ v).mean() * n.sum(axis=0),
        "pushes by its own error",
    ),
    (check.pull, lambda v, u, n: n, "has the shape of v"),
    (check.pull, lambda v, u, n: v, "your gradient is wrong"),
    (check.windows, lambda ids, n: windows(ids, n, shift=1), "holds its own target"),
    (check.windows, lambda ids, n: windows(ids, n, step=-1), "run backwards"),
    (check.windows, lambda ids, n: (windows([0, *ids], n)[0][:-1], ids), "one token too early"),
    (
        check.windows,
        lambda ids, n: ([sorted(r, key=lambda i: i == 0) for r in windows(ids, n)[0]], ids),
        "zeros stand behind",
    ),
    (check.windows, lambda ids, n: (windows(ids, n)[0][n:], ids[n:]), "first targets are missing"),
    (check.windows, lambda ids, n: (windows(ids, n)[0], ids[1:]), "must be \\(6, 3\\)"),
    (check.windows, lambda ids, n: (windows(ids, n)[0], [*ids[1:], 0]), "your targets are others"),
    (check.windows, lambda ids, n: windows(ids, n)[0], "Return two things"),
    (check.windows, lambda ids, n: ([[1] * n] * len(ids), ids), "your contexts are wrong"),
]


@pytest.mark.parametrize(
    ("judge", "function", "words"), WRONG, ids=[f"{j.__name__}: {w}" for j, _, w in WRONG]
)
def test_each_mistake_has_its_diagnosis(judge, function, words):
    with pytest.raises(check.Diagnosis, match=words) as told:
        judge(function)
    assert "\n" not in str(told.value)
