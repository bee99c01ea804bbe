"""Every experiment runs at a tiny scale, and the recorded results are what the chapters expect."""

import json
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "finetune": "--tasks translation --seeds 1 --steps 1 --examples 50 --test 10",
    "scaling": "--widths 8 --seeds 1 --steps 2 --stories 3000",
    "selection": "--seeds 1 --pages 2000 --tokens 4000 --test 10",
    "variants": "--rungs post-norm --seeds 2 --steps 3 --stories 3000 --test 20",
    "ladder": "--seeds 2 --steps 3 --stories 3000 --test 20",
    "translator": "--seeds 1 --steps 2 --pairs 3000 --test 20",
    "windows": "--windows 1 2 --seeds 2 --steps 3 --stories 3000 --test 20",
}


@pytest.mark.parametrize("name", TINY)
def test_an_experiment_runs(name, tmp_path, monkeypatch):
    """With its own command, on little data, into a record elsewhere."""
    path = ROOT / f"experiments/{name}.py"
    record = tmp_path / "record.json"
    monkeypatch.syspath_prepend(path.parent)  # where Python looks when it runs a script
    monkeypatch.setattr(sys, "argv", [str(path), *TINY[name].split(), "--record", str(record)])
    runpy.run_path(str(path), run_name="__main__")
    assert set(json.loads(record.read_text())) == set(json.loads(recorded(name).read_text()))


def test_every_record_has_its_experiment():
    """And the tiny run of it above."""
    assert {path.stem for path in (ROOT / "book/textgen/results").glob("*.json")} == set(TINY)


def recorded(name):
    """Where the full run's figures lie."""
    return ROOT / f"book/textgen/results/{name}.json"


def test_the_gpt_recalls_and_the_lstm_does_not():
    """The reason for attention: same size, same stories, same number of tokens, three seeds each."""
    rungs = json.loads(recorded("ladder").read_text())["rungs"]
    gpt, lstm = rungs["GPT"], rungs["LSTM"]
    assert abs(gpt["parameters"] - lstm["parameters"]) < 0.1 * gpt["parameters"]
    assert gpt["seeds"] == lstm["seeds"] == 3
    assert min(min(values) for values in gpt["recall"].values()) >= 0.8
    assert max(max(values) for values in lstm["recall"].values()) < 0.2
