"""The judge: does an answer do what a request asked for?

It reads the answer alone, by the grammar and by arithmetic, and no model's opinion. So it can measure an assistant, and
reward one.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from .asking import UNKNOWN, ending
from .grammar import Draw, Entry, Say, Text, load
from .request import Request
from .sentences import parts
from .taste import _Outline
from .world import World

PRIME = 2**61 - 1  # values are compared modulo this: no power grows beyond it
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def fulfils(request: Request, answer: str) -> bool:
    """Is this a right answer?

    A story must have the outline of one (see `taste.outline`), from its first word to its last, and introduce who and
    what was asked for: a pronoun that does not fit, or a name that is mixed up later, is forgiven. Code must have the
    value that was asked for, whatever its form. All else has one right answer, by the letter: the grammar makes one
    translation of a sentence, and what nobody can know has UNKNOWN.
    """
    if request.kind == "story":
        told = facts(answer)
        return told is not None and request.asked.items() <= told.items()
    if request.kind == "code":
        return values(answer) is not None and values(answer) == values(request.answer)
    return answer.strip() == request.answer


def unknown(answer: str) -> bool:
    """Does the answer say that it does not know?"""
    return answer.strip() == UNKNOWN


@lru_cache
def tales() -> World:
    """A world whose stories end before the questions, and the space before these: what an assistant tells."""
    grammar = load()
    return World(grammar=replace(grammar, rules=grammar.rules | {"story": grammar.rules["story"][:-2]}))


class _Introductions(_Outline):
    """Reads the outline of a story, and keeps what each slot is first filled with."""

    def ways(self, node: Text | Say | Draw, bound: dict) -> Iterator[tuple[str, float, dict]]:
        """As for an outline; what is drawn is bound."""
        for words, p, _ in super().ways(node, bound):
            entry = Entry(text=words.removeprefix("an ").removeprefix("a "))
            yield words, p, {node.name: entry} if isinstance(node, Draw) else {}


def facts(text: str) -> dict[str, str] | None:
    """What a story introduces: "hero", "animal", "thing" and more, and its "ending"; None for a text without the outline."""
    text, world = text.strip(), tales()
    _, classes, plots = parts("story", world)
    reader = _Introductions(text, world, classes, plots)
    for end, bound, _ in reader.read(world.grammar.rules["story"], 0, {}, 1.0):
        if end == len(text):
            return {name: entry["text"] for name, entry in bound.items()} | {"ending": ending(bound)}
    return None


def values(code: str) -> list[int] | None:
    """The values of an expression in x for several x, or None where it is none; nothing is executed."""
    try:
        tree = ast.parse(code.strip(), mode="eval").body if len(code) <= 200 else None
        return [value(tree, x) for x in (0, 1, 2, 3, 5, 7, 11, 1009)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def value(node: ast.AST | None, x: int) -> int:
    """The value of a sum, a difference, a product or a small power of whole numbers and x, modulo PRIME."""
    match node:
        case ast.Name(id="x"):
            return x
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return number % PRIME
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -value(inner, x) % PRIME
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as power)) if power < 100:
            return pow(value(left, x), power, PRIME)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](value(left, x), value(right, x)) % PRIME
    raise ValueError("code must be an expression in x of whole numbers with +, -, * and **.")
