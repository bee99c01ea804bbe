"""Questions about a story or a person: what happened, which half of the texts leave open, details, and traps.

What cannot be known is asked in the very words of what can: first a question is drawn from one story or person, and
only then it is decided whether that one is told, or another that leaves the question open. A trap asks for a detail of
what is not there while something like it is: for the colour of a kite, of somebody who has a bell.
"""

from __future__ import annotations

import random
import re
import zlib
from functools import lru_cache
from typing import NamedTuple

from .generator import SPLITS, Story
from .grammar import article, load
from .world import World

UNKNOWN = "I do not know."
DRAWN = 20  # stories among which one is sought that leaves a question open
# Which plots may hold an answer to a question with this word; a question without one, any plot.
HOLDS = {
    "lose": "lost", "searched": "lost", "want": "trade race gift", "offer": "trade riddle", "prize": "race riddle",
    "raced": "race", "present": "gift storm mend lost", "carry": "storm gift", "roof": "storm", "find": "letter lost",
    "riddle": "riddle", "letter": "letter", "broken": "mend", "mend": "mend",
}  # fmt: skip
FACTS = {  # what a person tells, the question, and the answer
    "name": ("My name is {name}.", "What is my name?", "Your name is {name}."),
    "job": ("I am {a job}.", "What am I?", "You are {a job}."),
    "home": ("I live by the {place}.", "Where do I live?", "You live by the {place}."),
    "thing": ("I have {a thing}.", "What do I have?", "You have {a thing}."),
    "colour": ("I have {a thing}.", "What colour is my {object}?", "{colour}."),
    "hobby": ("I like to {hobby}.", "What do I like to do?", "You like to {hobby}."),
    "friend": ("My best friend is {friend}.", "Who is my best friend?", "Your best friend is {friend}."),
}
TOLD = tuple(name for name in FACTS if name != "colour")
ASKED = ("name", "thing", "colour", "hobby", "friend")  # pocket-gpt never had to look up the others


class Asked(NamedTuple):
    """A text, a question about it, the answer (UNKNOWN where the text has none), and other questions with theirs."""

    text: str
    question: str
    answer: str
    others: list[tuple[str, str]]
    story: Story | None = None  # that the text tells


def happened(question: str) -> bool:
    """Is it about what happened, and not about who or what there is?"""
    return any(word in HOLDS for word in re.findall(r"\w+", question))


def about_story(story: Story, pool: list[Story], rng: random.Random) -> Asked:
    """A question about what happens in a story, about that story or about one of the pool where it does not."""
    (question, answer), told = rng.choice([pair for pair in story.questions if happened(pair[0])]), story
    if rng.random() < 0.5:
        silent = [other for other in rng.sample(pool, DRAWN) if not holds(other, question)]
        if rng.random() < 0.5:  # rather one that names who or what is asked about
            silent.sort(key=lambda other: -len(pointers(question) & pointers(body(other))))
        told, answer = silent[0], UNKNOWN
    others = [pair for pair in told.questions if pair[0] != question]
    strange = [rng.choice(other.questions)[0] for other in rng.sample(pool, DRAWN)]
    others += [(one, UNKNOWN) for one in strange if happened(one) and not holds(told, one)]
    return Asked(body(told), question, answer, others, told)


def detail(story: Story, rng: random.Random) -> Asked:
    """A question about who or what there is in a story."""
    question, answer = rng.choice([pair for pair in story.questions if not happened(pair[0])])
    return Asked(body(story), question, answer, [], story)


def trap(story: Story, pool: list[Story], split: str, rng: random.Random) -> Asked:
    """A question for a detail of what a story does not hold, or for the colour of another thing than the user has."""
    if rng.random() < 0.5:
        text = ""
        while "I have" not in text:
            text = about_person(split, rng).text
        others = [e["noun"] for e in world_of(split).entries["thing"] if e["noun"] not in text]
        return Asked(text, f"What colour is my {rng.choice(others)}?", UNKNOWN, [])
    while True:
        other = rng.choice(pool)
        question = rng.choice([question for question, _ in other.questions if not happened(question)])
        if not holds(story, question):
            return Asked(body(story), question, UNKNOWN, [], story)


def about_person(split: str, rng: random.Random) -> Asked:
    """A question about the user, who told the fact, or did not."""
    draw = lambda kind: rng.choice(world_of(split).entries[kind])
    while True:
        words = {kind: draw(kind)["text"] for kind in ("name", "job", "place", "hobby")}
        friends = [e["text"] for e in load().classes["name"] if e["text"] != words["name"]]
        thing, words["friend"] = draw("thing"), rng.choice(friends)
        name, known = rng.choice(ASKED), rng.random() < 0.5
        words |= {"thing": thing["text"], "object": thing["noun"], "colour": thing["colour"]}
        question, answer = fill(FACTS[name][1], words), UNKNOWN
        fact = "thing" if name == "colour" else name
        told = rng.sample([one for one in TOLD if one != fact], rng.randint(2, 4))
        if known:
            told[0], answer = fact, fill(FACTS[name][2], words)
        rng.shuffle(told)
        text = " ".join(fill(FACTS[one][0], words) for one in told)
        if checksum(text) in SPLITS[split]:
            break
    reply = lambda one: fill(FACTS[one][2], words) if one in told else UNKNOWN
    others = [(fill(FACTS[one][1], words), reply(one)) for one in TOLD if one in ASKED and one != fact]
    return Asked(text, question, answer, others)


@lru_cache
def world_of(split: str) -> World:
    """The world whose things are those of a split."""
    things = [(e["colour"], e["noun"]) for e in World().entries["thing"]]
    return World(pairs=frozenset(t for t in things if checksum(" ".join(t)) in SPLITS[split]))


def checksum(text: str) -> int:
    """A number from 0 to 9, by which a text belongs to one of SPLITS."""
    return zlib.crc32(text.encode()) % 10


def fill(template: str, words: dict[str, str]) -> str:
    """Write words into "{name}", and with an article into "{a name}" or "{an name}"."""
    choose = lambda m: f"{article(words[m[2]])} {words[m[2]]}" if m[1] else words[m[2]]
    return re.sub(r"\{(an? )?(\w+)\}", choose, template)


def body(story: Story) -> str:
    """A story without the questions that close it."""
    return story.text[: story.text.index(" Q: ")]


def ending(facts: dict) -> str:
    """The feeling in which a story ends: where it has both, joy comes last."""
    return "joy" if "joy" in facts else "sorrow"


@lru_cache
def nameable() -> frozenset[str]:
    """Every word by which a question can point at somebody or something."""
    return frozenset(e["text"] for kind in ("name", "animal", "object") for e in load().classes[kind])


@lru_cache(2**14)
def pointers(text: str) -> frozenset[str]:
    """The words of a text by which a question can point at something."""
    return nameable() & set(re.findall(r"\w+", text))


def holds(story: Story, question: str) -> bool:
    """Could a reader find an answer in the story? Where in doubt, yes."""
    plots = next((HOLDS[word] for word in re.findall(r"\w+", question) if word in HOLDS), story.facts["plot"])
    return pointers(question) <= pointers(body(story)) and story.facts["plot"] in plots.split()
