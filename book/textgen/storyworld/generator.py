"""The generator: stories with their exact information content."""

from __future__ import annotations

import random
import zlib
from bisect import bisect
from itertools import accumulate
from typing import NamedTuple

from .grammar import Ask, Choice, Draw, Entry, Grammar, Note, Odds, Say, Text, article, odds
from .world import World, key

SPLITS = {"train": range(2, 10), "valid": range(1, 2), "test": range(1)}


class Mention(NamedTuple):
    """A place where the story can only repeat what it named before.

    kind is "name", "object" or "colour"; text[start:end] is the word; distance counts the words since it was last used.
    """

    kind: str
    start: int
    end: int
    distance: int


class Story:
    """A story: its text, the bits of information in it, and what it says."""

    def __init__(self, writer: _Writer):
        """Made by `stories`."""
        self.text, self.bits, self._writer = "".join(writer.out), writer.bits, writer

    def __repr__(self) -> str:
        """The start of the text and its bits."""
        return f"Story({self.text[:40]!r}..., bits={self.bits:.1f})"

    @property
    def facts(self) -> dict[str, str]:
        """Who, what, where, the colour and the ending, by name."""
        bound = self._writer.bound
        facts = {name: entry["text"] for name, entry in bound.items()}
        if "thing" in bound:
            facts |= {"colour": bound["thing"]["colour"], "object": bound["thing"]["noun"]}
        return facts

    @property
    def questions(self) -> list[tuple[str, str]]:
        """Every question that the story answers, with the answer; two of them close its text."""
        world, bound = self._writer.world, self._writer.bound
        write = lambda nodes: "".join(_Writer(world, random.Random(0), bound).walk(nodes).out)
        return [(write(question), write(answer)) for question, answer in available(world.grammar, bound)]

    @property
    def mentions(self) -> list[Mention]:
        """Every later mention of a name, an object or a colour that the story determines."""
        starts = [0, *accumulate(map(len, self._writer.out))]
        last, mentions = {}, []
        for piece, entry, attribute, counted in self._writer.said:
            start, end = starts[piece], starts[piece + 1]
            spans = []
            if "she" in entry and attribute == "text":
                spans = [("name", start, end)]
            if "colour" in entry and attribute != "noun":
                spans = [("colour", start, start + len(entry["colour"]))]
            if "noun" in entry and attribute != "colour":
                spans.append(("object", end - len(entry["noun"]), end))
            for kind, start, end in spans:
                if counted and (kind, key(entry)) in last:
                    distance = len(self.text[last[kind, key(entry)] : start].split())
                    mentions.append(Mention(kind, start, end, distance))
                last[kind, key(entry)] = end
        return mentions


def available(grammar: Grammar, bound: dict) -> list[tuple[tuple, tuple]]:
    """The questions whose names are all bound: those of every plot, then those of this one."""
    pairs = grammar.questions["any"] + grammar.questions[bound["plot"]["text"]]
    return [(question, answer) for question, answer, names in pairs if names <= bound.keys()]


class _Writer:
    """Walks the grammar and makes its choices; keeps the pieces of text, the bits, and what each name is bound to."""

    def __init__(self, world: World, rng: random.Random, bound: dict | None = None):
        self.world, self.random, self.bound = world, rng.random, dict(bound or {})
        self.out, self.said, self.bits = [], [], 0.0

    def choose(self, odds: Odds) -> int:
        """Draw an index by its odds, and add the bits that it costs."""
        index = bisect(odds.cumulative, self.random())
        self.bits += odds.bits[index]
        return index

    def say(self, entry: Entry, attribute: str, with_article: bool, counted: bool) -> None:
        words = entry[attribute]
        if with_article:
            self.out.append(article(words) + " ")
        self.said.append((len(self.out), entry, attribute, counted))
        self.out.append(words)

    def walk(self, nodes: tuple, counted: bool = True) -> _Writer:
        for node in nodes:
            kind = type(node)
            if kind is Text:
                self.out.append(node.text)
            elif kind is Say:
                self.say(self.bound[node.name], node.attribute, node.article, counted and not node.free)
            elif kind is Choice:
                self.walk(node.branches[self.choose(node.odds)], counted)
            elif kind is Draw:
                taken = tuple([key(self.bound[n]) for n in node.unlike if n in self.bound])
                entries, odds = self.world.options(
                    node.kind, taken, self.bound[node.of]["she"] if node.of else None
                )
                entry = self.bound[node.name] = entries[self.choose(odds)]
                self.say(entry, "text", node.article, False)
            elif kind is Note:
                self.bound[node.key] = self.bound.get(node.value) or Entry(text=node.value)
            elif kind is Ask:
                self.ask(node.count)
        return self

    def ask(self, count: int) -> None:
        pairs = available(self.world.grammar, self.bound)
        for i in range(count):
            question, answer = pairs.pop(self.choose(odds((1.0,) * len(pairs))))
            self.out.append(" Q: " if i else "Q: ")
            self.walk(question, counted=False)
            self.out.append(" A: ")
            self.walk(answer)


def write(rule: str, n: int, seed: int = 0, split: str = "train", world: World | None = None) -> list[Story]:
    """`n` texts of a rule of the grammar; the splits "train", "valid" and "test" never share a text.

    A text belongs to a split by its checksum, so the same text is in the same split whatever the seed.

    Raises:
        ValueError: an unknown split or rule, or a negative n.
    """
    world = world or World()
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    if rule not in world.grammar.rules:
        raise ValueError(f"rule must be one of {', '.join(world.grammar.rules)}; got {rule!r}.")
    if n < 0:
        raise ValueError(f"n must be 0 or more; got {n}.")
    rng, nodes, made = random.Random(f"{rule} {split} {seed}"), world.grammar.rules[rule], []
    while len(made) < n:
        writer = _Writer(world, rng).walk(nodes)
        story = Story(writer)
        if zlib.crc32(story.text.encode()) % 10 in SPLITS[split]:
            made.append(story)
    return made


def stories(n: int, seed: int = 0, split: str = "train", world: World | None = None) -> list[Story]:
    """`n` stories: 60 to 120 words each, closed by two questions with their answers.

    Raises:
        ValueError: an unknown split, or a negative n.
    """
    return write("story", n, seed, split, world)


def entropy(stories: list[Story]) -> float:
    """True bits per character of these stories, the end of each counted as one character.

    No model can do better on average: the bits are minus log2 of the probability that the grammar gives the text
    (Shannon 1948).

    Raises:
        ValueError: no stories.
    """
    if not stories:
        raise ValueError("stories must hold at least one story; it is empty.")
    return sum(s.bits for s in stories) / sum(len(s.text) + 1 for s in stories)
