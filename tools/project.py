"""What the project says about itself: its root, its address and its version, whose home is pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def project(root: Path = ROOT) -> dict:
    """Return the table `project` of pyproject.toml under `root`."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def repository(root: Path = ROOT) -> str:
    """Return "owner/name"."""
    return project(root)["urls"]["Repository"].split("github.com/")[1].strip("/")


def version(root: Path = ROOT) -> str:
    """Return the version, such as "1.2.3"; a release is tagged "v1.2.3"."""
    return project(root)["version"]
