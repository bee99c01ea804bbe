"""`bench/rlhf` at a tiny size, without TRL: the course's side, who trains when, and what stays on record."""

import json
import sys

import pytest
import torch
from conftest import ROOT

sys.path[:0] = [str(ROOT / "experiments"), str(ROOT / "bench"), str(ROOT / "bench/rlhf")]

import run
import side

# A stand-in for a Python with the course or with TRL: it says a curve's end, made from the job that came.
PEER = f"""#!{sys.executable}
import json, sys
job = json.loads(sys.argv[2])
end = {{name: 1.0 for name in {run.COLUMNS}}} | {{"kl_to_optimum": 5e-4 / job["rate"], "reward": job["seed"]}}
print("what a library prints")
print(json.dumps({{"prompt": "Once", "optimum": {{}}, "by": job["side"], "curve": [end], "checked": {{"kl": job["rate"]}}}}))
"""


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """Return a function that runs the bench with stand-ins on both sides: the record, and what was said."""
    peer, path = tmp_path / "peer", tmp_path / "results.json"
    peer.write_text(PEER)
    peer.chmod(0o755)
    monkeypatch.setattr(run.sys, "executable", str(peer))

    def call(*arguments, ppo=True):
        pythons = ["--trl", peer, *(["--trl-ppo", peer] if ppo else [])]
        run.main([*map(str, pythons), "--record", str(path), *arguments])
        return json.loads(path.read_text()) if path.exists() else None, capsys.readouterr().out

    return call


def trained(said):
    """Who trained, in order."""
    return [line.split(", rate")[0] for line in said.splitlines() if ", rate" in line]


def test_sides_train_in_turns_and_a_run_on_record_is_not_repeated(bench):
    record, said = bench("--seeds", "2", "--steps", "3", "--texts", "4", ppo=False)
    sides = ["RLOO by the course", "RLOO by TRL", "PPO by the course", "DPO by the course", "DPO by TRL"]
    assert trained(said) == [f"{name}, seed {seed}" for seed in (0, 1) for name in sides]
    assert list(record["methods"]["PPO"]) == ["the course"]
    ours = record["methods"]["RLOO"]["the course"]["runs"]
    assert ours["1"]["job"]["steps"] == 3 and ours["1"]["curve"][0]["reward"] == 1
    assert "| RLOO, TRL | 2 | 1 | 1 | 1 | 0.5 | 1 | 1.25 |" in said
    _, said = bench("--seeds", "2", "--steps", "3", "--texts", "4")
    assert trained(said) == ["PPO by TRL, seed 0", "PPO by TRL, seed 1"]


def test_each_side_trains_at_the_rate_that_did_best_for_it(bench):
    record, _ = bench("--tune", "--methods", "DPO")
    own = run.LR["DPO"]
    assert list(record["methods"]["DPO"]["TRL"]["rates"]) == [str(own / 2), str(own), str(own * 2)]
    record, _ = bench("--seeds", "1", "--methods", "DPO")
    assert record["methods"]["DPO"]["TRL"]["runs"]["0"]["job"]["rate"] == own * 2


def test_a_check_fails_where_the_figures_differ_and_leaves_no_record(bench, monkeypatch):
    record, said = bench("--check")
    assert record is None and "RLOO by TRL: TRL's figures differ from the course's by {'kl': 0.0004}" in said
    monkeypatch.setattr(run, "CLOSE", 1e-4)
    with pytest.raises(SystemExit, match="agree within 0.0001"):
        bench("--check")


def test_the_courses_side_learns_the_same_task_by_each_method(monkeypatch):
    few = [" Omar won.", " Theo won it.", ""]
    monkeypatch.setattr(side.rlhf_exact.storyworld, "endings", lambda prompt: few)
    world = side.rlhf_exact.Race(4)
    assert world.scores([[0], [1, 2]]).tolist() == world.rewards[[2, 3]].float().tolist()
    assert [len(pair) for pair in world.pairs(0, 3)] == [3] * 6
    # So short a run meets none of these endings: any other reward will do.
    world.scores = lambda rows: torch.tensor([float(len(row)) for row in rows])
    for method in run.METHODS:
        clock = side.Clock(world, 0.5, 2)
        side.course(method, clock, 4e-4, 0)
        assert [point["texts"] for point in clock.curve] == [0, 4, 8]
        assert clock.curve[0]["kl"] == clock.curve[0]["seconds"] == 0 < clock.curve[-1]["seconds"]
        assert (world.log_probs(clock.policy()) - world.log_reference).abs().max() > 1e-3
