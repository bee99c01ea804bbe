"""Fixtures that several test files share: the built site, and a browser to read it in."""

import os
import shutil
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
os.environ["TEXTGEN_STRICT"] = "1"  # a figure off its record, or a wrong solution, fails in every kernel too
ON_CI = os.environ.get("CI", "").lower() in ("1", "true")
# A headless Chromium that calls home for nothing: what it asks for is what the page asked for.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def need(message: str) -> None:
    """Fail under CI, where everything must be there; elsewhere skip, and say so in pytest's summary."""
    pytest.fail(message, pytrace=False) if ON_CI else pytest.skip(message)


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the built site."""
    folder = ROOT / "_build/html"
    if not (folder / "index.html").exists():
        need("There is no built book in _build/html: run `make book` first.")
    return folder


@pytest.fixture(scope="session")
def browser():
    """Start Chromium: Debian's or the user's own, else the one that `playwright install chromium` left."""
    from playwright.sync_api import Error, sync_playwright

    own = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=own, args=QUIET)
        except Error as error:
            need(f"No browser; `playwright install chromium` brings one. {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()
