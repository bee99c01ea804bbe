"""What the checks are made of: figures and claims, hints, and answers of every kind that PyTorch has."""

import math

import numpy as np
import pytest
import torch
from textgen import check
from textgen.check.harness import exercise


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


@pytest.fixture
def reader(monkeypatch):
    """A reader's kernel: the tests' own is strict."""
    monkeypatch.delenv("TEXTGEN_STRICT")


FIGURES = [
    (0.2131, 0.21, 0.01, "0.213 (on record: 0.21; they agree within 0.01)"),
    (np.float32(0.21), 0.21, 0.01, "0.21 (on record: 0.21; they agree within 0.01)"),
    (np.array(0.2149), 0.21, 0.01, "0.215 (on record: 0.21; they agree within 0.01)"),
    (torch.tensor(0.215), 0.21, 0.01, "0.215 (on record: 0.21; they agree within 0.01)"),
    (torch.tensor(0.215).bfloat16(), 0.21, 0.01, "0.215 (on record: 0.21; they agree within 0.01)"),
    (
        torch.tensor([0.215], requires_grad=True),
        0.21,
        0.01,
        "0.215 (on record: 0.21; they agree within 0.01)",
    ),
    (957184, 957184, 0, "957,184 (on record: 957,184; they agree)"),
    (torch.tensor(3), 3.0, 0, "3 (on record: 3; they agree)"),
    (0.25, 0.25, 0, "0.25 (on record: 0.25; they agree)"),
    (17, 16, 1, "17 (on record: 16; they agree within 1)"),
    (1498.4, 1490, 12, "1,498 (on record: 1,490; they agree within 12)"),
    (124.439808, 124, 0.5, "124.44 (on record: 124; they agree within 0.5)"),
    (0.86234, 0.858, 0.1, "0.86 (on record: 0.858; they agree within 0.1)"),
    (0.14713, 0.15, 0.004, "0.1471 (on record: 0.15; they agree within 0.004)"),
    (-0.5, -0.5, 0.004, "-0.5 (on record: -0.5; they agree within 0.004)"),
    (0.0625, 1 / 24, 0.04, "0.062 (on record: 0.041667; they agree within 0.04)"),
    (2e-6, 1e-5, 1e-5, "2e-06 (on record: 1e-05; they agree within 1e-05)"),
    (-3e-17, 0, 1e-5, "0 (on record: 0; they agree within 1e-05)"),
    (6.1, 6, 0.1 + 0.2, "6.1 (on record: 6; they agree within 0.3)"),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("value", "record", "within", "line"), FIGURES, ids=repr)
def test_figure_prints_this_run_the_record_and_the_verdict(value, record, within, line, capsys):
    check.figure("GPT, bits per character", value, record, within)
    assert capsys.readouterr().out == f"GPT, bits per character: {line}\n"


OFF = [
    (0.25, "0.25"),
    (torch.tensor(0.25, requires_grad=True), "0.25"),
    (np.mean([math.nan]), "nan"),
    (-math.inf, "-inf"),
    (None, "None"),
    ("0.21", "'0.21'"),
    (True, "True"),
    ([0.21, 0.21], "[0.21, 0.21]"),
    (np.ones(2), "array([1., 1.])"),
    (torch.ones(2), "tensor([1., 1.])"),
    (torch.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
]


@pytest.mark.parametrize(("value", "shown"), OFF, ids=repr)
def test_a_figure_off_its_record_fails_in_a_strict_run_alone(value, shown, capsys, request):
    line = f"loss: {shown} (on record: 0.21; they differ by more than 0.01)"
    with pytest.raises(AssertionError) as told:
        check.figure("loss", value, 0.21, within=0.01)
    assert str(told.value) == line and not capsys.readouterr().out
    request.getfixturevalue("reader")
    check.figure("loss", value, 0.21, within=0.01)
    said = capsys.readouterr().out
    assert said.startswith(f"{line}\n    That is as it should be if you changed a setting."), said


def test_a_figure_too_large_for_a_float_is_off_its_record():
    with pytest.raises(AssertionError, match=r"they differ by more than 10\)$"):
        check.figure("loss", 10**400, 0.21, within=10)


def test_a_count_off_its_record_by_nothing_to_speak_of_shows_every_digit(reader, capsys):
    check.figure("count", 0.1 + 0.2, 0.3, within=0)
    said = capsys.readouterr().out
    assert said.startswith("count: 0.30000000000000004 (on record: 0.3; they differ)\n"), said


@pytest.mark.parametrize("kind", [bool, np.bool_, torch.tensor])
def test_a_claim_that_fails_stops_a_strict_run_alone(kind, capsys, request):
    check.claim("GPT beats the LSTM", kind(True))
    assert capsys.readouterr().out == "GPT beats the LSTM: true in this run\n"
    with pytest.raises(AssertionError, match="^GPT beats the LSTM: not true in this run$"):
        check.claim("GPT beats the LSTM", kind(False))
    request.getfixturevalue("reader")
    check.claim("GPT beats the LSTM", kind(False))
    said = capsys.readouterr().out
    assert said.startswith("GPT beats the LSTM: not true in this run\n    That is as it should be"), said


def doubling():
    @exercise(hint="think of pairs.", more="add x to itself.", praise="Right: twice.")
    def double(call):
        return None if call(2) == 4 else "Twice 2 is 4."

    return double


def right(x):
    return x + x


def wrong(x):
    return x


FIRST, SECOND = (f"Not yet. Twice 2 is 4. Hint: {hint}" for hint in ("think of pairs.", "add x to itself."))


@pytest.mark.parametrize("strict", ["1", "0"])
def test_the_second_wrong_answer_in_a_row_gets_the_second_hint(strict, capsys, monkeypatch):
    monkeypatch.setenv("TEXTGEN_STRICT", strict)

    def says(check_it, function):
        try:
            check_it(function)
        except check.Diagnosis as error:
            assert strict == "1"
            return str(error)
        return capsys.readouterr().out.strip()

    double, other = doubling(), doubling()
    assert [says(double, wrong) for _ in range(3)] == [FIRST, SECOND, SECOND]
    assert says(other, wrong) == FIRST  # each exercise counts its own
    assert says(double, lambda x: None) == "Not written yet. Hint: think of pairs."
    said = [says(double, answer) for answer in (wrong, right, wrong, wrong)]
    assert said == [SECOND, "Right: twice.", FIRST, SECOND]


@pytest.mark.parametrize(
    ("function", "diagnosis"),
    [
        (wrong, "Twice 2 is 4."),
        (lambda x: 1 / 0, "Your function raised ZeroDivisionError: division by zero."),
        (lambda x: torch.ones(3).view(2, 2), "Your function raised RuntimeError: shape"),
        (lambda x: torch.ones(4, device="meta"), "Your function should return numbers: "),
    ],
)
def test_a_wrong_answer_raises_in_a_strict_run_alone(function, diagnosis, capsys, request):
    with pytest.raises(check.Diagnosis) as told:
        doubling()(function)
    assert str(told.value).startswith(f"Not yet. {diagnosis}")
    assert not capsys.readouterr().out
    request.getfixturevalue("reader")
    assert doubling()(function) is None
    assert capsys.readouterr().out == f"{told.value}\n"
