"""The tests that the checks of every page share: right answers, stubs, and known mistakes."""

import numpy as np
import pytest
import torch
from textgen.check import Diagnosis


def raises_not_implemented(*arguments):
    raise NotImplementedError


STUBS = [lambda *a: None, lambda *a: NotImplemented, lambda *a: ..., raises_not_implemented]


def with_gradient(answer):
    """The same answer, its numbers as tensors that require grad."""
    if isinstance(answer, list | tuple):
        return type(answer)(map(with_gradient, answer))
    if isinstance(answer, float | np.ndarray):
        answer = torch.as_tensor(answer)
    if isinstance(answer, torch.Tensor) and answer.is_floating_point() and not answer.requires_grad:
        return answer.requires_grad_()
    return answer


def exercise_tests(right, wrong):
    """A class of tests; right: pairs (check, function), wrong: (check, function, words of its diagnosis)."""
    checks = list(dict.fromkeys(check for check, _ in right))
    names = [f"{check.__name__}: {words}" for check, _, words in wrong]

    class Tests:
        @pytest.mark.parametrize("change", [lambda answer: answer, with_gradient], ids=["", "with gradient"])
        @pytest.mark.parametrize(("check", "function"), right, ids=[check.__name__ for check, _ in right])
        def test_a_right_answer_is_praised_in_one_line(self, check, function, change, capsys):
            assert check(lambda *arguments: change(function(*arguments))) is None
            said = capsys.readouterr().out
            assert said.startswith("Right: ") and said.count("\n") == 1, said

        @pytest.mark.parametrize("check", checks, ids=[check.__name__ for check in checks])
        @pytest.mark.parametrize("stub", STUBS)
        def test_a_stub_gets_a_hint_and_no_error(self, check, stub, capsys):
            assert check(stub) is None
            said = capsys.readouterr().out
            assert said.startswith("Not written yet. Hint: ") and said.count("\n") == 1, said

        @pytest.mark.parametrize(("check", "function", "words"), wrong, ids=names)
        def test_each_mistake_has_its_diagnosis(self, check, function, words):
            with pytest.raises(Diagnosis, match=words) as told:
                check(function)
            assert "\n" not in str(told.value)

    return Tests
