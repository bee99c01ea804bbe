"""nbval, as `make test` calls it, sees what it must: a figure that is no longer true, and a solution that fails."""

import re
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT
from rules import CHECKED, tags, text_of

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


def test_nbval_passes_what_was_saved_and_sees_a_corrupted_figure_and_a_broken_solution(
    sample, tmp_path, monkeypatch
):
    fine = nbval(sample)
    assert fine.returncode == 0, fine.stdout
    nb = nbformat.read(sample, as_version=4)
    output = nb.cells[6].outputs[0]
    output.text = output.text.replace("2.25", "2.26")
    nb.cells[12].source = nb.cells[12].source.replace("np.exp(-abs(z)), 1)", "1, 1)")
    path = tmp_path / sample.name
    nbformat.write(nb, path)
    wrong = nbval(path)
    assert wrong.returncode == 1 and "2 failed" in wrong.stdout, wrong.stdout
    assert "2.26" in wrong.stdout and "Diagnosis" in wrong.stdout


def test_nbval_sees_a_corrupted_figure_of_a_real_chapter(tmp_path):
    """A chapter up to its first checked figure, whose last digit is changed as a slip of the hand would."""
    path = ROOT / "book/01-logistic-regression.ipynb"
    nb = nbformat.read(path, as_version=4)
    first = next(
        i for i, cell in enumerate(nb.cells) if CHECKED in tags(cell) and re.search(r"\d", text_of(cell))
    )
    nb.cells = nb.cells[: first + 1]
    output = next(output for output in nb.cells[first].outputs if "text" in output)
    for corrupt, status in ((False, 0), (True, 1)):
        if corrupt:
            output.text = re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), output.text)
        nbformat.write(nb, tmp_path / path.name)
        run = nbval(tmp_path / path.name)
        assert run.returncode == status, run.stdout


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


@pytest.mark.parametrize(
    "text",
    [
        "GPT, bits per character: 0.213 (this run agrees within 0.01)",
        "loss 1.386, accuracy 97.5%, 12 of 100 stories",
        "Ada is 7. 3 seeds, 2 students, 5 stones; in the 1990s",
        "tensor([0.25, 0.75]) 1e-05 0x41 (3, 4)",
        '{"text": "Once", "temperature": 0.8, "tokens": 60}',
        "128 tokens, 1,024 words, 60 characters",
    ],
)
def test_nothing_else_is_masked(text):
    assert sanitise(text) == text
