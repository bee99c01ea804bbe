"""What the built book was made of: _build/stamps.json remembers, and `stale` says whether it is still so."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from project import ROOT

STAMPS = ROOT / "_build/stamps.json"

# What may show on any page: when one of these changed, Sphinx reads all pages again, and runs none.
FRAME = [
    "book/textgen",
    "book/_ext",
    "book/_assets",
    "book/slides",
    "tools",
    "requirements.txt",
    "_config.yml",
    "_toc.yml",
    "pyproject.toml",
    "package-lock.json",
]


def digest(names: list[str]) -> str:
    """Return the SHA-256 over the names and contents of these files and folders under ROOT."""
    total = hashlib.sha256()
    for name in names:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(
                    f"{file.relative_to(ROOT)}\0{file.stat().st_size}\0".encode() + file.read_bytes()
                )
    return total.hexdigest()


def frame() -> str:
    """Return the digest of what may show on any page, npm's files being there or not among it."""
    return digest(FRAME) + str((ROOT / "node_modules").exists())


def read_stamps() -> dict:
    """Return what the last build noted: the frame's digest, and the pages'; empty when there is none to trust."""
    try:
        return json.loads(STAMPS.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def write_stamps(stamps: dict) -> None:
    """Keep the digests for the next build."""
    STAMPS.parent.mkdir(exist_ok=True)
    STAMPS.write_text(json.dumps(stamps))


def stale(site: Path) -> str | None:
    """Return one sentence where the book at `site`, which holds a copy of each page's source, is older than these."""
    copies = (site / "_sources").rglob("*.*")
    for name in sorted(copy.relative_to(site / "_sources").as_posix() for copy in copies):
        source = ROOT / name
        if not source.is_file() or source.read_bytes() != (site / "_sources" / name).read_bytes():
            return f"{name} has changed since the book was built: run make book first."
    if read_stamps().get("frame") != frame():
        return "The package, the tools or the settings have changed since the book was built: run make book first."
    return None
