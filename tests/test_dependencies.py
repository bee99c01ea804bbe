"""A page rests on what its cells reach, and on nothing else of the package."""

import json
import shutil

import pytest
import textgen
from conftest import ROOT
from dependencies import Package, read_notebook
from toc import notebooks


def write(path, *cells):
    """Write a notebook of these code cells."""
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": [cell]} for cell in cells]}))
    return path


@pytest.fixture
def rests_on(tmp_path):
    """Return a function that says which of the package's files these cells rest on."""
    package = Package(ROOT / "book/textgen")

    def files(*cells):
        found = package.rests_on(read_notebook(write(tmp_path / "page.ipynb", *cells)))
        return {file.relative_to(package.folder).as_posix() for file in found}

    return files


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the package, to change."""
    ignore = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(ROOT / "book/textgen", tmp_path / "textgen", ignore=ignore)


@pytest.fixture(scope="module")
def pages():
    """Return what each real page rests on."""
    package = Package(ROOT / "book/textgen")
    return {path.stem: {file.name for file in package.rests_on(read_notebook(path))} for path in notebooks()}


def test_real_pages_rest_on_what_they_use(pages):
    assert [page for page, files in pages.items() if "morse.py" in files] == ["03-sequences"]
    assert [page for page, files in pages.items() if "ch04_attention.py" in files] == ["04-attention"]
    assert {"01-logistic-regression", "05-gpt"} <= {p for p, files in pages.items() if "ladder.json" in files}
    assert not [page for page, files in pages.items() if "doctor.py" in files]
    assert "model.safetensors" in pages["playground"] and "train.py" not in pages["playground"]


def test_every_public_name_has_its_module(rests_on):
    for name in set(textgen._HOME) | set(textgen._MODULES):
        assert len(rests_on(f"import textgen\ntextgen.{name}")) > 1, name


@pytest.mark.parametrize(
    ("cell", "some"),
    [
        ("from textgen import check\ncheck.attention(f)", {"check/ch04_attention.py", "check/harness.py"}),
        ("from textgen import check as c\nc.attention(f)", {"check/ch04_attention.py"}),
        ("import textgen.check.ch04_attention", {"check/ch04_attention.py"}),
        ("def f():\n    from textgen.check import attention", {"check/ch04_attention.py"}),
        ("import textgen\ntextgen.check.attention(f)", {"check/ch04_attention.py"}),
        ("import textgen.plots as p", {"plots.py", "textgen.mplstyle"}),
        (
            "%matplotlib inline\nif 1:\n    !ls\n    from textgen import morse",
            {"morse.py", "storyworld/__init__.py"},
        ),
        ("import textgen\ntextgen.load('gpt2')", {"hub.py", "gpt.py", "files.py", "tokenizer.py"}),
        ("import textgen\ntextgen.results('ladder')", {"recorded.py", "results/ladder.json"}),
        ("import textgen\nname = 'ladder'\nopen(f'results/{name}.json')", {"results/ladder.json"}),
        ("open('results/ladder.json')", {"results/ladder.json"}),
        ("open('weights/pocket-gpt/figures.json')", {"weights/pocket-gpt/figures.json"}),
        (
            "import textgen\ntextgen.storyworld.stories(1)",
            {"storyworld/generator.py", "storyworld/grammar.txt"},
        ),
    ],
)
def test_what_a_cell_reaches(rests_on, cell, some):
    files = rests_on(cell)
    assert some <= files
    assert not {"doctor.py", "results/windows.json", "check/ch03_rnn_lstm.py"} & files


@pytest.mark.parametrize(
    "cell",
    [
        "import textgen\ngetattr(textgen, 'GP' + 'T')",
        "from textgen import *",
        "import textgen\nfor name in dir(textgen):\n    pass",
        "%%bash\necho $(ls",
    ],
)
def test_where_the_source_does_not_tell_it_is_the_whole_package(rests_on, cell):
    assert {"morse.py", "doctor.py", "check/ch03_rnn_lstm.py", "results/ladder.json"} <= rests_on(cell)


def test_a_folder_handed_on_whole_counts_whole(rests_on):
    files = rests_on("from textgen import check\nprint(vars(check))")
    assert {"check/ch01_logistic_regression.py", "check/ch05_gpt.py"} <= files and "train.py" not in files


def test_names_that_meet_in_one_page(rests_on):
    """`models` of another library does not hide textgen's."""
    both = "from textgen import models\nmodels.RNN", "from tokenizers import models\nmodels.BPE()"
    assert "models.py" in rests_on(*both) and "models.py" in rests_on(*both[::-1])


def test_a_change_shows_in_the_digest_of_the_pages_that_rest_on_it(copy, tmp_path):
    using = write(tmp_path / "using.ipynb", "from textgen import morse\nmorse.code('sos')")
    reading = write(tmp_path / "reading.ipynb", "import textgen\ntextgen.results('ladder')")
    other = tmp_path / "requirements.txt"
    other.write_text("torch==2.9\n")

    def digests():
        package = Package(copy)
        return package.digest(using, other), package.digest(reading, other)

    def changed_by(path):
        before = digests()
        with open(path, "a") as file:
            file.write("\n")
        return [one != two for one, two in zip(before, digests(), strict=True)]

    assert changed_by(copy / "morse.py") == [True, False]
    assert changed_by(copy / "storyworld/world.py") == [True, False]  # morse imports it
    assert changed_by(copy / "results/ladder.json") == [False, True]
    assert changed_by(copy / "results/windows.json") == [False, False]
    assert changed_by(copy / "doctor.py") == [False, False]
    (copy / "new.py").write_text("NEW = 1\n")
    assert changed_by(copy / "new.py") == [False, False]
    assert changed_by(other) == [True, True]


def test_a_module_that_is_being_written_stands_for_everything(copy, tmp_path):
    (copy / "morse.py").write_text("def morse(:\n")
    page = read_notebook(write(tmp_path / "page.ipynb", "from textgen import morse"))
    assert copy / "train.py" in Package(copy).rests_on(page)
