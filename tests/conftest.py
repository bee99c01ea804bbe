"""Fixtures that several test files share: the built site, a browser to read it in, and a small chapter."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from retarget import source_files

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
os.environ["TEXTGEN_STRICT"] = "1"  # a figure off its record, or a wrong solution, fails in every kernel too
ON_CI = os.environ.get("CI", "").lower() in ("1", "true")
PATIENCE = 120_000  # ms that a browser may take for anything: a busy machine is slow, not broken
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


def copy_checkout(folder: Path) -> Path:
    """Copy what git has of this checkout, or would have, into a folder, and make that a repository."""
    for path in source_files(ROOT):
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    git(folder, "init", "-q", "-b", "main")
    return folder


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder, whatever this machine's settings are."""
    settings = ["user.name=test", "user.email=test@localhost", "core.autocrlf=false"]
    command = ["git", *(word for one in settings for word in ("-c", one)), *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the built site."""
    folder = ROOT / "_build/html"
    if not (folder / "index.html").exists():
        need("There is no built book in _build/html: run `make book` first.")
    return folder


@pytest.fixture(scope="session")
def pages(site) -> list[str]:
    """Return every page of the site, as paths below its root."""
    found = [path.relative_to(site).as_posix() for path in sorted(site.glob("book/**/*.html"))]
    assert len(found) > 3
    return [*found, "search.html", "genindex.html"]


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


@pytest.fixture
def textgen_in_kernels(monkeypatch) -> None:
    """Kernels that start in a temporary folder find the package too."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "book"))


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    """Return a small chapter as `make notebooks` leaves it."""
    import execute
    import nbformat
    from small import chapter

    path = tmp_path_factory.mktemp("book") / "09-sample.ipynb"
    nbformat.write(chapter(), path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "book"))
        execute.run(path)
    return path


@pytest.fixture
def book(monkeypatch):
    """A build of the book, where controls are drawn for a page."""
    monkeypatch.setenv("TEXTGEN_BOOK_BUILD", "1")


@pytest.fixture
def notebook(monkeypatch):
    """A notebook with a kernel."""
    monkeypatch.delenv("TEXTGEN_BOOK_BUILD", raising=False)
