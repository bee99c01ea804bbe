"""What the checks are made of: one line for a figure or a claim, one sentence for a learner's function."""

import functools
import math
import os
import warnings
from collections.abc import Callable, Iterable

import numpy as np
import torch

REASONS = (
    "That is as it should be if you changed a setting. Otherwise: a GPU computes in bfloat16, and another version or "
    "machine rounds differently."
)


class Diagnosis(AssertionError):
    """What is wrong with a learner's function, in one sentence."""


class Unfinished(Exception):
    """The learner's function is still the stub: it returns None, NotImplemented or `...`."""


def strict() -> bool:
    """Tell whether to raise where a check fails: when the book is made and tested, not in a reader's kernel."""
    return os.environ.get("TEXTGEN_STRICT") == "1"


def figure(label: str, value: float, expected: float, within: float) -> None:
    """Print this run's `value`, the `expected` one on record, and whether they agree to `within` (absolute).

    Where they differ, a reader's run goes on; a strict one raises AssertionError.
    """
    number = to_number(value)
    agree = number is not None and abs(number - expected) <= within
    here = repr(value) if number is None else shown(number, within)
    verb, bound = ("agree", "within") if agree else ("differ", "by more than")
    verdict = f"they {verb} {bound} {shown(within, within)}" if within else f"they {verb}"
    say(f"{label}: {here} (on record: {shown(expected, min(within, 1e-5))}; {verdict})", agree)


def claim(sentence: str, holds: bool) -> None:
    """Print `sentence`, which compares this run's figures, and whether it holds; where not, go on as `figure` does."""
    say(f"{sentence}: {'true' if holds else 'not true'} in this run", holds)


def say(line: str, good: bool) -> None:
    """Print `line`; where it is bad, add the likely reasons, or raise it in a strict run."""
    if not good and strict():
        raise AssertionError(line)
    print(line if good else f"{line}\n    {REASONS}")


def shown(number: float, within: float) -> str:
    """Write `number` to one digit more than a tolerance of `within` decides, a whole number without a point."""
    if within:
        number = round(float(number), max(0, 1 - math.floor(math.log10(within))))
    return f"{int(number) if number == number // 1 else number:,}"


def to_number(value) -> float | None:
    """Return the number in a scalar of any kind, or None where `value` is no single number."""
    try:
        single = value.detach() if isinstance(value, torch.Tensor) else value
        return None if isinstance(value, bool | str) else float(single)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last is a tensor of several numbers
        return None


def exercise(hint: str, more: str, praise: str) -> Callable:
    """Turn `diagnose(call)`, which says what is wrong with the guarded function or None, into a check.

    A first wrong answer gets its diagnosis and `hint`, an idea; each one after it gets `more`, which tells more,
    until an answer is right. A reader's run goes on, a strict one raises Diagnosis.
    """

    def wrap(diagnose: Callable) -> Callable:
        wrong = 0  # answers in a row

        @functools.wraps(diagnose)
        def check(function: Callable) -> None:
            nonlocal wrong
            try:
                problem = diagnose(functools.partial(guarded, function))
            except Unfinished:
                return print(f"Not written yet. Hint: {hint}")
            except Diagnosis as error:
                problem = str(error)
            except (TypeError, ValueError, OverflowError, RuntimeError) as error:
                problem = f"Your function should return numbers: {error}."
            wrong = wrong + 1 if problem else 0
            line = f"Not yet. {problem} Hint: {more if wrong > 1 else hint}" if problem else praise
            if problem and strict():
                raise Diagnosis(line)
            return print(line)

        return check

    return wrap


def guarded(function: Callable, *arguments, detach: bool = True):
    """Call a learner's function: an exception, an overflow or log(0) becomes a Diagnosis.

    Tensors in the answer become arrays, unless `detach` is False.
    """
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
    return to_numpy(answer) if detach else answer


def attempt(call: Callable, *arguments):
    """Return what the learner's function returns, or nan where it raises."""
    try:
        return call(*arguments)
    except Diagnosis:
        return math.nan


def answers(call: Callable, cases: list[tuple]) -> list:
    """Return the learner's answer to each case: an exception ends the check in the first, and is nan in others."""
    return [call(*cases[0]), *(attempt(call, *case) for case in cases[1:])]


def ignored_rng(call: Callable, *arguments) -> str | None:
    """Return a diagnosis where the result does not depend on the rng alone, the function's last argument."""
    first, again, other = (attempt(call, *arguments, np.random.default_rng(seed)) for seed in (0, 0, 1))
    if near(first, again) and not near(first, other):
        return None
    return "Draw from the rng that you are given, and from no other, so that its seed determines the result."


def compare(
    answer, right, mistakes: dict[str, object], otherwise: str, tolerance: float = 1e-6
) -> str | None:
    """Return None where `answer` is right, or the sentence of the known mistake that gives the same."""
    known = (sentence for sentence, wrong in mistakes.items() if near(answer, wrong, tolerance))
    return None if near(answer, right, tolerance) else next(known, otherwise)


def near(a, b, tolerance: float = 1e-6) -> bool:
    """Tell whether two numbers or arrays agree; False where their shapes differ."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance)


def to_numpy(answer):
    """Replace each tensor in a learner's answer by an array, whatever its device, precision or gradient."""
    if isinstance(answer, torch.Tensor):
        answer = answer.detach().cpu()
        return (answer.double() if answer.is_floating_point() else answer).numpy()  # it knows no bfloat16
    if isinstance(answer, list | tuple):
        return (tuple if isinstance(answer, tuple) else list)(map(to_numpy, answer))
    return answer


def shape_of(answer) -> tuple | str:
    """Return the shape of an array or tensor, and the name of the type of anything else."""
    return tuple(getattr(answer, "shape", ())) or type(answer).__name__


def flat(arrays: Iterable) -> np.ndarray:
    """Put all numbers of several arrays into one row."""
    return np.concatenate([np.ravel(array) for array in arrays])


def example(*shapes: int | tuple, seed: int = 0) -> list[np.ndarray]:
    """Return an array of normally distributed numbers for each shape, the same at every call."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def logistic(z: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-z)), the sigmoid that the learner writes, for numbers of moderate size."""
    return 1 / (1 + np.exp(-z))
