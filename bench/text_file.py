"""What a text costs to read, by its length: seconds and peak memory of `corpus.text_file` with each tokenizer.

    python bench/text_file.py                                  1, 5, 20 and 100 MB: a quarter of an hour
    python bench/text_file.py --megabytes 1 5 --tokenizers char
    python bench/text_file.py --kinds word                     one word as long as the text, instead of stories

Each reading has a process of its own. A table comes first, then the same as JSON.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "book")]

import cost
from rows import on
from textgen import storyworld

MILLION = 1_000_000


def stories() -> str:
    """A million characters of stories; a longer text repeats them, which makes no difference to what it costs."""
    return "\n\n".join(story.text for story in storyworld.stories(5000))[:MILLION]


def word() -> str:
    """A million letters without a space."""
    return "".join(random.Random(0).choices("acgt", k=MILLION))


KINDS = {"stories": stories, "word": word}


def measure(kind: str, megabytes: list[float], tokenizers: list[str]) -> list[dict]:
    """Read texts of these lengths with these tokenizers."""
    found, some = [], KINDS[kind]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        for size in megabytes:
            characters = round(size * MILLION)
            path.write_text((some * -(-characters // MILLION))[:characters], encoding="utf-8")
            found += [
                {"kind": kind, "tokenizer": tokenizer} | cost.measure(text=str(path), tokenizer=tokenizer)
                for tokenizer in tokenizers
            ]
    return found


def table(found: list[dict]) -> str:
    """The readings as lines, with the bytes of memory that each character took."""
    head = ("text", "tokenizer", "MB", "seconds", "memory, MB", "bytes a character")
    lines = [f"{head[0]:<8} {head[1]:<9} {head[2]:>6} {head[3]:>8} {head[4]:>11} {head[5]:>18}"]
    for one in found:
        size, memory = one["characters"], one["megabytes"]
        figures = f"{size / MILLION:6g} {one['seconds']:8.1f} {memory:11.1f} {memory * MILLION / size:18.1f}"
        lines.append(f"{one['kind']:<8} {one['tokenizer']:<9} {figures}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure what is asked for and print it."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument(
        "--megabytes", type=float, nargs="+", default=[1, 5, 20, 100], help="lengths of text"
    )
    options.add_argument("--tokenizers", nargs="+", default=["char", "word", "bpe"], help="how they are cut")
    options.add_argument("--kinds", nargs="+", default=["stories"], choices=KINDS, help="of text")
    a = options.parse_args(arguments)
    found = [one for kind in a.kinds for one in measure(kind, a.megabytes, a.tokenizers)]
    print("", table(found), "", json.dumps({"on": on(), "text_file": found}), sep="\n")


if __name__ == "__main__":
    main()
