"""Storyworld: a small world of stories whose true entropy is known."""

from .document import KINDS, Document, documents
from .generator import Mention, Story, entropy, stories
from .judge import fulfils, tales, unknown
from .recogniser import Recognised, continuations, endings, recognise
from .request import REQUESTS, Request, requests
from .taste import LIKES, Comparison, Like, Listener, comparisons
from .web import canary, crawl, noisy
from .world import World

__all__ = ["KINDS", "LIKES", "REQUESTS", "Comparison", "Document", "Like", "Listener", "Mention"]
__all__ += ["Recognised", "Request", "Story", "World", "canary", "comparisons", "continuations", "crawl"]
__all__ += [
    "documents",
    "endings",
    "entropy",
    "fulfils",
    "noisy",
    "recognise",
    "requests",
    "stories",
    "tales",
    "unknown",
]
