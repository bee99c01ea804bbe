"""Requests to an assistant in Storyworld, each with a right answer, or none that could be known.

Things (a colour with an object) are divided among the splits, so that the test names some that
no story and no user of a training dialogue has; a sentence to translate may name them.
"""

from __future__ import annotations

import random
import re
from typing import NamedTuple

from .asking import (
    DRAWN,
    UNKNOWN,
    Asked,
    about_person,
    about_story,
    body,
    detail,
    ending,
    fill,
    trap,
    world_of,
)
from .document import documents
from .generator import SPLITS, Story, stories

REQUESTS = ("story", "question", "detail", "trap", "person", "translate", "code", "dialogue")

STARTS = ("Tell me a story about", "Write a story about", "I want to hear a story about", "Tell me about")
SUBJECTS = ("{hero} the {animal} and {a thing}", "{an animal} named {hero} and {a thing}")
SUBJECTS += ("{a thing} and {an animal}", "{an animal} and {a thing}")
ENDINGS = {
    "joy": ("Let it end in joy.", "I want a happy end.", "Somebody should be happy at the end."),
    "sorrow": ("Let it end in sorrow.", "I want a sad end.", "Somebody should be sad at the end."),
}
ASKS = {  # how the other kinds begin
    "question": ("{}", "Here is a story. {}", "Read this story. {}"),
    "translate": ("Say in Spanish: {}", "Translate into Spanish: {}"),
    "code": ("Write code: take x, {}.", "Take x, {}. Write the code."),
}


class Request(NamedTuple):
    """What a user asks of an assistant, at the end of a dialogue of one to five exchanges.

    kind: what the last message asks for: one of REQUESTS, but for "dialogue".
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

    "question" is about what happens in a story that the user tells, "person" about the user; each is known half of the
    time. A "detail", who or what there is in a story, always is; a "trap", a detail of what is not there, never.
    A "dialogue" has two to five exchanges, and ends with one of the other kinds, most often about what was said before.

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
        return [question_request(about_person(split, rng), kind, rng) for _ in range(n)]
    if kind in ("translate", "code"):
        made = documents(n, {"translate": "pair"}.get(kind, kind), seed, split)
        return [Request(kind, user(rng.choice(ASKS[kind]).format(d.source)), d.target) for d in made]
    pool = stories(n + DRAWN, rng.randrange(10**9), split, world_of(split))
    if kind == "story":
        return [story_request(story, rng) for story in pool[:n]]
    if kind == "dialogue":
        return [dialogue(story, pool, split, rng) for story in pool[:n]]
    ask = {
        "question": lambda story: about_story(story, pool, rng),
        "detail": lambda story: detail(story, rng),
        "trap": lambda story: trap(story, pool, split, rng),
    }[kind]
    return [question_request(ask(story), kind, rng) for story in pool[:n]]


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


def question_request(asked: Asked, kind: str, rng: random.Random) -> Request:
    """A text of the user's, and a question about it in the same message."""
    text = rng.choice(ASKS["question"] if asked.story else ("{}",)).format(asked.text)
    return Request(kind, user(f"{text} {asked.question}"), asked.answer, asked.answer != UNKNOWN)


def later(asked: Asked, split: str, rng: random.Random) -> Request:
    """The text, by the user or, where it is a story, by the assistant, and in a later message the question.

    Up to three more questions about it are asked between the two, or, of a person, something else.
    """
    others = rng.sample(asked.others, min(len(asked.others), rng.randint(0, 3)))
    if asked.story:
        kind, first = "question", [story_request(asked.story, rng)]
        if others and rng.random() < 0.7:  # rather the user's, with a question
            question, answer = others.pop()
            first = [question_request(asked._replace(question=question, answer=answer), kind, rng)]
    else:
        name = re.search(r"My name is (\w+)\.", asked.text)
        kind, greeting = "person", f"Hello, {name[1]}." if name else "I see."
        first = [Request(kind, user(asked.text), greeting)]
        if not others:
            first += requests(1, rng.choice(("translate", "code")), rng.randrange(10**6), split)
    first += [Request(kind, user(question), answer) for question, answer in others]
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
        last = question_request(about_story(story, pool, rng), "question", rng)
    else:
        (last,) = requests(1, kind, rng.randrange(10**6), split)
    return after([question_request(about_person(split, rng), "person", rng)], last)
