"""The tests that the checks of every page share: right answers, stubs, known mistakes, and their hints."""

import re

import numpy as np
import pytest
import torch
from textgen.check import Diagnosis


def raises_not_implemented(*arguments):
    raise NotImplementedError


def broken(*arguments):
    raise KeyError("broken")


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
            with pytest.raises(Diagnosis) as told:
                check(function)
            diagnosis = str(told.value).partition(" Hint: ")[0]
            assert diagnosis.startswith("Not yet. ") and re.search(words, diagnosis), diagnosis
            assert "\n" not in diagnosis

        @pytest.mark.parametrize(("check", "function"), dict(right).items(), ids=[c.__name__ for c in checks])
        def test_a_reader_goes_on_with_two_hints(self, check, function, capsys, monkeypatch):
            monkeypatch.delenv("TEXTGEN_STRICT")
            for answer in (function, STUBS[0], broken, broken, broken, function, broken):
                assert check(answer) is None
            said = capsys.readouterr().out.splitlines()
            praise, stub, first, second, third, *again = said
            assert again == [praise, first] and third == second, said
            assert first.startswith("Not yet. Your function raised KeyError: 'broken'. Hint: "), first
            hint, more = (line.partition(" Hint: ")[2] for line in (first, second))
            assert stub == f"Not written yet. Hint: {hint}"
            assert more != hint and re.fullmatch(r"(?![A-Z][a-z]).+(?<!\.)[.?]", more), more
            assert not re.search(r"[.?!] ", more), f"one sentence is enough: {more}"

    return Tests
