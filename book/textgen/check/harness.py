"""How a check reports: one stable line for a figure, one sentence for a learner's function."""

import functools
import math
import warnings
from collections.abc import Callable

import numpy as np


class Diagnosis(AssertionError):
    """What is wrong with a learner's function, in one sentence."""


class Unfinished(Exception):
    """The learner's function is still the stub: it returns None, NotImplemented or `...`."""


def figure(label: str, value: float, expected: float, within: float) -> None:
    """Print that `value` agrees with the recorded `expected` to `within` (absolute, same unit).

    The printed line holds no digit of `value`, so that it is the same on every machine. Raises AssertionError
    where they disagree or `value` is no finite number.
    """
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, RuntimeError):  # the last is a tensor of several numbers
        number = math.nan
    if not math.isfinite(number):
        raise AssertionError(f"{label}: a finite number near {expected} was expected, and {value!r} came.")
    if not abs(number - expected) <= within:
        here = f"this run gives {number:.6g}, the recorded figure is {expected}"
        raise AssertionError(f"{label}: {here}, and they may differ by {within}.")
    print(f"{label}: {round(expected, 6)} (this run agrees within {within})")


def guarded(function: Callable, *arguments):
    """Call a learner's function: what it raises, and overflow or log(0), becomes a Diagnosis."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            answer = function(*arguments)
    except NotImplementedError:
        answer = None
    except Exception as error:
        raise Diagnosis(f"Your function raised {type(error).__name__}: {error}.") from error
    if answer is None or answer is NotImplemented or answer is ...:
        raise Unfinished
    return answer


def exercise(hint: str, praise: str) -> Callable:
    """Turn `diagnose(call)`, which says what is wrong with the guarded function or None, into a check."""

    def wrap(diagnose: Callable) -> Callable:
        @functools.wraps(diagnose)
        def check(function: Callable) -> None:
            try:
                problem = diagnose(functools.partial(guarded, function))
            except Unfinished:
                return print(f"Not written yet. Hint: {hint}")
            except (TypeError, ValueError) as error:
                raise Diagnosis(f"Your function should return numbers: {error}.") from error
            if problem:
                raise Diagnosis(problem)
            return print(praise)

        return check

    return wrap


def near(a, b, tolerance: float = 1e-6) -> bool:
    """Tell whether two numbers or arrays agree; False where their shapes differ."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance)


def attempt(call: Callable, *arguments):
    """Return what the learner's function returns, or nan where it raises."""
    try:
        return call(*arguments)
    except Diagnosis:
        return math.nan


def compare(
    answer, right, mistakes: dict[str, object], otherwise: str, tolerance: float = 1e-6
) -> str | None:
    """Return None where `answer` is right, or the sentence of the known mistake that gives the same."""
    known = (sentence for sentence, wrong in mistakes.items() if near(answer, wrong, tolerance))
    return None if near(answer, right, tolerance) else next(known, otherwise)
