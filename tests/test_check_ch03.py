"""Chapter 03's checks: the right answer passes, a stub gets a hint, and each mistake its own diagnosis."""

import itertools

import numpy as np
import pytest
import torch
from textgen import check


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def rnn_step(x, h, W_x, W_h, b):
    return np.tanh(W_x @ x + W_h @ h + b)


def torch_rnn_step(x, h, W_x, W_h, b):
    cell = torch.nn.RNNCell(len(x), len(h)).double()
    with torch.no_grad():
        cell.weight_ih.copy_(torch.tensor(W_x)), cell.weight_hh.copy_(torch.tensor(W_h))
        cell.bias_ih.copy_(torch.tensor(b)), cell.bias_hh.zero_()
        return cell(torch.tensor(x)[None], torch.tensor(h)[None])[0]


def torch_lstm_step(x, h, c, W, U, b):
    cell = torch.nn.LSTMCell(len(x), len(h)).double()
    with torch.no_grad():
        cell.weight_ih.copy_(torch.tensor(W)), cell.weight_hh.copy_(torch.tensor(U))
        cell.bias_ih.copy_(torch.tensor(b)), cell.bias_hh.zero_()
        h, c = cell(torch.tensor(x)[None], (torch.tensor(h)[None], torch.tensor(c)[None]))
        return h[0], c[0]


def gates(x, h, W, U, b):
    i, f, g, o = np.split(W @ x + U @ h + b, 4)
    return sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)


def lstm_step(x, h, c, W, U, b):
    i, f, g, o = gates(x, h, W, U, b)
    c = f * c + i * g
    return o * np.tanh(c), c


def lstm_with(rule):
    def step(x, h, c, W, U, b):
        i, f, g, o = gates(x, h, W, U, b)
        new = rule(i, f, g, c)
        return o * np.tanh(new), new

    return step


def other_order(x, h, c, W, U, b):
    k = len(h)
    rows = np.r_[0 : 2 * k, 3 * k : 4 * k, 2 * k : 3 * k]
    return lstm_step(x, h, c, W[rows], U[rows], b[rows])


def forget_first(x, h, c, W, U, b):
    k = len(h)
    rows = np.r_[k : 2 * k, 0:k, 2 * k : 4 * k]
    return lstm_step(x, h, c, W[rows], U[rows], b[rows])


def lstm_without_tanh(x, h, c, W, U, b):
    i, f, g, o = gates(x, h, W, U, b)
    c = f * c + i * g
    return o * c, c


def lstm_all_sigmoid(x, h, c, W, U, b):
    i, f, g, o = map(sigmoid, np.split(W @ x + U @ h + b, 4))
    c = f * c + i * g
    return o * np.tanh(c), c


def lstm_old_cell(x, h, c, W, U, b):
    return gates(x, h, W, U, b)[3] * np.tanh(c), lstm_step(x, h, c, W, U, b)[1]


def clip(gradients, longest):
    length = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * longest / length for g in gradients] if length > longest else gradients


def add_noise(tone, snr, rng):
    power = np.mean(tone**2) / 10 ** (snr / 10)
    return tone + np.sqrt(power) * rng.standard_normal(len(tone))


def noise_of(power):
    return lambda tone, snr, rng: tone + np.sqrt(power(tone, snr)) * rng.standard_normal(len(tone))


def merge(path):
    return [c for c, _ in itertools.groupby(path)]


def ctc(p, text, collapse=lambda path: [c for c in merge(path) if c], add=sum):
    paths = itertools.product(range(p.shape[1]), repeat=len(p))
    return add([np.prod(p[range(len(p)), path]) for path in paths if collapse(path) == text])


def ctc_of_torch(p, text):
    logs = torch.tensor(p).log()[:, None]
    loss = torch.nn.functional.ctc_loss(logs, torch.tensor([text]), [len(p)], [len(text)], reduction="sum")
    return torch.exp(-loss)


def edit_distance(a, b, change=1, swap=False):
    table = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            best = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + change * (x != y))
            if swap and i > 1 and j > 1 and a[i - 2] == y and b[j - 2] == x:
                best = min(best, table[i - 2, j - 2] + 1)
            table[i, j] = best
    return table[-1, -1]


def places(a, b):
    return sum(x != y for x, y in zip(a, b)) + abs(len(a) - len(b))


RIGHT = [
    (check.rnn_step, rnn_step),
    (check.rnn_step, torch_rnn_step),
    (check.lstm_step, lstm_step),
    (check.lstm_step, torch_lstm_step),
    (check.clip, clip),
    (check.clip, lambda g, most: clip([torch.tensor(a).numpy() for a in g], most)),
    (check.add_noise, add_noise),
    (check.ctc_probability, ctc),
    (check.ctc_probability, ctc_of_torch),
    (check.edit_distance, edit_distance),
]
JUDGES = [*dict.fromkeys(judge for judge, _ in RIGHT)]


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
    (check.rnn_step, lambda x, h, W, U, b: W @ x + U @ h + b, "squeeze it with tanh"),
    (check.rnn_step, lambda x, h, W, U, b: sigmoid(W @ x + U @ h + b), "That is a sigmoid"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(W @ x + b), "old memory h does not come in"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(U @ h + b), "new word x does not come in"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(W @ x + U @ h), "bias b is missing"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(W @ x + h @ U + b), "lies on its side"),
    (check.rnn_step, lambda *a: a[1] + rnn_step(*a), "added once more"),
    (check.rnn_step, lambda *a: 2 * rnn_step(*a), "your new memory is wrong"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(x @ W), "raised ValueError"),
    (check.lstm_step, lambda *a: lstm_step(*a)[::-1], "swapped"),
    (check.lstm_step, lambda *a: lstm_step(*a)[0], "Return two arrays"),
    (check.lstm_step, other_order, "the last two the other way round"),
    (check.lstm_step, forget_first, "forget for input"),
    (check.lstm_step, lstm_all_sigmoid, "it needs a tanh"),
    (check.lstm_step, lstm_without_tanh, "the tanh is missing"),
    (check.lstm_step, lstm_with(lambda i, f, g, c: c + i * g), "forget gate does nothing"),
    (check.lstm_step, lstm_with(lambda i, f, g, c: f * c + g), "input gate does nothing"),
    (check.lstm_step, lstm_with(lambda i, f, g, c: f * c + (1 - f) * g), "the GRU's"),
    (check.lstm_step, lstm_old_cell, "compute the new c first"),
    (check.lstm_step, lambda *a: 2 * np.array(lstm_step(*a)), "your step is wrong"),
    (check.clip, lambda g, most: [a.clip(-most, most) for a in g], "each number by itself"),
    (check.clip, lambda g, most: [a * most / np.linalg.norm(a) for a in g], "each array by itself"),
    (check.clip, lambda g, most: [a * most / 169 for a in g], "take the root"),
    (check.clip, lambda g, most: [a / 13 for a in g], "multiply by longest"),
    (check.clip, lambda g, most: g, "Nothing changed"),
    (check.clip, lambda g, most: [a * 0.5 for a in g], "13 long"),
    (check.clip, lambda g, most: 0.5, "Return a list of arrays"),
    (
        check.clip,
        lambda g, most: [a * most / np.linalg.norm(np.hstack([*map(np.ravel, g)])) for a in g],
        "stretch",
    ),
    (check.add_noise, lambda t, snr, rng: add_noise(t, snr, rng) - t, "the noise alone"),
    (check.add_noise, lambda t, snr, rng: t + rng.standard_normal(), "a number for each sample"),
    (check.add_noise, lambda t, snr, rng: t[:5], "Return one number for each sample"),
    (check.add_noise, lambda t, snr, rng: add_noise(t, snr, np.random.default_rng(5)), "Draw from the rng"),
    (check.add_noise, lambda t, snr, rng: add_noise(t, snr, np.random.default_rng()), "Draw from the rng"),
    (check.add_noise, noise_of(lambda t, snr: (4.5 / 10 ** (snr / 10)) ** 2), "left out the root"),
    (check.add_noise, noise_of(lambda t, snr: 4.5 / 10 ** (snr / 20)), "divide amplitudes"),
    (check.add_noise, noise_of(lambda t, snr: 4.5 * 10 ** (snr / 10)), "louder than the tone"),
    (check.add_noise, noise_of(lambda t, snr: 10 ** (-snr / 10)), "not 1"),
    (check.add_noise, noise_of(lambda t, snr: (t**2).sum() / 10 ** (snr / 10)), "not their sum"),
    (check.add_noise, noise_of(lambda t, snr: 0.2), "should have the power"),
    (check.ctc_probability, lambda p, t: ctc(p, t, add=max), "best path alone"),
    (check.ctc_probability, lambda p, t: ctc(p, t, add=len), "count the paths"),
    (
        check.ctc_probability,
        lambda p, t: ctc(p, t, lambda q: merge([c for c in q if c])),
        "Merge repeats before",
    ),
    (check.ctc_probability, lambda p, t: ctc(p, t, lambda q: [c for c in q if c]), "merge no repeats"),
    (check.ctc_probability, lambda p, t: ctc(p, t, merge), "keep the blanks"),
    (check.ctc_probability, lambda p, t: 0.5, "four frames"),
    (check.edit_distance, places, "place by place"),
    (check.edit_distance, lambda a, b: edit_distance(a, b, change=2), "counts 1"),
    (check.edit_distance, lambda a, b: abs(len(a) - len(b)), "difference of the lengths"),
    (check.edit_distance, lambda a, b: edit_distance(a, b, swap=True), "changed places"),
    (check.edit_distance, lambda a, b: edit_distance(a, b) / max(1, len(b)), "Return a count"),
    (check.edit_distance, lambda a, b: edit_distance(a, b) + 1, "From 'FOX' to 'FOX' it takes 0"),
]


@pytest.mark.parametrize(
    ("judge", "function", "words"), WRONG, ids=[f"{j.__name__}: {w}" for j, _, w in WRONG]
)
def test_each_mistake_has_its_diagnosis(judge, function, words):
    with pytest.raises(check.Diagnosis, match=words) as told:
        judge(function)
    assert isinstance(told.value, AssertionError) and "\n" not in str(told.value)
