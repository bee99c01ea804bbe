"""What the README promises is so: its chapters exist, its links fit, and its example runs."""

import os
import re
import subprocess
import sys
import tomllib

import nbformat
import pytest
from conftest import ROOT
from execute import setup_cell
from toc import notebooks

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"```bash.*?```", README + CONTRIBUTING, re.DOTALL)
COMMANDS += re.findall(r"`[^`]+`", FENCE.sub("", README + CONTRIBUTING))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_links_within_the_repository_lead_somewhere():
    for page in (README, CONTRIBUTING):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page):
            assert (ROOT / target).exists(), target


def test_every_notebook_is_in_the_table_with_its_colab_link():
    repository = PROJECT["urls"]["Repository"].removeprefix("https://github.com/")
    for path in notebooks():
        assert f"](book/{path.name})" in README
        assert f"https://colab.research.google.com/github/{repository}/blob/main/book/{path.name}" in README


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_minutes_are_those_of_the_sections(path):
    """The README's and those under the title are the sum of the sections', within five; these hold their subsections'."""
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    total = 0
    for section in re.split(r"^(?=## )", prose, flags=re.MULTILINE)[1:]:
        whole, parts = (
            sum(map(int, re.findall(rf"^{level} .*\((\d+) minutes?\)", section, re.MULTILINE)))
            for level in ("##", "###")
        )
        assert parts <= whole, section.splitlines()[0]
        total += whole
    (told,) = re.findall(rf"\]\(book/{path.name}\).*?\| (\d+) minutes \|", README)
    assert abs(int(told) - total) <= 5
    assert re.findall(r"^About (\d+) minutes", prose, re.MULTILINE)[:1] in ([told], [])


def test_own_text_example_runs(tmp_path):
    (tmp_path / "my-text.txt").write_text("The cat sat on the mat. The dog ran to the cat. " * 60)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    quick = example.replace("steps=2000", "steps=2").replace("max_new_tokens=200", "max_new_tokens=5")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "book")}
    command = [sys.executable, "-c", quick]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("The ")


def test_one_version_everywhere():
    version = PROJECT["version"]
    package = (ROOT / "book/textgen/__init__.py").read_text()
    assert f'__version__ = "{version}"' in package
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    tags = re.findall(
        r"@v([\w.]+)", README + setup_cell() + "".join(path.read_text() for path in notebooks())
    )
    assert set(tags) == {version} and len(tags) == 2 + len(notebooks())


def test_every_notebook_has_its_card_on_the_welcome_page():
    cards = re.findall(r"^:link: (\S+)$", (ROOT / "book/index.md").read_text(), re.MULTILINE)
    pages = [path.stem for path in notebooks()]
    assert [card for card in cards if card in pages] == pages  # in the book's order


def named(page: str) -> list[str]:
    """Return the files and folders of the repository that a page names in code; a name with NN stands for any."""
    names = re.findall(r"`([\w./-]+)`", FENCE.sub("", page))
    return [name for name in names if re.search(r"^[\w.]\S*/|\.(py|md|txt|toml|yml|cff)$", name)]


@pytest.mark.parametrize("page", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_file_named_exists(page):
    names = named(page)
    assert len(names) > 1
    made = ("_build/", ".venv/")  # by make
    patterns = [re.sub(r"NN|name(?=\.)", "*", name) for name in names if not name.startswith(made)]
    assert [pattern for pattern in patterns if not any(ROOT.glob(pattern))] == []


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bmake (\w+)", "".join(COMMANDS)))))
def test_every_make_command_named_exists(command):
    run = subprocess.run(
        ["make", "-n", command, "REPO=a/b"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_every_command_that_an_author_runs_is_named():
    makefile = (ROOT / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.*) clean unusable$", makefile, re.MULTILINE)
    assert set(targets.split()) == set(re.findall(r"^\| `make (\w+)", CONTRIBUTING, re.MULTILINE))
