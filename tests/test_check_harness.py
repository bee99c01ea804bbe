"""What the checks are made of: figures, and answers of every kind that PyTorch has."""

import math

import numpy as np
import pytest
import torch
from textgen import check


class Elsewhere(torch.Tensor):
    """A tensor that numpy cannot take, like one on a GPU, until it is copied to the CPU."""

    def cpu(self):
        return self.as_subclass(torch.Tensor)

    def numpy(self):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


KINDS = {
    "requires grad": lambda tensor: tensor.requires_grad_(),
    "bfloat16": lambda tensor: tensor.bfloat16(),
    "another device": lambda tensor: tensor.as_subclass(Elsewhere),
    "a list of all these": lambda tensor: [
        tensor[0].bfloat16().requires_grad_(),
        tensor[1].as_subclass(Elsewhere).requires_grad_(),
    ],
}


def in_parts(x, n_head):
    return x.view(*x.shape[:2], n_head, -1)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_of_tensor_is_judged_by_its_numbers(kind, capsys):
    check.split_heads(lambda x, n_head: kind(in_parts(x, n_head).transpose(1, 2).clone()))
    assert capsys.readouterr().out.startswith("Right: ")
    with pytest.raises(check.Diagnosis, match="heads must come before the positions"):
        check.split_heads(lambda x, n_head: kind(in_parts(x, n_head).clone()))


@pytest.mark.parametrize(
    "answer",
    [torch.ones(4, device="meta"), torch.ones(4).to_sparse(), 10**400, "four", [1, [2, 3]]],
    ids=lambda value: repr(value)[:40],
)
def test_what_holds_no_numbers_gets_one_sentence(answer):
    with pytest.raises(check.Diagnosis, match="should return numbers"):
        check.causal_mask(lambda T: answer)


def test_an_array_has_no_gradient_to_learn_from():
    with pytest.raises(check.Diagnosis, match="cut off from its gradient"):
        check.prepend(lambda prompt, x: np.array([[*prompt.tolist(), *row] for row in x.tolist()]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "value",
    [
        0.2131,
        0.2049,
        np.float32(0.21),
        np.array(0.213),
        torch.tensor(0.215),
        torch.tensor(0.215, dtype=torch.bfloat16),
        torch.tensor([0.215], requires_grad=True),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_figure_prints_one_line_without_this_runs_digits(value, capsys):
    check.figure("GPT, bits per character", value, 0.21, within=0.01)
    assert capsys.readouterr().out == "GPT, bits per character: 0.21 (this run agrees within 0.01)\n"


def test_figure_accepts_an_exact_count(capsys):
    check.figure("stories", 1200, 1200, within=0)
    assert "1200" in capsys.readouterr().out


def test_figure_says_both_numbers_where_they_disagree():
    told = "loss: this run gives 0.25, the recorded figure is 0.21, .* 0.01"
    with pytest.raises(AssertionError, match=told):
        check.figure("loss", torch.tensor(0.25, requires_grad=True), 0.21, within=0.01)


NO_NUMBERS = [math.nan, math.inf, None, "0.21", True, [0.21, 0.21], 10**400, np.ones(2), torch.ones(2)]


@pytest.mark.parametrize(
    "value", [*NO_NUMBERS, torch.ones(2, requires_grad=True)], ids=lambda value: repr(value)[:40]
)
def test_figure_refuses_what_is_no_finite_number(value):
    with pytest.raises(AssertionError, match="a finite number near 0.21 was expected"):
        check.figure("loss", value, 0.21, within=10)
