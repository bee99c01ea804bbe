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


def lstm_old_cell(x, h, c, W, U, b):
    return gates(x, h, W, U, b)[3] * np.tanh(c), lstm_step(x, h, c, W, U, b)[1]


def clip(gradients, longest):
    length = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * longest / length for g in gradients] if length > longest else gradients


RIGHT = [
    (check.rnn_step, rnn_step),
    (check.rnn_step, torch_rnn_step),
    (check.lstm_step, lstm_step),
    (check.lstm_step, torch_lstm_step),
    (check.clip, clip),
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
    (check.lstm_step, lambda *a: 2 * np.array(lstm_step(*a)), "your step is wrong"),
    (check.clip, lambda g, most: [a.clip(-most, most) for a in g], "clip each number"),
    (check.clip, lambda g, most: [a * most / np.linalg.norm(a) for a in g], "each array separately"),
    (check.clip, lambda g, most: [a * most / 169 for a in g], "take the root"),
    (check.clip, lambda g, most: [a / 13 for a in g], "multiply by longest"),
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
