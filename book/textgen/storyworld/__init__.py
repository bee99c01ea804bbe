"""Storyworld: a small world of stories whose true entropy is known."""

from .document import KINDS, Document, documents
from .generator import Mention, Story, entropy, stories
from .recogniser import Recognised, continuations, endings, recognise
from .taste import LIKES, Like, Listener
from .web import canary, crawl, noisy
from .world import World

__all__ = ["KINDS", "LIKES", "Document", "Like", "Listener", "Mention", "Recognised", "Story", "World"]
__all__ += ["canary", "continuations", "crawl", "documents", "endings", "entropy", "noisy"]
__all__ += ["recognise", "stories"]
