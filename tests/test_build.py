"""`make book` on a tiny book: what is built again, what a failure leaves standing, and what it says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import REPOSITORY, ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CHAPTER = "book/chapter.ipynb"
GLOSSARY = f"{REPOSITORY}/blob/main/book/glossary.md"


def write_chapter(root: Path, *cells: str, text: str = "") -> None:
    """Write the tiny book's one chapter: a title, some text and these code cells."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    prose = new_markdown_cell(f"# Chapter\n\n{text}")
    nbformat.write(new_notebook(cells=[prose, *map(new_code_cell, cells)], metadata=kernel), root / CHAPTER)


def build(root: Path) -> subprocess.CompletedProcess:
    """Run the build script of the tiny book, free of any flag that this process may carry."""
    environment = {name: value for name, value in os.environ.items() if name != "TEXTGEN_BOOK_BUILD"}
    command = [sys.executable, "tools/build.py"]
    return subprocess.run(
        command, cwd=root, env=environment, check=False, capture_output=True, text=True, timeout=300
    )


def page(root: Path) -> str:
    """Return the published chapter."""
    return (root / "_build/html/book/chapter.html").read_text()


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """Build a book of one chapter and a glossary with the real settings, extension and styles."""
    root = tmp_path_factory.mktemp("tiny")
    for name in ("_config.yml", "pyproject.toml", "requirements.txt", "book/references.bib"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name in ("book/_ext", "book/_assets", "tools"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "book/textgen").mkdir()
    (root / "book/textgen/__init__.py").write_text("NUMBER = 41\n")
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/glossary\nchapters:\n- file: book/chapter\n")
    (root / "book/glossary.md").write_text("# Glossary\n\n## Token\n\nA unit.\n")
    link = f"A [token]({GLOSSARY}#token)."
    write_chapter(
        root,
        "import os, textgen",
        "print('number', textgen.NUMBER, os.environ['TEXTGEN_BOOK_BUILD'])",
        text=link,
    )
    result = build(root)
    assert result.returncode == 0, result.stdout + result.stderr
    return root


def test_the_extension_sets_the_static_flag_and_keeps_links_inside(book):
    assert "number 41 1" in page(book)
    assert 'href="glossary.html#token"' in page(book)
    assert GLOSSARY not in page(book)


def test_an_unchanged_book_is_quick_and_runs_nothing(book):
    before = os.times()
    result = build(book)
    after = os.times()
    assert result.returncode == 0
    # Processor time: what the clock shows on a machine with nothing else to do.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 20
    assert "Executing chapter" not in result.stdout
    assert "_build/html/index.html" in result.stdout


def test_a_change_in_the_package_runs_the_chapters_again(book):
    (book / "book/textgen/__init__.py").write_text("NUMBER = 42\n")
    result = build(book)
    assert result.returncode == 0
    assert "Executing chapter" in result.stdout
    assert "number 42 1" in page(book)


def test_a_changed_style_sheet_reaches_the_site_without_running_anything(book):
    with open(book / "book/_assets/book.css", "a") as file:
        file.write("/* changed */\n")
    result = build(book)
    assert "Executing chapter" not in result.stdout
    assert (book / "_build/html/_static/book.css").read_text().endswith("/* changed */\n")


def test_a_raising_cell_is_named_and_leaves_the_last_good_site(book):
    before, good = page(book), (book / CHAPTER).read_text()
    write_chapter(book, "x = 1", "\ny = x - 1\nprint(x / y)\n")
    result = build(book)
    assert result.returncode == 1
    said = "FAILED CELL book/chapter.ipynb, code cell 2: y = x - 1: ZeroDivisionError: division by zero"
    assert said in result.stderr.splitlines()
    assert "The last good site still stands" in result.stderr
    assert page(book) == before
    (book / CHAPTER).write_text(good)


def test_a_link_to_nowhere_fails_every_time(book):
    before, good = page(book), (book / CHAPTER).read_text()
    write_chapter(book, "x = 1", text=f"A [word]({GLOSSARY}#no-such-word).")
    for _ in range(2):  # the second time nothing has changed since the failure
        result = build(book)
        assert result.returncode == 1
        assert "no-such-word" in result.stdout
        assert page(book) == before
    (book / CHAPTER).write_text(good)


def test_an_old_python_is_refused_in_one_sentence(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    old = tmp_path / "old-python"
    code = "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[-1])"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$2"\n')
    old.chmod(0o755)
    command = ["make", "book", f"PYTHON={old}"]
    result = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode
    assert result.stderr.splitlines()[0].startswith("The book needs Python 3.11 or newer, and ")
    assert "is 3.9" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_npm_lock_names_no_registry():
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()
