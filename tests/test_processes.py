"""Training in several processes and on several hosts, at a tiny scale, and the record of the real one."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "bench"))
import processes

TINY = {
    "steps": 8,
    "batch-size": 8,
    "documents": 64,
    "measure": 2,
    "n-layer": 1,
    "n-embd": 16,
    "vocab-size": 300,
}


def hosts() -> bool:
    """Say whether this machine lets us make network namespaces."""
    try:
        with processes.two_hosts():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def test_two_processes_train_what_one_does():
    """On two hosts where these can be made; a global batch is split between the processes, a document between none."""
    one, two = (processes.train(name, TINY) for name in ("one", "two hosts" if hosts() else "two"))
    assert list(one["valid"]) == [str(step) for step in range(9)]
    assert one["valid"]["8"] < one["valid"]["0"] - 0.05
    assert processes.difference(one, two) < 1e-4


def test_a_failed_process_is_told_and_leaves_none_behind(tmp_path):
    ends = [sys.executable, "-c", "import sys; sys.exit('No such text.')"]
    waits = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(RuntimeError, match="No such text"):
        processes.call(tmp_path, [waits, ends], until=float("inf"))


def test_the_record_agrees_and_the_readme_says_by_how_much():
    record = json.loads(processes.RECORD.read_text())
    assert record["settings"] == processes.FULL and record["runs"].keys() == processes.RUNS.keys()
    for name, (*_, killed) in processes.RUNS.items():
        run = record["runs"][name]
        assert run["difference"] == pytest.approx(processes.difference(record["runs"]["one"], run), abs=1e-5)
        if killed:
            assert 100 <= run["killed after"] < 200
    largest = max(run["difference"] for run in record["runs"].values())
    assert largest < 0.02
    assert f"within {largest:.1%} of one process's" in (ROOT / "README.md").read_text()
