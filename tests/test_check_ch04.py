"""Chapter 04's checks: the right answer passes, a stub gets a hint, and each mistake its own diagnosis."""

import pytest
import torch
from textgen.check import ch04_attention
from textgen.check.harness import Diagnosis


def attention(q, k, v, power=0.5, dim=-1):
    return (q @ k.T / k.size(-1) ** power).softmax(dim) @ v


def triangle(diagonal=0):
    return lambda T: torch.ones(T, T).tril(diagonal).bool()


def pairs(T, window):
    return sum(min(t + 1, window) for t in range(T))


RIGHT = {
    "attention": attention,
    "causal_mask": triangle(),
    "split_heads": lambda x, n: x.view(*x.shape[:2], n, -1).transpose(1, 2),
    "pairs_in_band": pairs,
}
WRONG = [
    ("attention", lambda q, k, v: attention(q, k, v, 0), "root of d, the width"),
    ("attention", lambda q, k, v: attention(q, k, v, 1), "You divided by d"),
    ("attention", lambda q, k, v: attention(q, k, v, -0.5), "divide by it"),
    ("attention", lambda q, k, v: attention(q, k, v, dim=0), "over the queries"),
    ("attention", lambda q, k, v: attention(q, k, k), "mix the keys"),
    ("attention", lambda q, k, v: q @ k.T / 4 @ v, "no softmax"),
    ("attention", lambda q, k, v: q @ k.T, r"Yours is \(3, 5\)"),
    ("attention", lambda q, k, v: 2 * attention(q, k, v), "check each step"),
    ("causal_mask", lambda T: triangle()(T).T, "swapped"),
    ("causal_mask", triangle(-1), "see itself too"),
    ("causal_mask", triangle(1), "one word ahead"),
    ("causal_mask", lambda T: ~triangle()(T), "opposite"),
    ("causal_mask", lambda T: torch.ones(T, T), "Everything"),
    ("causal_mask", lambda T: torch.eye(T), "1, 2, 3 and 4"),
    ("split_heads", lambda x, n: x.view(x.size(0), n, x.size(1), -1), "tears positions apart"),
    ("split_heads", lambda x, n: x.view(*x.shape[:2], n, -1), "add transpose"),
    ("split_heads", lambda x, n: x, r"yours is \(2, 3, 8\)"),
    ("split_heads", lambda x, n: x.view(*x.shape[:2], n, -1).transpose(1, 2).flip(1), "columns 2h"),
    ("pairs_in_band", lambda T, w: T * (T + 1) // 2, "whole triangle"),
    ("pairs_in_band", lambda T, w: T * w, "first positions"),
    ("pairs_in_band", lambda T, w: pairs(T, w + 1), "its own window"),
    ("pairs_in_band", lambda T, w: sum(min(t, w - 1) for t in range(T)), "sees itself too"),
    ("pairs_in_band", lambda T, w: 7, "there are 15"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass_and_stubs_get_a_hint(name, capsys):
    check = getattr(ch04_attention, name)
    check(RIGHT[name])
    assert capsys.readouterr().out.startswith("Right:")
    check(lambda *arguments: ...)
    assert capsys.readouterr().out.startswith("Not written yet. Hint:")


@pytest.mark.parametrize(("name", "wrong", "diagnosis"), WRONG)
def test_each_mistake_has_its_diagnosis(name, wrong, diagnosis):
    with pytest.raises(Diagnosis, match=diagnosis):
        getattr(ch04_attention, name)(wrong)
