"""Requests to an assistant in Storyworld, each with a right answer, or none that could be known.

Things (a colour with an object) are divided among the splits, so that the test names some that no training dialogue has.
"""

from __future__ import annotations

import random
import re
from typing import NamedTuple

from .asking import DRAWN, UNKNOWN, Asked, about_person, about_story, body, ending, fill, world_of
from .document import documents
from .generator import SPLITS, Story, stories

REQUESTS = ("story", "question", "person", "translate", "code", "dialogue")

STARTS = ("Tell me a story about", "Write a story about", "I want to hear a story about", "Tell me about")
SUBJECTS = ("{hero} the {animal} and {a thing}", "{an animal} named {hero} and {a thing}")
SUBJECTS += ("{a thing} and {an animal}", "{an animal} and {a thing}")
ENDINGS = {
    "joy": ("Let it end in joy.", "I want a happy end.", "Somebody should be happy at the end."),
    "sorrow": ("Let it end in sorrow.", "I want a sad end.", "Somebody should be sad at the end."),
}
ASKS = {  # how the other kinds begin
    "question": ("{}", "Here is a story. {}", "Read this story. {}"),
    "person": ("{}",),
    "translate": ("Say in Spanish: {}", "Translate into Spanish: {}"),
    "code": ("Write code: take x, {}.", "Take x, {}. Write the code."),
}


class Request(NamedTuple):
    """What a user asks of an assistant, at the end of a dialogue of one to three exchanges.

    kind: what the last message asks for: "story", "question", "person", "translate" or "code".
    messages: {"role": "user" or "assistant", "content": text}, the user's first and last.
    answer: a right one, the only right one but for stories and code. known: False where nobody can know, and UNKNOWN is right.
    asked: of a story, what it was asked to hold: "animal" and "thing", perhaps "hero" and "ending" ("joy" or "sorrow").
    """

    kind: str
    messages: list[dict[str, str]]
    answer: str
    known: bool = True
    asked: dict[str, str] | None = None

    @property
    def dialogue(self) -> list[dict[str, str]]:
        """The messages and the answer: a dialogue to learn from."""
        return [*self.messages, {"role": "assistant", "content": self.answer}]


def requests(n: int, kind: str, seed: int = 0, split: str = "train") -> list[Request]:
    """`n` requests of one of REQUESTS; no two splits share a first message.

    "question" is about a story that the user tells, "person" about the user; each is known half of the time. A "dialogue"
    has two or three exchanges, and ends with one of the other kinds, most often about what was said before.

    Raises:
        ValueError: an unknown kind or split, or a negative n.
    """
    if kind not in REQUESTS:
        raise ValueError(f"kind must be one of {', '.join(REQUESTS)}; got {kind!r}.")
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    if n < 0:
        raise ValueError(f"n must be 0 or more; got {n}.")
    rng = random.Random(f"requests {kind} {split} {seed}")
    if kind == "person":
        return [question_request(about_person(split, rng), rng) for _ in range(n)]
    if kind in ("translate", "code"):
        made = documents(n, {"translate": "pair"}.get(kind, kind), seed, split)
        return [Request(kind, user(rng.choice(ASKS[kind]).format(d.source)), d.target) for d in made]
    pool = stories(n + DRAWN, rng.randrange(10**9), split, world_of(split))
    if kind == "story":
        return [story_request(story, rng) for story in pool[:n]]
    if kind == "question":
        return [question_request(about_story(story, pool, rng), rng) for story in pool[:n]]
    return [dialogue(story, pool, split, rng) for story in pool[:n]]


def user(content: str) -> list[dict[str, str]]:
    """A dialogue of one message."""
    return [{"role": "user", "content": content}]


def story_request(story: Story, rng: random.Random) -> Request:
    """A request that a story fulfils."""
    facts, subject = story.facts, rng.choice(SUBJECTS)
    asked = {name: facts[name] for name in ("hero", "animal", "thing") if f"{name}}}" in subject}
    words = [f"{rng.choice(STARTS)} {fill(subject, facts)}."]
    if rng.random() < 2 / 3:
        asked["ending"] = ending(facts)
        words.append(rng.choice(ENDINGS[asked["ending"]]))
    return Request("story", user(" ".join(words)), body(story), asked=asked)


def question_request(asked: Asked, rng: random.Random) -> Request:
    """A text of the user's, and a question about it in the same message."""
    kind = "question" if asked.story else "person"
    text = rng.choice(ASKS[kind]).format(asked.text)
    return Request(kind, user(f"{text} {asked.question}"), asked.answer, asked.answer != UNKNOWN)


def later(asked: Asked, split: str, rng: random.Random) -> Request:
    """The text (a story by the assistant, or what the user tells), and in a later message the question.

    Half of the time something else is asked between the two; between a story and its question there is room for one
    more question only.
    """
    if asked.story:
        kind, first = "question", [story_request(asked.story, rng)]
    else:
        name = re.search(r"My name is (\w+)\.", asked.text)
        greeting = f"Hello, {name[1]}." if name else "I see."
        kind, first = "person", [Request("person", user(asked.text), greeting)]
    if rng.random() < 0.5:
        between = kind if asked.story else rng.choice((kind, "translate", "code"))
        if between == kind:
            question, answer = rng.choice(asked.others)
            first.append(Request(kind, user(question), answer))
        else:
            first += requests(1, between, rng.randrange(10**6), split)
    return after(first, Request(kind, user(asked.question), asked.answer, asked.answer != UNKNOWN))


def after(first: list[Request], last: Request) -> Request:
    """The last request with others, and their answers, before it."""
    return last._replace(messages=[m for request in first for m in request.dialogue] + last.messages)


def dialogue(story: Story, pool: list[Story], split: str, rng: random.Random) -> Request:
    """A request at the end of a dialogue: about what was said in it, or about something new."""
    form = rng.random()
    if form < 0.4:
        return later(about_story(story, pool, rng), split, rng)
    if form < 0.8:
        return later(about_person(split, rng), split, rng)
    kind = rng.choice(("story", "question", "translate", "code"))
    if kind == "story":
        last = story_request(story, rng)
    elif kind == "question":
        last = question_request(about_story(story, pool, rng), rng)
    else:
        (last,) = requests(1, kind, rng.randrange(10**6), split)
    return after([question_request(about_person(split, rng), rng)], last)
