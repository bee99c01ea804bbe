"""The rules on a small chapter: it keeps them all, and each way of breaking one is seen."""

import json
import subprocess
import sys

import execute
import nbformat
import pytest
from conftest import ROOT
from rules import GOALS, faults


def test_the_small_chapter_keeps_every_rule(sample):
    assert faults(sample) == []


def cut(nb, *numbers):
    nb.cells = [cell for i, cell in enumerate(nb.cells) if i not in numbers]


def json_with(output, old, new):
    return nbformat.from_dict(json.loads(json.dumps(output).replace(json.dumps(old)[1:-1], new)))


def move_count(nb):
    nb.cells[4].execution_count, nb.cells[5].execution_count = 3, 2


BREAKS = {
    "begin with the title": lambda nb: nb.cells[0].update(source="A chapter\n\nYou count."),
    "one sentence": lambda nb: nb.cells[0].update(source="# A chapter\n\nYou count. You see."),
    "what the page promises": lambda nb: nb.cells[0].update(source="# A chapter"),
    GOALS: lambda nb: cut(nb, 1),
    "setup cell": lambda nb: nb.cells[2].update(source=nb.cells[2].source + "\nimport torch"),
    "a MyST role": lambda nb: nb.cells[1].update(source=f"## {GOALS}\n\nsee {{cite}}`brown2020`"),
    "a MyST directive": lambda nb: nb.cells[1].update(source=f"## {GOALS}\n\n```{{note}}\nx\n```"),
    "a picture without alt text": lambda nb: nb.cells[1].update(source=f"## {GOALS}\n\n![](line.png)"),
    "21 lines of code": lambda nb: nb.cells[3].update(source="\n\n# why\n".join(["x = 1"] * 21)),
    "a line of 89 characters": lambda nb: nb.cells[3].update(source="x = " + "1" * 85),
    "in the book alone": lambda nb: nb.cells[3].metadata.update(tags=["hide-input"]),
    "uses ipywidgets": lambda nb: nb.cells[3].update(source="from ipywidgets import interact"),
    "raised ValueError": lambda nb: nb.cells[3].outputs.append(
        nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])
    ),
    "what cannot be shown later": lambda nb: nb.cells[10].outputs[0].data.update({execute.WIDGET: {}}),
    "a bare picture": lambda nb: nb.cells[10].outputs[0].data.update({"image/png": "aaaa"}),
    "shows a picture without": lambda nb: nb.cells[10].outputs[0].data.update({"text/html": "<img src=''>"}),
    "a path of the machine": lambda nb: nb.cells[4].outputs[0].update(text="in /home/ada/book"),
    "agrees with 0.25": lambda nb: (
        nb.cells[4].outputs[0].update(text="count: 0.27 (on record: 0.25; they agree within 0.01)\n")
    ),
    "nbval checks nothing": lambda nb: nb.cells[4].update(outputs=[]),
    "pixels differ": lambda nb: nb.cells[4].outputs.append(
        nbformat.v4.new_output(
            "display_data", data={"text/html": '<img alt="x" src="data:image/png;base64,aa">'}
        )
    ),
    "one alone, came true": lambda nb: nb.cells[17].update(
        outputs=[json_with(nb.cells[17].outputs[0], 'class="right"', "")]
    ),
    "two guesses": lambda nb: cut(nb, 18),
    "in order": move_count,
    "metadata holds more": lambda nb: nb.metadata.update(widgets={"state": {}}),
    "an id of its own": lambda nb: nb.cells[4].update(id=nb.cells[5].id),
    "500 are allowed": lambda nb: nb.cells[10].outputs[0].data.update({"text/plain": "x" * 500_000}),
    "a chapter needs 6": lambda nb: nb.cells[4].metadata.update(tags=[]),
    "three exercises": lambda nb: nb.cells[11].metadata.update(tags=[]),
    "one hint": lambda nb: nb.cells[11].update(outputs=[]),
    "must call its check": lambda nb: nb.cells[11].update(source="def sigmoid(z):\n    ..."),
    "followed by a solution": lambda nb: cut(nb, 12),
    "did not pass": lambda nb: (
        nb.cells[12].outputs[0].update(text="Not written yet. Hint: 1 / (1 + np.exp(-z))")
    ),
    "to be folded": lambda nb: nb.cells[12].metadata.pop("cellView"),
    "tries both": lambda nb: nb.cells[12].metadata.update(tags=["hide-cell"]),
}


@pytest.mark.filterwarnings("ignore:Non-unique cell id")
@pytest.mark.parametrize("said", BREAKS)
def test_a_broken_rule_is_seen(sample, said, tmp_path):
    nb = nbformat.read(sample, as_version=4)
    BREAKS[said](nb)
    path = tmp_path / sample.name
    path.write_text(json.dumps(nb))
    assert [fault for fault in faults(path) if said in fault], faults(path)


def rules(*notebooks):
    """Run tools/rules.py on these notebooks."""
    command = [sys.executable, ROOT / "tools/rules.py", *notebooks]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_prints_the_broken_rules_and_says_so_by_its_status(sample, tmp_path):
    fine = rules(sample)
    assert (fine.returncode, fine.stdout) == (0, "1 notebooks keep the rules.\n")
    nb = nbformat.read(sample, as_version=4)
    nb.cells[3].source = "from ipywidgets import interact"
    nb.metadata["widgets"] = {}
    broken, none, text = tmp_path / "09-broken.ipynb", tmp_path / "none.ipynb", tmp_path / "text.ipynb"
    broken.write_text(json.dumps(nb))
    text.write_text("not JSON")
    result = rules(sample, broken, none, text)
    assert result.returncode == 1 and result.stderr == ""
    one, two, three, four = result.stdout.splitlines()
    assert one.startswith("09-broken.ipynb: cell 3 uses ipywidgets")
    assert two.startswith("09-broken.ipynb: the notebook's metadata holds more")
    assert three.startswith("none.ipynb cannot be read as a notebook")
    assert four.startswith("text.ipynb cannot be read as a notebook")
