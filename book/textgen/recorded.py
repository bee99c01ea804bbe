"""Figures from runs too long for a chapter: what `experiments/` measured, as JSON with the command that made it."""

import json
from pathlib import Path

RESULTS = Path(__file__).with_name("results")


def results(name: str) -> dict:
    """The record called `name`: values with their spread, seeds, seconds and the command that made them.

    ``results("ladder")["rungs"]["GPT"]["bits_per_char"]``. Raises ValueError for a name that is not recorded.
    """
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(path.stem for path in RESULTS.glob("*.json")))
        raise ValueError(f"name must be one of {there}, not {name!r}.")
    return json.loads(path.read_text(encoding="utf-8"))
