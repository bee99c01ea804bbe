"""The grammar behind Storyworld: the little language of `grammar.txt`, parsed into a tree."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from math import inf, log2
from pathlib import Path
from typing import NamedTuple

PRONOUNS = {
    "she": {"she": "she", "his": "her", "him": "her"},
    "he": {"she": "he", "his": "his", "him": "him"},
}


class Entry(dict):
    """One word or phrase with its attributes: `text` always, `she`, `colour`, `noun` or `answer` for some."""

    __hash__ = object.__hash__  # entries hash by identity: a dict has no hash of its own

    def __missing__(self, attribute: str) -> str:
        """A capitalised attribute is the attribute with a capital letter: {hero.She}, {spot.Text}."""
        if attribute == attribute.lower():
            raise KeyError(attribute)
        value = self[attribute.lower()]
        return value[0].upper() + value[1:]


class Odds(NamedTuple):
    """A choice among n: the probability of each, their running sum (for drawing) and the bits each one costs."""

    probabilities: tuple[float, ...]
    cumulative: tuple[float, ...]
    bits: tuple[float, ...]


@lru_cache
def odds(weights: tuple[float, ...]) -> Odds:
    """The odds of these weights; a choice of weight 0 is never taken."""
    total = sum(weights)
    probabilities = tuple(w / total for w in weights)
    return Odds(
        probabilities,
        (*accumulate(probabilities[:-1]), 1.0),
        tuple(-log2(p) if p else inf for p in probabilities),
    )


@dataclass(frozen=True)
class Text:
    """Words to write as they are."""

    text: str


@dataclass(frozen=True)
class Draw:
    """`{name=kind}`: draw an entry of a class, unlike those bound to `unlike`, and bind it to a name."""

    name: str
    kind: str
    unlike: tuple[str, ...]
    article: bool
    of: str | None


@dataclass(frozen=True)
class Say:
    """`{name.attribute}`: say again what a name is bound to."""

    name: str
    attribute: str
    article: bool
    free: bool  # the story could also have said something else here


@dataclass(frozen=True)
class Choice:
    """`[3:one|two]`: one of several branches, with the probability of each."""

    odds: Odds
    branches: tuple[tuple, ...]


@dataclass(frozen=True)
class Note:
    """`{!key=value}`: a fact that the text implies; it writes nothing."""

    key: str
    value: str


@dataclass(frozen=True)
class Ask:
    """`{?2}`: that many different questions, with their answers."""

    count: int


@dataclass(eq=False)  # a grammar is itself, whatever it holds: cheap to hash, as worlds must be
class Grammar:
    """Classes of words, rules, and questions with their answers and the names that both use."""

    classes: dict[str, list[Entry]] = field(default_factory=dict)
    rules: dict[str, tuple] = field(default_factory=dict)
    questions: dict[str, list[tuple[tuple, tuple, frozenset]]] = field(default_factory=dict)


TOKEN = re.compile(r"\{[^}]*\}|<\w+>|[\[\]|]|[^{}<>\[\]|]+")
SLOT = re.compile(r"(a )?(\w+)=(\w+)((?:!\w+)*)(?:@(\w+))?$")
SAY = re.compile(r"(~)?(a )?(\w+)(?:\.(\w+))?$")


def parse_rule(text: str, rules: dict[str, tuple]) -> tuple:
    """Turn the text of a rule into a tuple of nodes; the rules that it names are inlined.

    Raises:
        ValueError: a slot or a bracket that the language does not know.
    """
    tokens = TOKEN.findall(text)

    def slot(body: str):
        if body.startswith("!"):
            return Note(*body[1:].split("="))
        if body.startswith("?"):
            return Ask(int(body[1:]))
        if match := SLOT.match(body):
            article, name, kind, unlike, of = match.groups()
            return Draw(name, kind, tuple(unlike.split("!")[1:]), bool(article), of)
        if match := SAY.match(body):
            free, article, name, attribute = match.groups()
            return Say(name, attribute or "text", bool(article), bool(free))
        raise ValueError(
            f"The grammar has a slot {{{body}}}, which is none of {{x=class}}, {{x}}, {{!x=y}}, {{?n}}."
        )

    def sequence(position: int) -> tuple[tuple, int]:
        nodes = []
        while position < len(tokens) and tokens[position] not in ("|", "]"):
            token = tokens[position]
            if token == "[":
                node, position = choice(position + 1)
                nodes.append(node)
            elif token.startswith("<"):
                nodes.extend(rules[token[1:-1]])
            else:
                nodes.append(slot(token[1:-1]) if token.startswith("{") else Text(token))
            position += 1
        return tuple(nodes), position

    def choice(position: int) -> tuple[Choice, int]:
        weights, branches = [], []
        while True:
            weight = re.match(r"(\d+):", tokens[position])
            if weight:
                tokens[position] = tokens[position][weight.end() :]
                weights.append(float(weight[1]))
            else:
                weights.append(1.0)
            branch, position = sequence(position)
            branches.append(tuple(n for n in branch if n != Text("")))
            if position == len(tokens):
                raise ValueError(f"The grammar opens a bracket that it never closes: {text[:60]!r}.")
            if tokens[position] == "]":
                return Choice(odds(tuple(weights)), tuple(branches)), position
            position += 1

    nodes, position = sequence(0)
    if position < len(tokens):
        raise ValueError(f"The grammar closes a bracket that it never opened: {text[:60]!r}.")
    return nodes


def join_lines(text: str) -> str:
    """Make each line break one space, or nothing at the edge of a branch or before a note."""
    text = re.sub(r"(?<=[\[|])\s*\n\s*|\s*\n\s*(?=[\]|]|\{!)", "", text.strip())
    return re.sub(r"\s*\n\s*", " ", text)


def parse_entry(text: str) -> Entry:
    """`Ada/she` has pronouns, `What runs?/the water` has an answer, `kite` has neither."""
    word, _, extra = text.strip().partition("/")
    return Entry(text=word, **(PRONOUNS.get(extra) or ({"answer": extra} if extra else {})))


@lru_cache
def load(path: Path | None = None) -> Grammar:
    """Read a grammar file; `grammar.txt` beside this module unless told otherwise."""
    path = path or Path(__file__).with_name("grammar.txt")
    grammar, sources = Grammar(), {}
    for block in re.split(r"\n(?=[@:?])", "\n" + re.sub(r"(?m)^#.*\n", "", path.read_text("utf-8"))):
        sign, (name, *_) = block[:1], block[1:].split(None, 1) or [""]
        body = block[1 + len(name) :]
        if sign == "@":
            grammar.classes[name] = [parse_entry(entry) for entry in body.split("|")]
        elif sign == ":":
            sources[name] = join_lines(body)
        elif sign == "?":
            lines = [line.strip() for line in body.strip().split("\n")]
            grammar.questions[name] = [tuple(re.split(r"(?<=\?) ", line)) for line in lines]
    while sources:  # a rule is parsed once all rules that it names are
        ready = [n for n, s in sources.items() if all(r in grammar.rules for r in re.findall(r"<(\w+)>", s))]
        if not ready:
            raise ValueError(
                f"The grammar's rules {sorted(sources)} name each other or a rule that is not there."
            )
        for name in ready:
            grammar.rules[name] = parse_rule(sources.pop(name), grammar.rules)
    for plot, pairs in grammar.questions.items():
        parsed = [(parse_rule(question, {}), parse_rule(answer, {})) for question, answer in pairs]
        grammar.questions[plot] = [
            (q, a, frozenset(n.name for n in q + a if isinstance(n, Say))) for q, a in parsed
        ]
    return grammar


def article(word: str) -> str:
    """ "a" or "an", by the first letter ("umbrella" too; the grammar has no "unicorn")."""
    return "an" if word[0] in "aeiou" else "a"
