"""Documents: a text of any kind that the course trains on, with the fields that it was made from."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

from . import tasks, translation
from .generator import SPLITS, write
from .world import World

KINDS = ("story", "intro", "qa", "pair", "code", "sum")


@dataclass(frozen=True)
class Document:
    """A text of one kind.

    prompt, answer: the text is prompt + answer; the answer is empty where nothing is asked.
    source, target: what goes in and what comes out of a "pair" (the English sentence, the Spanish one), a "code" (the
        steps in words, the expression in x) or a "sum" (the two numbers, their sum); None for other kinds.
    context, question: of a "qa", the text before its first question (None where a question comes first) and the
        question that `answer` answers; None for other kinds.
    """

    kind: str
    text: str
    prompt: str
    answer: str
    source: str | None = None
    target: str | None = None
    context: str | None = None
    question: str | None = None


TASKS = {  # what draws source and target, and the prompt around the source
    "pair": (translation.pair, "English: {} Spanish:"),
    "code": (tasks.code, "Task: take x, {}. Code:"),
    "sum": (tasks.addition, "Sum: {} ="),
}


def documents(
    n: int, kind: str, seed: int = 0, split: str = "train", world: World | None = None
) -> list[Document]:
    """`n` documents of one of KINDS; the splits never share a text, nor a prompt with its answer.

    Raises:
        ValueError: an unknown kind or split, or a world for a "pair", "code" or "sum", which no world changes.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    if kind not in TASKS:
        return [as_document(kind, story.text) for story in write(kind, n, seed, split, world)]
    if world is not None:
        raise ValueError(
            f"world must be None for the kind {kind!r}, which is the same in every world; got {world}."
        )
    (draw, frame), rng, made = TASKS[kind], random.Random(f"{kind} {split} {seed}"), []
    while len(made) < n:
        source, target = draw(rng)
        prompt, answer = frame.format(source), f" {target}"
        if zlib.crc32(prompt.encode()) % 10 in SPLITS[split]:
            made.append(Document(kind, prompt + answer, prompt, answer, source, target))
    return made


def as_document(kind: str, text: str) -> Document:
    """A text that the grammar wrote, with its fields."""
    if kind != "qa":
        return Document(kind, text, text, "")
    context, question, answer = tasks.question(text)
    return Document(
        kind, text, text.removesuffix(f" {answer}"), f" {answer}", context=context, question=question
    )
