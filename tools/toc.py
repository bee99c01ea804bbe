"""The notebooks of the book: those that _toc.yml lists, and no others.

A reader's own notebooks lie in book/ too; nothing here runs them or judges them. `python tools/toc.py` prints the
book's, a path a line, the last first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import yaml
from project import ROOT


def listed(entry: dict | list | str) -> Iterator[str]:
    """Yield the pages that a part of _toc.yml names, in its order."""
    if isinstance(entry, dict):
        for key, value in entry.items():
            if key in ("root", "file"):
                yield value
            else:
                yield from listed(value)
    elif isinstance(entry, list):
        for one in entry:
            yield from listed(one)


def notebooks(root: Path = ROOT, only: str = "") -> list[Path]:
    """Return the notebooks of the book at `root` whose names begin with `only`, in the book's order.

    Raises ValueError where there is none.
    """
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    paths = [
        (root / page).with_name(Path(page).name.removesuffix(".ipynb") + ".ipynb") for page in listed(toc)
    ]
    found = [path for path in paths if path.is_file() and path.name.startswith(only)]
    if not found and only:
        raise ValueError(
            f"No notebook in _toc.yml begins with {only!r}: list it there first, or name another."
        )
    return found


if __name__ == "__main__":
    for path in reversed(
        notebooks(only=os.environ.get("ONLY", ""))
    ):  # the later ones take longest, so they go first
        print(path.relative_to(ROOT))
