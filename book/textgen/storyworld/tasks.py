"""Tasks that have one right answer: small programs, sums, and questions about a text."""

from __future__ import annotations

import random


def code(rng: random.Random) -> tuple[str, str]:
    """One to three steps in words, and the expression in x that does them."""
    steps, expression = [], "x"
    for i in range(rng.randint(1, 3)):
        number = rng.randint(2, 9)
        words, form = rng.choice(
            [
                (f"add {number}", f"{{}} + {number}"),
                (f"subtract {number}", f"{{}} - {number}"),
                (f"multiply by {number}", f"{{}} * {number}"),
                ("double it", "{} * 2"),
                ("square it", "{} ** 2"),
            ]
        )
        steps.append(words)
        expression = form.format(f"({expression})" if i else expression)
    return ", then ".join(steps), expression


def addition(rng: random.Random) -> tuple[str, str]:
    """Two numbers below 100 to add, and their sum."""
    a, b = rng.randint(0, 99), rng.randint(0, 99)
    return f"{a} + {b}", f"{a + b}"


def question(text: str) -> tuple[str | None, str, str]:
    """What a text says before its first question (None for nothing), its last question, and the answer to that."""
    before, _, answer = text.rpartition(" A: ")
    context, *_, asked = before.split("Q: ")
    return context.rstrip() or None, asked, answer
