"""The recogniser: how probable is a text, is it grammatical, and what may come next.

It shares the grammar with the generator and nothing else: it reads a text from left to right, follows every
derivation that could have written it, and adds up their probabilities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import log2
from os.path import commonprefix
from typing import NamedTuple

from .generator import available
from .grammar import Ask, Choice, Draw, Entry, Note, Say, Text, article
from .world import World, key


class Recognised(NamedTuple):
    """bits: minus log2 of the text's probability, None for a text that the grammar cannot write.

    fraction: how much of the text, from its start, is the start of something the grammar can write (0 to 1).
    """

    bits: float | None
    fraction: float


class _Reader:
    """Reads one text; keeps how far any derivation got, and how those that reached its end would continue."""

    def __init__(self, text: str, world: World):
        self.text, self.world, self.reached = text, world, 0
        self.next: dict[str, float] = defaultdict(float)

    def match(self, words: str, position: int, probability: float) -> int | None:
        """The position after `words`, or None when the text says something else."""
        piece = self.text[position : position + len(words)]
        if piece[:1] != words[:1] and piece:
            return None
        if words.startswith(piece):
            self.reached = max(self.reached, position + len(piece))
            if len(piece) == len(words):
                return position + len(piece)
            self.next[words[len(piece) :]] += probability  # the text stops here: this is one way to continue
        else:
            self.reached = max(self.reached, position + len(commonprefix([piece, words])))
        return None

    def read(
        self, nodes: tuple, position: int, bound: dict, probability: float
    ) -> Iterator[tuple[int, dict, float]]:
        """Every way to derive a stretch of the text from `nodes`: where it ends, what is bound, its probability."""
        if not nodes:
            yield position, bound, probability
            return
        node, rest = nodes[0], nodes[1:]
        if isinstance(node, Choice):
            for p, branch in zip(node.odds.probabilities, node.branches, strict=True):
                yield from self.read(branch + rest, position, bound, probability * p)
        elif isinstance(node, Note):
            value = bound.get(node.value) or Entry(text=node.value)
            yield from self.read(rest, position, bound | {node.key: value}, probability)
        elif isinstance(node, Ask):
            yield from self.read_questions(node.count, rest, position, bound, probability)
        else:
            for words, p, also in self.ways(node, bound):
                end = self.match(words, position, probability * p)
                if end is not None:
                    yield from self.read(rest, end, bound | also, probability * p)

    def ways(self, node: Text | Say | Draw, bound: dict) -> Iterator[tuple[str, float, dict]]:
        """What a node can write: the words, their probability and what they bind."""
        if isinstance(node, Text):
            yield node.text, 1.0, {}
        elif isinstance(node, Say):
            words = bound[node.name][node.attribute]
            yield (f"{article(words)} {words}" if node.article else words), 1.0, {}
        else:
            taken = tuple(key(bound[n]) for n in node.unlike if n in bound)
            entries, odds = self.world.options(node.kind, taken, bound[node.of]["she"] if node.of else None)
            for entry, p in zip(entries, odds.probabilities, strict=True):
                words = entry["text"]
                yield (f"{article(words)} {words}" if node.article else words), p, {node.name: entry}

    def read_questions(
        self, count: int, rest: tuple, position: int, bound: dict, probability: float, asked=()
    ):
        """Every way to end the story with `count` questions that were not asked yet."""
        if count == 0:
            yield from self.read(rest, position, bound, probability)
            return
        left = [pair for pair in available(self.world.grammar, bound) if pair not in asked]
        for pair in left:
            nodes = (Text(" Q: " if asked else "Q: "), *pair[0], Text(" A: "), *pair[1])
            for end, then, p in self.read(nodes, position, bound, probability / len(left)):
                yield from self.read_questions(count - 1, rest, end, then, p, (*asked, pair))


def recognise(text: str, rule: str = "story", world: World | None = None) -> Recognised:
    """Read a text by the grammar: its exact bits, from the sum over all derivations, and how far it is grammatical.

    Example: a generated story that names the wrong colour in its last answer has bits None and a fraction near 1.
    """
    world = world or World()
    reader = _Reader(text, world)
    ends = reader.read(world.grammar.rules[rule], 0, {}, 1.0)
    probability = sum(p for position, _, p in ends if position == len(text))
    return Recognised(
        -log2(probability) if probability else None, reader.reached / len(text) if text else 0.0
    )


def continuations(text: str, rule: str = "story", world: World | None = None) -> dict[str, float]:
    """What the grammar can write next after `text`, with the true probability of each; {} when it can write nothing.

    The probabilities are exact, given the text so far, and add up to one minus the probability that the text
    ends here. A continuation may be a word or a longer phrase, and one may begin as another does:
    add up all that begin with a text before going on from it.
    """
    world = world or World()
    reader = _Reader(text, world)
    ended = sum(
        p for position, _, p in reader.read(world.grammar.rules[rule], 0, {}, 1.0) if position == len(text)
    )
    total = sum(reader.next.values()) + ended
    return {words: p / total for words, p in sorted(reader.next.items(), key=lambda item: -item[1])}


class _Endings(_Reader):
    """A reader whose positions are what was said so far: past the end of the text it takes whatever comes."""

    def match(self, words: str, position: str, probability: float) -> str | None:
        """What was said with `words` behind it, or None when the text says something else."""
        said = position + words
        return said if said.startswith(self.text) or self.text.startswith(said) else None


def endings(text: str, rule: str = "story", world: World | None = None) -> dict[str, float]:
    """Every way in which the grammar can end `text`, with its true probability given the text; {} if there is none.

    The probabilities add up to one. There are 960 endings once the two of a race have run off, and far too many at
    the start of a story: ask where few choices are left.
    """
    world = world or World()
    found: dict[str, float] = defaultdict(float)
    for said, _, p in _Endings(text, world).read(world.grammar.rules[rule], "", {}, 1.0):
        if said.startswith(text):
            found[said[len(text) :]] += p
    total = sum(found.values())
    return {words: p / total for words, p in found.items()}
