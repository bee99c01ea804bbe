"""A row of the record: two sides that were measured in turns, what became of it since the last run, and the machine."""

import os
import platform
import statistics
from collections.abc import Iterator
from pathlib import Path

import torch

WORSE = 1.25  # a pair whose share of the peer's time grew by more than this is shown


def on() -> str:
    """Return the kind of processor that this is, and the versions that decide how fast it is."""
    import transformers

    path, kind = Path("/proc/cpuinfo"), platform.processor() or platform.machine()
    named = [line for line in path.read_text().splitlines() if "model name" in line] if path.exists() else []
    kind = named[0].split(":")[1].strip() if named else kind
    versions = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
    return f"{kind}, {os.cpu_count()} cores, {versions}"


def row(unit: str, ours: list[float], theirs: list[float], **more) -> dict:
    """Return a pair as the record has it: what each round measured, in `unit`, and how many times as fast ours is.

    The unit is "tokens per second", or "seconds": then a round of ours that did not arrive is None.
    """
    quick = unit != "seconds"
    each = [(a / b if quick else b / a) if a else 0.0 for a, b in zip(ours, theirs, strict=True)]
    figures = {
        name: [one and round(one, 2) for one in some] for name, some in (("ours", ours), ("theirs", theirs))
    }
    spread = [round(min(each), 3), round(max(each), 3)]
    return {"unit": unit, **figures, "ratio": round(statistics.median(each), 3), "spread": spread, **more}


def line(name: str, pair: dict) -> str:
    """Return what a run says of a pair: the ratio, its spread, and the share of the peer's time."""
    if not pair["ratio"]:
        return f"{name}: not reached"
    low, high = pair["spread"]
    share = f"{1 / pair['ratio']:.2f} of the time"
    return f"{name}: {pair['ratio']:.2f} times as fast ({low:.2f} to {high:.2f}), {share}"


def kept(before: dict, now: dict, parts: list[str]) -> Iterator[str]:
    """Yield a sentence for each pair of these parts that is still the record's, and what measuring it needs."""
    for name, pair in now.items():
        if pair["part"] in parts and pair is before.get(name):
            needs = " and --text FILE" if pair["part"] == "loss" else ""
            yield f"{name}: kept from the record; measuring it needs --nanogpt PATH{needs}"


def regressions(before: dict, now: dict) -> Iterator[str]:
    """Yield a sentence for each pair that takes over a quarter more of its peer's time than on record."""
    for name, pair in now.items():
        old = before.get(name, pair)
        if pair["ratio"] * WORSE < old["ratio"]:
            where = "" if old["on"] == pair["on"] else f"; the record is of another machine, {old['on']}"
            times = f"{pair['ratio']:.2f} times as fast now, {old['ratio']:.2f} on record{where}"
            yield f"OVER 25% WORSE: {name}: {times}"
