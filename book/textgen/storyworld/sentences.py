"""Single sentences: could some text of the grammar contain this one?

This is the recogniser of whole texts with less to go on: it may start after any sentence of the grammar, and a name
that an earlier sentence would have bound may stand for any entry of its classes. Within the sentence all must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from .grammar import Choice, Draw, Entry, Note, Say, Text, article
from .recogniser import _Reader
from .world import World

END = re.compile(r'[.?!]"?(?= |$)')  # where a sentence ends
CUT = re.compile(r'(?<=[.?!])(?= (?!A: ))|(?<=[.?!]")(?= )')  # a question keeps its answer


def split(text: str) -> list[str]:
    """Cut a text into sentences, each with the space before it; a question with its answer is one."""
    return [piece for piece in CUT.split(text) if piece.strip()]


class _SentenceReader(_Reader):
    """A reader that starts in the middle of a text, without knowing what came before."""

    def __init__(self, text: str, world: World, classes: dict[str, set[str]], plots: set[str]):
        super().__init__(text, world)
        self.classes, self.plots = classes, plots

    def read(self, nodes: tuple, position: int, bound: dict, probability: float):
        """As in a whole text, but notes are skipped: the names in them may be unknown."""
        while nodes and isinstance(nodes[0], Note):
            nodes = nodes[1:]
        yield from super().read(nodes, position, bound, probability)

    def ways(self, node: Text | Say | Draw, bound: dict) -> Iterator[tuple[str, float, dict]]:
        """As in a whole text, and for an unknown name every entry that it may stand for."""
        if not isinstance(node, Say) or node.name in bound:
            yield from super().ways(node, bound)
            return
        for kind in sorted(self.classes[node.name]):
            for entry in self.world.entries.get(kind) or [Entry(text=kind)]:  # a fact's own words
                if node.attribute.lower() in entry:
                    words = entry[node.attribute]
                    yield (f"{article(words)} {words}" if node.article else words), 1.0, {node.name: entry}

    def read_questions(self, count: int, rest: tuple, position: int, bound: dict, probability: float):
        """Any one question of any plot, with its answer."""
        for plot in self.plots:
            for question, answer, _ in self.world.grammar.questions[plot]:
                nodes = (Text("Q: "), *question, Text(" A: "), *answer)
                yield from self.read(nodes, position, bound, probability)


def beginnings(nodes: tuple, world: World, rest: tuple = ()) -> Iterator[tuple]:
    """What may follow the end of a sentence: the nodes from there to the end of the text."""
    for i, node in enumerate(nodes):
        after = nodes[i + 1 :] + rest
        if isinstance(node, Draw) and END.search(world.entries[node.kind][0]["text"]):  # a riddle
            yield after
        elif isinstance(node, Text):
            for end in END.finditer(node.text):
                left = node.text[end.end() :]
                yield (Text(left), *after) if left else after
        elif isinstance(node, Choice):
            for branch in node.branches:
                yield from beginnings(branch, world, after)


def every(nodes: tuple) -> Iterator:
    """All nodes, including those in the branches of choices."""
    for node in nodes:
        yield node
        for branch in node.branches if isinstance(node, Choice) else ():
            yield from every(branch)


@lru_cache
def parts(rule: str, world: World) -> tuple[list[tuple], dict[str, set[str]], set[str]]:
    """Where the sentences of a rule begin, the classes that each name may come from, and its plots."""
    nodes = world.grammar.rules[rule]
    classes, plots = {}, {"any"}
    for node in every(nodes):
        if isinstance(node, Draw):
            classes.setdefault(node.name, set()).add(node.kind)
    for node in every(nodes):
        if isinstance(node, Note):
            plots |= {node.value} if node.key == "plot" else set()
            classes.setdefault(node.key, set()).update(classes.get(node.value, {node.value}))
    starts = [nodes, *beginnings(nodes, world)]
    return list(dict.fromkeys(starts)), classes, plots & world.grammar.questions.keys()


def is_sentence(text: str, rule: str = "story", world: World | None = None) -> bool:
    """Can the grammar write this sentence, one of those that `split` returns, somewhere in some text?

    Example: `" Ada had a red hat from her uncle."` is one, whatever came before; `"from his uncle."` is not.
    """
    world = world or World()
    starts, classes, plots = parts(rule, world)
    reader = _SentenceReader(text, world, classes, plots)
    for nodes in starts if END.search(text) else ():
        for _ in reader.read(nodes, 0, {}, 1.0):
            pass  # only `reached` counts: the rule may continue after the sentence
        if reader.reached == len(text):
            return True
    return False
