"""A world: the grammar with the settings that later chapters change."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

from .grammar import Entry, Grammar, Odds, load, odds, parse_entry


@dataclass(frozen=True)
class World:
    """A version of Storyworld. Worlds are equal when their settings are and they share one Grammar object.

    bias: how strongly jobs lean towards a pronoun. P(she | job) is (1 + bias) / 2 for the first half of the
        jobs and (1 - bias) / 2 for the second; 0 is a fair world, 1 a fully divided one.
    pairs: the (colour, object) pairs that things may have; None for all. Two worlds with complementary
        pairs give a training set and a test of held-out combinations.
    classes: words that replace a class of the grammar, such as (("name", ("Ula/she", "Bo/he")),).
    grammar: the grammar itself.
    """

    bias: float = 0.0
    pairs: frozenset[tuple[str, str]] | None = None
    classes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    grammar: Grammar = field(default_factory=load, repr=False)

    def __post_init__(self):
        """Refuse a bias outside 0 to 1, and pairs that leave no thing."""
        if not 0 <= self.bias <= 1:
            raise ValueError(f"bias must lie between 0 (fair) and 1 (divided); got {self.bias}.")
        if not self.entries["thing"]:
            raise ValueError(
                "pairs must hold at least one (colour, object) pair of the grammar; it holds none."
            )

    @cached_property
    def entries(self) -> dict[str, list[Entry]]:
        """The words of each class; a thing is a colour with an object."""
        entries = self.grammar.classes | {k: [parse_entry(w) for w in words] for k, words in self.classes}
        things = [(c["text"], o["text"]) for c, o in product(entries["colour"], entries["object"])]
        entries["thing"] = [
            Entry(text=f"{colour} {noun}", colour=colour, noun=noun)
            for colour, noun in things
            if self.pairs is None or (colour, noun) in self.pairs
        ]
        return entries

    @cached_property
    def _options(self) -> dict:
        return {}

    def leans(self, kind: str, n: int) -> list[float]:
        """How far each of the `n` entries of a class leans towards she, from -1 to 1, where a rule lets it lean."""
        return [self.bias if 2 * i < n else -self.bias for i in range(n)]

    def options(
        self, kind: str, taken: tuple[str, ...] = (), pronoun: str | None = None
    ) -> tuple[list[Entry], Odds]:
        """What a draw can give, with the odds: the entries of a class except those whose key is taken.

        The key of a thing is its noun, so that "the kite" is never in doubt; that of other entries is their text.
        """
        found = self._options.get((kind, taken, pronoun))
        if not found:
            entries = self.entries[kind]
            side = {"she": 1, "he": -1}.get(pronoun, 0)
            weights = [1 + side * lean for lean in self.leans(kind, len(entries))]
            kept = [(e, w) for e, w in zip(entries, weights, strict=True) if w > 0 and key(e) not in taken]
            found = self._options[kind, taken, pronoun] = (
                [e for e, _ in kept],
                odds(tuple(w for _, w in kept)),
            )
        return found


def key(entry: Entry) -> str:
    """What makes two entries differ."""
    return entry.get("noun") or entry["text"]
