"""Storyworld: a small world of stories whose true entropy is known."""

from .document import KINDS, Document, documents
from .generator import Mention, Story, entropy, stories
from .recogniser import Recognised, continuations, recognise
from .web import canary, crawl, noisy
from .world import World

__all__ = ["KINDS", "Document", "Mention", "Recognised", "Story", "World", "canary", "continuations", "crawl"]
__all__ += ["documents", "entropy", "noisy", "recognise", "stories"]
