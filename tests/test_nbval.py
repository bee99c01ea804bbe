"""nbval, as `make test` calls it, sees what it must: a figure that is no longer true, and a solution that fails."""

import json
import re
import subprocess
import sys

import execute
import nbformat
import pytest
from conftest import ROOT
from rules import CHECKED, tags

pytestmark = pytest.mark.usefixtures("textgen_in_kernels")


def nbval(path):
    options = ["--nbval-lax", "--nbval-current-env", f"--nbval-sanitize-with={ROOT / 'tests/sanitize.cfg'}"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *options,
        f"--rootdir={path.parent}",
        path,
    ]
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("strict", ["1", "0"], ids=["a strict kernel", "a reader's kernel"])
def test_nbval_passes_what_was_saved_and_sees_what_does_not_hold(sample, strict, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTGEN_STRICT", strict)
    nb = nbformat.read(sample, as_version=4)
    path = tmp_path / sample.name

    def slip(number, old, new):
        cell = json.dumps(nb.cells[number])
        assert cell.count(old) == 1
        nb.cells[number] = nbformat.from_dict(json.loads(cell.replace(old, new)))

    slip(4, ": 0.25 (", ": 0.251 (")  # as another machine has it
    nbformat.write(nb, path)
    fine = nbval(path)
    assert fine.returncode == 0, fine.stdout
    slip(5, "record: 1.25", "record: 1.26")
    slip(6, "agree within", "differ by more than")
    slip(7, "within 0.01", "within 0.02")
    slip(8, "count: 4", "length: 4")
    slip(9, "5.25, 5.25", "5.3, 5.25")  # this run is off its record
    slip(12, "np.exp(-abs(z)), 1)", "1, 1)")
    nbformat.write(nb, path)
    wrong = nbval(path)
    assert wrong.returncode == 1 and "6 failed" in wrong.stdout, wrong.stdout
    assert "record: 1.26" in wrong.stdout and "differ by more than" in wrong.stdout
    assert ("Diagnosis" in wrong.stdout) == (strict == "1")


def test_nbval_sees_a_corrupted_figure_of_a_real_chapter(tmp_path, monkeypatch):
    """A chapter up to its first checked figure, whose record is changed as a slip of the hand would."""
    nb = nbformat.read(ROOT / "book/01-logistic-regression.ipynb", as_version=4)
    first = next(i for i, cell in enumerate(nb.cells) if CHECKED in tags(cell) and "figure(" in cell.source)
    nb.cells = nb.cells[: first + 1]
    path = tmp_path / "01-logistic-regression.ipynb"
    nbformat.write(nb, path)
    execute.run(path)
    run = nbval(path)
    assert run.returncode == 0, run.stdout
    nb = nbformat.read(path, as_version=4)
    output = nb.cells[first].outputs[-1]
    output.text, slips = re.subn(
        r"\d(?=; they agree)", lambda digit: str((int(digit[0]) + 1) % 10), output.text
    )
    assert slips
    nbformat.write(nb, path)
    for strict in ("1", "0"):
        monkeypatch.setenv("TEXTGEN_STRICT", strict)
        run = nbval(path)
        assert run.returncode == 1 and "; they agree within" in run.stdout, run.stdout


def masks():
    """Return the sanitiser's patterns as nbval reads them."""
    text = (ROOT / "tests/sanitize.cfg").read_text()
    return re.findall(r"^regex: (.*)$\n^replace: (.*)$", text, re.MULTILINE)


def sanitise(text):
    for pattern, replacement in masks():
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<Thing at 0x7f1c2a3b4d50>", "<Thing at 0x7f00deadbeef>"),
        ("took 1.25 s", "took 0.9 s"),
        ("took 1.25s", "took 13.0s"),
        ("in 12 seconds", "in 1,240 seconds"),
        ("1,204 tokens per second", "980 tokens per second"),
        ('{"seconds": 0.123}', '{"seconds": 4.0}'),
        ('{"computation time": 0.123}', '{"computation time": 4.0}'),
        ("bertviz-" + "0f" * 16, "bertviz-" + "a1" * 16),
    ],
)
def test_addresses_timings_and_ids_are_masked(one, other):
    assert sanitise(one) == sanitise(other)


VALUES = ["0.213", "957,184", "1,024.5", "-0.5", "7", "1e-05", "-2.5e-12", "1e+16", "nan"]


@pytest.mark.parametrize("value", VALUES)
def test_of_a_figure_this_runs_value_alone_is_masked(value):
    def line(value="1", record="0.21", within="0.01"):
        return f"a first line\nAda: 3: loss: {value} (on record: {record}; they agree within {within})\nb: 1"

    assert sanitise(line(value)) == line("VALUE")
    assert sanitise(line(value, record=value, within=value)) == line("VALUE", value, value)
    count = f"weights: {value} (on record: {value}; they agree)\n"
    assert sanitise(2 * count) == 2 * count.replace(value, "VALUE", 1)


@pytest.mark.parametrize(
    "text",
    [
        "GPT, bits per character: 0.213 (on record: 0.21; they differ by more than 0.001)",
        "Ada: 7 (on record: 8)",
        "Ada: seven (on record: 7; they agree within 1)",
        "Ada: 7 (on record: 7; they agree within 1), and Bo: 8",
        "More data helps: true in this run",
        "loss 1.386, accuracy 97.5%, 12 of 100 stories",
        "Ada is 7. 3 seeds, 2 students, 5 stones; in the 1990s",
        "tensor([0.25, 0.75]) 1e-05 0x41 (3, 4)",
        '{"text": "Once", "temperature": 0.8, "tokens": 60}',
        "128 tokens, 1,024 words, 60 characters",
    ],
)
def test_nothing_else_is_masked(text):
    assert sanitise(text) == text
