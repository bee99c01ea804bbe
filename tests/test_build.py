"""`make book` on a tiny book: what is built again, what a failure leaves standing, and what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import REPOSITORY, ROOT, need
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

CHAPTER = "book/chapter.ipynb"
GLOSSARY = f"{REPOSITORY}/blob/main/book/glossary.md"


def write_chapter(root: Path, *cells: str, text: str = "", name: str = CHAPTER) -> None:
    """Write a page of the tiny book: a title, some text and these code cells."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    prose = new_markdown_cell(f"# Chapter\n\n{text}")
    nbformat.write(new_notebook(cells=[prose, *map(new_code_cell, cells)], metadata=kernel), root / name)


def build(root: Path) -> subprocess.CompletedProcess:
    """Run the build script of the tiny book, free of any flag that this process may carry."""
    environment = {name: value for name, value in os.environ.items() if name != "TEXTGEN_BOOK_BUILD"}
    command = [sys.executable, "tools/build.py"]
    return subprocess.run(
        command, cwd=root, env=environment, check=False, capture_output=True, text=True, timeout=300
    )


def page(root: Path, name: str = "chapter") -> str:
    """Return a published page."""
    return (root / f"_build/html/book/{name}.html").read_text()


def ran(result: subprocess.CompletedProcess) -> list[str]:
    """Return the pages that a build ran."""
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    said = re.search(r"^Executing (.*)$", result.stdout, re.MULTILINE)
    return said[1].split(", ") if said else []


def list_pages(root: Path, *names: str) -> None:
    """Write the tiny book's table of contents."""
    lines = [f"- file: book/{name}\n" for name in names]
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/glossary\nchapters:\n" + "".join(lines))


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """Build a book of two chapters and a glossary with the real settings, extension and styles."""
    root = tmp_path_factory.mktemp("tiny")
    for name in ("_config.yml", "pyproject.toml", "requirements.txt", "book/references.bib"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name in ("book/_ext", "book/_assets", "tools"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "book/textgen").mkdir()
    (root / "book/textgen/__init__.py").touch()
    (root / "book/textgen/numbers.py").write_text("NUMBER = 41\n")
    (root / "book/textgen/unused.py").write_text("NUMBER = 0\n")
    list_pages(root, "chapter", "other")
    (root / "book/glossary.md").write_text("# Glossary\n\n## Token\n\nA unit.\n")
    link = f"A [token]({GLOSSARY}#token)."
    cells = (
        "import os\nfrom textgen import numbers",
        "print('number', numbers.NUMBER, os.environ['TEXTGEN_BOOK_BUILD'])",
    )
    write_chapter(root, *cells, text=link)
    write_chapter(root, "print('no number')", name="book/other.ipynb")
    assert ran(build(root)) == ["other", "chapter"]
    return root


def test_the_extension_sets_the_static_flag_and_keeps_links_inside(book):
    assert "number 41 1" in page(book)
    assert 'href="glossary.html#token"' in page(book)
    assert GLOSSARY not in page(book)


def test_an_unchanged_book_is_quick_and_runs_nothing(book):
    before = os.times()
    result = build(book)
    after = os.times()
    assert ran(result) == []
    # Processor time: what the clock shows on a machine with nothing else to do.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 20
    assert "_build/html/index.html" in result.stdout


def test_a_changed_module_runs_the_pages_that_use_it(book):
    (book / "book/textgen/numbers.py").write_text("NUMBER = 42\n")
    assert ran(build(book)) == ["chapter"]
    assert "number 42 1" in page(book)
    assert "no number" in page(book, "other")
    (book / "book/textgen/unused.py").write_text("NUMBER = 1\n")
    assert ran(build(book)) == []


def test_another_version_of_a_library_runs_every_page(book):
    with open(book / "requirements.txt", "a") as file:
        file.write("# changed\n")
    for page in (book / "_build/work/_build/.jupyter_cache/executed").iterdir():
        shutil.rmtree(page)  # as a build leaves it that was killed while it dropped them
    assert ran(build(book)) == ["other", "chapter"]


def test_a_changed_style_sheet_reaches_the_site_without_running_anything(book):
    with open(book / "book/_assets/book.css", "a") as file:
        file.write("/* changed */\n")
    assert ran(build(book)) == []
    assert (book / "_build/html/_static/book.css").read_text().endswith("/* changed */\n")


def test_only_what_the_table_of_contents_lists_is_run(book):
    write_chapter(book, "1 / 0", name="book/my-own.ipynb")
    assert ran(build(book)) == []


def test_pages_that_come_move_and_go(book):
    write_chapter(book, "print('my own')", name="book/my-own.ipynb")
    (book / "book/other.ipynb").rename(book / "book/second.ipynb")
    list_pages(book, "chapter", "second", "my-own")
    assert ran(build(book)) == ["my-own"]
    assert "no number" in page(book, "second")
    (book / "book/my-own.ipynb").unlink()
    (book / "book/second.ipynb").unlink()
    list_pages(book, "chapter")
    assert ran(build(book)) == []
    (kept,) = (book / "_build/work/_build/.jupyter_cache/executed").iterdir()
    assert "number 42" in (kept / "base.ipynb").read_text()


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


def test_what_is_no_notebook_is_named(book):
    good = (book / CHAPTER).read_text()
    (book / CHAPTER).write_text("<<<<<<< HEAD\n" + good)
    result = build(book)
    assert result.returncode == 1
    assert result.stderr.startswith("book/chapter.ipynb cannot be read as a notebook: ")
    assert len(result.stderr.splitlines()) == 1
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


def run(root: Path, tool: str) -> subprocess.CompletedProcess:
    """Run one of the tiny book's tools."""
    command = [sys.executable, f"tools/{tool}.py"]
    return subprocess.run(command, cwd=root, check=False, capture_output=True, text=True, timeout=300)


def test_slides_come_with_the_book_where_npm_is_and_are_no_older_than_it(book):
    if not (ROOT / "node_modules/reveal.js").exists():
        need("reveal.js is not in node_modules: run `npm ci --ignore-scripts` first.")
    (book / "node_modules").symlink_to((ROOT / "node_modules").resolve())
    mine, words = book / "book/slides/mine.md", "See [mine](slides/mine.md).\n\n## Part\n\nWords."
    cell = 'from IPython.display import HTML\nHTML(\'<img alt="A line." src="data:,">\')'
    write_chapter(book, cell, text=words, name="book/01-one.ipynb")
    list_pages(book, "chapter", "01-one")
    mine.parent.mkdir()
    mine.write_text("# Mine\n\nWords.\n\n[guess](../01-one.ipynb#part)\n")
    result = build(book)
    assert result.returncode == 1 and not (book / "_build/html/slides").exists()
    said = "mine.md, slide 'Mine': the section #part of the page 01-one has no guess."
    assert said in result.stderr.splitlines()

    mine.write_text(mine.read_text().replace("guess", "figure"))
    assert ran(build(book)) == []
    decks = sorted(path.name for path in (book / "_build/html/slides").iterdir())
    assert decks == ["01-one.html", "mine.html"]
    assert re.findall(r"href=.\.\./slides/([\w.-]+)", page(book, "01-one")) == decks
    assert "../slides/" not in page(book)  # no chapter
    assert run(book, "slides").stdout.split() == [f"_build/slides/{name}" for name in decks]

    good = (book / "book/01-one.ipynb").read_text()
    write_chapter(book, cell, text=f"{words} More.", name="book/01-one.ipynb")
    said = "book/01-one.ipynb has changed since the book was built: run make book first.\n"
    assert run(book, "slides").stderr == said
    (book / "book/01-one.ipynb").write_text(good)
    (book / "book/textgen/unused.py").write_text("NUMBER = 2\n")
    said = (
        "The package, the tools or the settings have changed since the book was built: run make book first.\n"
    )
    assert run(book, "slides").stderr == said

    (book / "node_modules").unlink()
    result = build(book)
    assert ran(result) == [] and "no slides are made" in result.stdout
    assert not (book / "_build/html/slides").exists() and "../slides/" not in page(book, "01-one")
    assert "See mine." in page(book, "01-one")
    assert "built without npm's reveal.js" in run(book, "slides").stderr


def test_the_npm_lock_names_no_registry():
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()


def test_a_kernel_that_dies_takes_no_other_page_along(book):
    list_pages(book, "chapter", "dies", "lives")
    write_chapter(book, "import os\nos._exit(1)", name="book/dies.ipynb")
    write_chapter(book, "print('it lives')", name="book/lives.ipynb")
    command = [sys.executable, "tools/build.py", "execute"]
    done = subprocess.run(command, cwd=book, capture_output=True, text=True, timeout=300, check=False)
    assert ran(done)[0] == "lives"
    kept = [one.read_text() for one in book.glob("_build/work/_build/.jupyter_cache/executed/*/base.ipynb")]
    assert any("it lives" in text for text in kept) and not any("_exit" in text for text in kept)


def test_nbval_holds_what_was_saved_to_the_run_that_the_build_kept(book):
    def write(code, saved):
        write_chapter(book, code)
        nb = nbformat.read(book / CHAPTER, as_version=4)
        output = new_output("stream", text=saved)
        nb.cells[1].update(metadata={"tags": ["nbval-check-output"]}, execution_count=1, outputs=[output])
        nbformat.write(nb, book / CHAPTER)

    def nbval(code, saved):
        write(code, saved)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "replay", "--nbval-lax", CHAPTER]
        environment = {**os.environ, "PYTHONPATH": "tools"}
        return subprocess.run(
            command, cwd=book, env=environment, check=False, capture_output=True, text=True, timeout=300
        )

    list_pages(book, "chapter")
    code = "open('runs', 'a').write('x')\nprint('count: 4')"
    write(code, "count: 4\n")
    assert ran(build(book)) == ["chapter"]
    fine = nbval(code, "count: 4\n")
    assert fine.returncode == 0 and "1 passed" in fine.stdout, fine.stdout
    assert (book / "book/runs").read_text() == "x"
    wrong = nbval(code, "count: 5\n")
    assert wrong.returncode == 1 and "count: 4" in wrong.stdout and "count: 5" in wrong.stdout
    changed = nbval(f"{code}  # changed", "count: 4\n")
    assert changed.returncode == 1 and "run `make book` first" in changed.stdout
