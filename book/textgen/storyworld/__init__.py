"""Storyworld: a small world of stories whose true entropy is known."""

from .document import KINDS, Document, documents
from .generator import Mention, Story, entropy, stories
from .recogniser import Recognised, continuations, endings, recognise
from .taste import LIKES, Comparison, Like, Listener, comparisons
from .web import canary, crawl, noisy
from .world import World

__all__ = ["KINDS", "LIKES", "Comparison", "Document", "Like", "Listener", "Mention", "Recognised"]
__all__ += ["Story", "World", "canary", "comparisons", "continuations", "crawl", "documents", "endings"]
__all__ += ["entropy", "noisy", "recognise", "stories"]
