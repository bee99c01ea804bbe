"""The checks of chapter 03, first page: one step of an RNN and of an LSTM, and clipping."""

import numpy as np
import torch
from exercise_cases import exercise_tests
from scipy.special import expit as sigmoid
from textgen import check


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


def linear_write(x, h, c, W, U, b):
    i, f, g, o = np.split(W @ x + U @ h + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * g
    return sigmoid(o) * np.tanh(c), c


def lstm_old_cell(x, h, c, W, U, b):
    return gates(x, h, W, U, b)[3] * np.tanh(c), lstm_step(x, h, c, W, U, b)[1]


def clip(gradients, longest):
    length = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * longest / length for g in gradients] if length > longest else gradients


def loop_rnn_step(x, h, W_x, W_h, b):
    new = []
    for row in range(len(b)):
        total = b[row]
        for j, value in enumerate(x):
            total += W_x[row, j] * value
        for j, value in enumerate(h):
            total += W_h[row, j] * value
        new.append(1 - 2 / (np.exp(2 * total) + 1))  # tanh in other words
    return new


def joined_rnn_step(x, h, W_x, W_h, b):
    h[:] = np.tanh(np.hstack([W_x, W_h, b[:, None]]) @ np.concatenate([x, h, [1.0]]))  # in place
    return h


def gate_by_gate(x, h, c, W, U, b):
    k, squeeze = len(h), [sigmoid, sigmoid, np.tanh, sigmoid]
    i, f, g, o = (s(W[n * k :][:k] @ x + U[n * k :][:k] @ h + b[n * k :][:k]) for n, s in enumerate(squeeze))
    c *= f
    c += i * g  # in place
    return np.stack([o * np.tanh(c), c])


def clip_in_place(gradients, longest):
    length = sum(float(np.vdot(g, g)) for g in gradients) ** 0.5
    for g in gradients:
        g *= longest / max(longest, length)
    return gradients


def clip_as_torch(gradients, longest):
    arrays = [torch.tensor(g, requires_grad=True) for g in gradients]
    for array in arrays:
        array.grad = array.detach().clone()
    torch.nn.utils.clip_grad_norm_(arrays, longest)
    return [array.grad for array in arrays]


def two_numbers_each(gradients, longest):
    """The length of a list of rows with two numbers each, whatever else there is."""
    length = np.sqrt(sum((np.ravel(g)[:2] ** 2).sum() for g in gradients))
    return [g * longest / length for g in gradients] if length > longest else gradients


def clip_with(length):
    return lambda g, most: [a * min(1, most / length(g)) for a in g]


RIGHT = [
    (check.rnn_step, rnn_step),
    (check.rnn_step, torch_rnn_step),
    (check.rnn_step, loop_rnn_step),
    (check.rnn_step, joined_rnn_step),
    (check.lstm_step, lstm_step),
    (check.lstm_step, torch_lstm_step),
    (check.lstm_step, gate_by_gate),
    (check.clip, clip),
    (check.clip, clip_in_place),
    (check.clip, clip_as_torch),
    (check.clip, lambda g, most: tuple(clip(g, most))),
    (check.clip, lambda g, most: clip([torch.tensor(a).numpy() for a in g], most)),
]
WRONG = [
    (check.rnn_step, lambda x, h, W, U, b: W @ x + U @ h + b, "without a tanh"),
    (check.rnn_step, lambda x, h, W, U, b: sigmoid(W @ x + U @ h + b), "That is a sigmoid"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(W @ x + b), "old memory h is not used"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(U @ h + b), "new word x is not used"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(W @ x + U @ h), "bias b is missing"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(W @ x + h @ U + b), "is transposed"),
    (check.rnn_step, lambda *a: a[1] + rnn_step(*a), "outside the tanh"),
    (check.rnn_step, lambda x, h, W, U, b: np.maximum(W @ x + U @ h + b, 0), "cuts off what is negative"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(W @ x + U @ h - b), "with a minus"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(W @ x + U @ h) + b, "b stands outside"),
    (
        check.rnn_step,
        lambda x, h, W, U, b: np.tanh(W @ x) + np.tanh(U @ h) + np.tanh(b),
        "each part by itself",
    ),
    (check.rnn_step, lambda *a: [rnn_step(*a)[i] for i in range(3)], "take the sizes from the arrays"),
    (check.rnn_step, lambda *a: 2 * rnn_step(*a), "your new memory is wrong"),
    (check.rnn_step, lambda x, h, W, U, b: np.tanh(x @ W), "raised ValueError"),
    (check.lstm_step, lambda *a: lstm_step(*a)[::-1], "swapped"),
    (check.lstm_step, lambda *a: lstm_step(*a)[0], "Return two arrays"),
    (check.lstm_step, other_order, "swapped the last two"),
    (check.lstm_step, forget_first, "swapped the first two"),
    (check.lstm_step, lstm_all_sigmoid, "g needs a tanh"),
    (check.lstm_step, lstm_without_tanh, "the tanh is missing"),
    (check.lstm_step, lstm_with(lambda i, f, g, c: c + i * g), "forget gate does nothing"),
    (check.lstm_step, lstm_with(lambda i, f, g, c: f * c + g), "input gate does nothing"),
    (check.lstm_step, lstm_with(lambda i, f, g, c: f * c + (1 - f) * g), "as a GRU does"),
    (check.lstm_step, lstm_old_cell, "compute the new c first"),
    (check.lstm_step, lstm_with(lambda i, f, g, c: (1 - f) * c + i * g), "wrong way round"),
    (check.lstm_step, lstm_with(lambda i, f, g, c: f * c * i * g), "where the cell adds"),
    (check.lstm_step, linear_write, "g has no tanh"),
    (check.lstm_step, lambda x, h, c, W, U, b: lstm_step(x, h, c, W, U, 0 * b), "bias b is missing"),
    (check.lstm_step, lambda x, h, c, W, U, b: lstm_step(x, 0 * h, c, W, U, b), "old memory h is not used"),
    (check.lstm_step, lambda x, h, c, W, U, b: lstm_step(0 * x, h, c, W, U, b), "new word x is not used"),
    (check.lstm_step, lambda *a: np.array(lstm_step(*a))[:, [0, 1, 2]], "take the sizes from the arrays"),
    (check.lstm_step, lambda *a: 2 * np.array(lstm_step(*a)), "your step is wrong"),
    (check.clip, lambda g, most: [a.clip(-most, most) for a in g], "clip each number"),
    (check.clip, lambda g, most: [a * min(1, most / np.linalg.norm(a)) for a in g], "each array separately"),
    (check.clip, clip_with(lambda g: max(abs(a).max() for a in g)), "by the largest number"),
    (check.clip, clip_with(lambda g: sum(map(np.linalg.norm, g))), "the lengths of the arrays"),
    (check.clip, clip_with(lambda g: sum(abs(a).sum() for a in g)), "without their signs"),
    (check.clip, lambda g, most: np.concatenate([*map(np.ravel, clip(g, most))]), "Return a list of arrays"),
    (check.clip, lambda g, most: [*map(np.ravel, clip(g, most))], "Return a list of arrays"),
    (check.clip, lambda g, most: clip_in_place(g, most) and None, "in place and return nothing"),
    (check.clip, clip_with(lambda g: np.sqrt(sum((a**2).sum() for a in g))), "must stay zero"),
    (check.clip, two_numbers_each, "right for two arrays of two"),
    (check.clip, lambda g, most: [a * most / 169 for a in g], "take the root"),
    (check.clip, lambda g, most: [a / 13 for a in g], "should have the length longest"),
    (check.clip, lambda g, most: g, "Nothing changed"),
    (check.clip, lambda g, most: [a * 0.5 for a in g], "together have length 13"),
    (check.clip, lambda g, most: 0.5, "Return a list of arrays"),
    (
        check.clip,
        lambda g, most: [a * most / np.linalg.norm(np.hstack([*map(np.ravel, g)])) for a in g],
        "stretch",
    ),
]


TestChecks = exercise_tests(RIGHT, WRONG)
