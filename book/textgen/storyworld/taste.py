"""The listener: a hidden taste over stories, who says which of two she prefers, as noisily as people do.

Her taste is a sum of parts that a small model can read in the text, in nats of preference: she prefers story a to
story b with probability sigmoid(score(a) - score(b)), the model of Bradley and Terry (1952). That is all her noise:
of two stories one nat apart she names the better one 73 times out of 100. Some of what she likes is rare, so the
stories she loves lie several nats away from those that the grammar usually writes.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .grammar import Draw, Entry, Say, Text
from .sentences import _SentenceReader, parts
from .world import World

COMPARISONS = Path(__file__).parent / "comparisons.json.gz"


class Like(NamedTuple):
    """What she likes, or dislikes: its worth in nats, counted once, and the pattern that tells that it is there."""

    nats: float
    pattern: str


LIKES = {
    "joy": Like(1.5, r"\b(happy|glad|grateful|calm|delighted|merry|content|hopeful)\b"),
    "sorrow": Like(
        -1.0, r"\b(sad|lonely|gloomy|ashamed|afraid|angry|jealous)\b"
    ),  # to be worried is no sorrow
    "a grudge": Like(-1.5, r"\b(angry|jealous)\b"),  # on top of that
    "a meal": Like(1.5, r"\b(shared|paid with)\b"),
    "a gift or a loan": Like(1.0, r"\b(gave|belonged to|is yours\.|borrow)"),
    "water": Like(1.5, r"\b(river|harbour|lighthouse)\b"),
    "a close race": Like(1.0, r"\bfaster by a nose\b"),
    "who has it now": Like(1.0, r"now\? A: \w+\.$"),  # as the last question
}


class _Outline(_SentenceReader):
    """Reads a whole story and forgives who does what with which thing: each slot takes any word of its class."""

    def ways(self, node: Text | Say | Draw, bound: dict):
        """What a node can write, each wording once."""
        if isinstance(node, Text):
            yield node.text, 1.0, {}
            return
        attribute = getattr(node, "attribute", "text")
        kinds = self.classes[node.name] if isinstance(node, Say) else {node.kind}
        entries = [e for kind in kinds for e in self.world.entries.get(kind) or [Entry(text=kind)]]
        for words in sorted({entry[attribute] for entry in entries if attribute.lower() in entry}):
            for start in ("a ", "an ") if node.article else ("",):
                yield start + words, 1.0, {}

    def read_questions(self, count: int, rest: tuple, position: int, bound: dict, probability: float):
        """Every way to go on with `count` questions of any plot, each with an answer."""
        if count == 0:
            yield from self.read(rest, position, bound, probability)
            return
        start = Text("Q: " if self.text[position - 1 : position] == " " else " Q: ")
        for plot in self.plots:
            for question, answer, _ in self.world.grammar.questions[plot]:
                nodes = (start, *question, Text(" A: "), *answer)
                for end, _, _ in self.read(nodes, position, bound, probability):
                    yield from self.read_questions(count - 1, rest, end, bound, probability)


def outline(text: str, world: World | None = None) -> tuple[str, bool]:
    """The part of a text, from its start, that has the outline of a story, and whether it is a whole one.

    A story has the outline that the grammar gives it, whoever does what to whom: a wrong name, a wrong colour or "a
    umbrella" are forgiven, a sentence out of its place is not.
    """
    world = world or World()
    _, classes, plots = parts("story", world)
    reader = _Outline(text, world, classes, plots)
    ends = [end for end, _, _ in reader.read(world.grammar.rules["story"], 0, {}, 1.0)]
    return text[: reader.reached], len(text) in ends


@dataclass(frozen=True)
class Listener:
    """Somebody with a taste; by default the course's own listener. All worths are nats of preference.

    likes: what is liked, by name. She hears a text as far as it has the outline of a story (see `outline`).
    patience, bored: a story may take this many words, questions and all; each more costs so much.
    unfinished: what it costs when a text is not a whole story from its first word to its last.
    nonsense: what it costs when nothing of a text is a story; in proportion when that holds for its end.
    """

    likes: dict[str, Like] = field(default_factory=lambda: dict(LIKES), hash=False)
    patience: int = 80
    bored: float = -0.03
    unfinished: float = -1.0
    nonsense: float = -4.0
    world: World = field(default_factory=World)

    def parts(self, text: str) -> dict[str, float]:
        """What the score of a text is made of, by name; parts that are 0 are left out."""
        heard, whole = outline(text, self.world)
        found = {name: like.nats for name, like in self.likes.items() if re.search(like.pattern, heard)}
        found["length"] = self.bored * max(0, len(text.split()) - self.patience)
        found["unfinished"] = 0.0 if whole else self.unfinished
        found["nonsense"] = self.nonsense * (1 - len(heard) / len(text)) if text else self.nonsense
        return {name: nats for name, nats in found.items() if nats}

    def score(self, text: str) -> float:
        """What a text is worth to her without noise, in nats of preference; only differences mean anything."""
        return sum(self.parts(text).values())

    def compare(self, a: str, b: str, rng: random.Random) -> int:
        """Which of two texts she names as the better one, 0 or 1: a noisy label, drawn from `rng`."""
        return int(rng.random() >= sigmoid(self.score(a) - self.score(b)))

    def ceiling(self, pairs: Iterable[tuple[str, str]]) -> float:
        """How often her labels of these pairs agree, on the average, with her own taste without noise.

        No model can agree with fresh labels more often. Raises ValueError without pairs.
        """
        odds = [sigmoid(abs(self.score(a) - self.score(b))) for a, b in pairs]
        if not odds:
            raise ValueError("pairs is empty: give at least one pair of texts.")
        return sum(odds) / len(odds)


class Comparison(NamedTuple):
    """Two ways to go on from a prompt, the better one by a noisy label (0 or 1), and the scores of both without noise."""

    prompt: str
    a: str
    b: str
    better: int
    scores: tuple[float, float]


def comparisons(split: str = "train") -> list[Comparison]:
    """A thousand pairs of stories by pocket-gpt with the listener's labels, "train" or "test": they ship with the course.

    `python experiments/rlhf_reward.py --ship` wrote them; each pair has one opening sentence. Raises ValueError for
    another split.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", not {split!r}.')
    rows = json.loads(gzip.decompress(COMPARISONS.read_bytes()))[split]
    return [Comparison(*row[:4], tuple(row[4])) for row in rows]


def sigmoid(nats: float) -> float:
    """The probability of what is `nats` likelier than its opposite."""
    return 0.5 + 0.5 * math.tanh(nats / 2)  # no overflow
