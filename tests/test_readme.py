"""What the README promises is so: its chapters exist, its links fit, and its example runs."""

import json
import os
import re
import subprocess
import sys
import tomllib

import nbformat
import pytest
import textgen
import torch
from conftest import ROOT
from execute import setup_cell
from textgen.optimizers import make_optimizers
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


def test_the_table_of_what_a_training_takes_follows_from_the_measured_rows(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "bench")
    import gpu

    measured = json.loads((ROOT / "bench/gpu.json").read_text())
    rate = 1e12 * measured["large"]["matrix rate, TFLOP per second"]
    made = json.loads((ROOT / "book/textgen/weights/pocket-gpt/figures.json").read_text())
    shapes = {
        "pocket-gpt": {"n_layer": 4, "n_embd": 128, "vocab_size": 1024, "block_size": 256},
        "GPT-2": {"n_layer": 12, "n_embd": 768, "vocab_size": 50257, "block_size": 1024},
        "GPT-2 XL": {"n_layer": 48, "n_embd": 1600, "vocab_size": 50257, "block_size": 1024},
    }
    small = measured["speed"]["fit, tokens per second"] * gpu.operations(**shapes["pocket-gpt"]) / rate
    large = measured["large"]["compiled"]["share of the rate"]
    assert f"measured: {small:.1%} for pocket-gpt (which took {made['seconds'] / 60:.1f} minutes" in README
    assert f"{large:.0%}\nfor GPT-2, compiled, which" in README
    units = {
        "MB": 1e6,
        "GB": 1e9,
        "minutes": 60,
        "hours": 3600,
        "days": 86_400,
        "million": 1e6,
        "billion": 1e9,
    }
    for name, shape in shapes.items():
        each = gpu.operations(**shape)
        parameters = (each - 12 * shape["n_layer"] * shape["n_embd"] * shape["block_size"]) / 6
        tokens = made["tokens"] if name == "pocket-gpt" else 20 * parameters
        seconds = each * tokens / rate / (small if name == "pocket-gpt" else large)
        true = [parameters, tokens, each * tokens, 16 * parameters, seconds, seconds / 16]
        (row,) = re.findall(rf"^\| {name} \| (.*) \|$", README, re.MULTILINE)[-1:]
        for told, value in zip(row.split("|"), true, strict=True):
            number, *unit = told.replace(",", "").split() or [value]
            assert float(number) * units.get("".join(unit), 1) == pytest.approx(value, rel=0.05), (name, told)


def test_sixteen_bytes_a_parameter_are_what_adamw_holds():
    model = textgen.GPT(textgen.GPTConfig(vocab_size=64, block_size=8, n_layer=1, n_embd=32))
    (optimizer,) = make_optimizers(model, 0.01, 0.1, torch.device("cpu"), 0.0)
    model(torch.zeros(1, 8, dtype=torch.long), torch.zeros(1, 8, dtype=torch.long))[1].backward()
    optimizer.step()
    held = [*model.parameters(), *(p.grad for p in model.parameters())]
    held += [one for state in optimizer.state.values() for one in state.values() if one.dim()]
    assert sum(one.numel() * one.element_size() for one in held) == 16 * model.num_parameters()
