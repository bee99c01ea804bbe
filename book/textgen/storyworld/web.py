"""What to keep out of a training set: a bad web crawl, noise, and a planted secret."""

from __future__ import annotations

import random

from .document import Document
from .generator import write
from .translation import pair


def canary(seed: int = 0) -> str:
    """A sentence with a secret of six digits, to plant in a training set and look for in a model (Carlini 2018)."""
    digits = " ".join(random.Random(f"canary {seed}").choices("0123456789", k=6))
    return f"The secret number of the castle is {digits}."


def noisy(text: str, rate: float, seed: int = 0) -> str:
    """The text with a share `rate` of its characters dropped, doubled or replaced by a letter, on average.

    Raises:
        ValueError: a rate outside 0 to 1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must lie between 0 and 1; got {rate}.")
    rng, out = random.Random(seed), []
    for character in text:
        damaged = ("", character * 2, rng.choice("abcdefghijklmnopqrstuvwxyz"))
        out.append(rng.choice(damaged) if rng.random() < rate else character)
    return "".join(out)


BOILERPLATE = [
    "Click here to accept all cookies and continue.", "Sign up for our newsletter today.", "All rights reserved.",
    "Home | About | Contact | Login", "Free shipping on orders over 50.", "Page 1 of 12. Next page.",
    "Share this on your favourite network.", "Your session has expired. Please log in again.",
    "Best prices guaranteed. Buy now.", "Error 404: the page was not found.", "Related articles you may like.",
    "Terms of service and privacy policy.", "Loading, please wait.", "You have 1 new message.",
]  # fmt: skip


def crawl(n: int, seed: int = 0) -> list[Document]:
    """`n` bad texts, as a web crawl finds them.

    kind says what is wrong: "shuffled" (words of a story out of order), "repeated" (a phrase over and over),
    "boilerplate" (menus and notices), "foreign" (Spanish sentences) or "noisy" (characters changed).
    """
    rng, made = random.Random(f"crawl {seed}"), []
    for story in write("story", n, seed + 10**6):
        kind = rng.choice(["shuffled", "repeated", "boilerplate", "foreign", "noisy"])
        words = story.text.split()
        if kind == "shuffled":
            rng.shuffle(words)
            text = " ".join(words)
        elif kind == "repeated":
            start, length = rng.randrange(len(words) - 8), rng.randint(2, 8)
            text = " ".join(words[start : start + length] * (60 // length))
        elif kind == "boilerplate":
            text = " ".join(rng.choices(BOILERPLATE, k=rng.randint(6, 12)))
        elif kind == "foreign":
            text = " ".join(pair(rng)[1].capitalize() for _ in range(rng.randint(5, 9)))
        else:
            text = noisy(story.text, rng.uniform(0.1, 0.3), rng.randrange(10**9))
        made.append(Document(kind, text, text, ""))
    return made
