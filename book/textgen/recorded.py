"""Figures from runs too long for a chapter: what `experiments/` measured, as JSON with the command that made it."""

import json
from pathlib import Path

from .files import read_parsed

RESULTS = Path(__file__).with_name("results")
WEIGHTS = Path(__file__).with_name("weights")


def results(name: str) -> dict:
    """The record called `name`: values with their spread, seeds, seconds and the command that made them.

    ``results("ladder")["rungs"]["GPT"]["bits_per_char"]``; ``results("pocket-gpt")`` has the figures of that model.
    Raises ValueError for a name that is not recorded, and for a record that is damaged.
    """
    there = {path.stem: path for path in sorted(RESULTS.glob("*.json"))}
    there |= {path.parent.name: path for path in sorted(WEIGHTS.glob("*/figures.json"))}
    if name not in there:
        raise ValueError(f"name must be one of {', '.join(there)}, not {name!r}.")
    return read_parsed(there[name], json.loads)
