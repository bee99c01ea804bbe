"""TRL beside the course: one model, prompt, reward and number of texts. README.md says how, and what is compared.

python bench/rlhf/run.py --trl PYTHON --trl-ppo PYTHON            three seeds of each, into results.json
python bench/rlhf/run.py --trl PYTHON --trl-ppo PYTHON --tune     before that, a learning rate for each
python bench/rlhf/run.py --trl PYTHON --trl-ppo PYTHON --check    TRL's own figures held against the course's
"""

import json
import os
import statistics
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "experiments"), str(HERE.parent)]

import common
from rlhf_exact import LR
from rows import on

METHODS, BETA, TUNING_SEED, CLOSE = ("RLOO", "PPO", "DPO"), 0.5, 9, 1e-3
COLUMNS = ("seconds", "cpu_seconds", "texts", "reward", "kl", "kl_to_optimum")


def train(python: Path, job: dict) -> dict:
    """Train once in a process of its own, on one thread: what side.py prints last."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [str(python), str(HERE / "side.py"), json.dumps(job)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        what = f"{job['method']} by {job['side']} failed under {python}"
        raise SystemExit(f"{what}; its last words:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def part_of(record: dict, job: dict) -> dict:
    """The part of the record that belongs to a method by a side: "rates" that were tried, and "runs" by seed."""
    return record["methods"].setdefault(job["method"], {}).setdefault(job["side"], {"rates": {}, "runs": {}})


def wanted(record: dict, jobs: list[dict], tune: bool) -> Iterator[dict]:
    """Yield the jobs that the record lacks, each with its learning rate.

    To tune, that is half, once and twice the course's; else the one of them that came closest to the optimum.
    """
    for job in jobs:
        part, own = part_of(record, job), LR[job["method"]]
        if tune:
            rates = [rate for rate in (own / 2, own, own * 2) if str(rate) not in part["rates"]]
        else:
            best = job | {"rate": float(min(part["rates"], key=part["rates"].get, default=own))}
            held = part["runs"].get(str(job["seed"]), {}).get("job")
            rates = [] if held == best else [best["rate"]]
        yield from (job | {"rate": rate} for rate in rates)


def table(record: dict) -> str:
    """Where each side's curves end, the mean over seeds."""
    lines = [f"| | seeds | {' | '.join(COLUMNS)} |", "|" + " --- |" * (len(COLUMNS) + 2)]
    for method, sides in record["methods"].items():
        for side, part in sides.items():
            ends = [run["curve"][-1] for run in part["runs"].values()]
            means = [f"{statistics.mean(end[name] for end in ends):,.4g}" for name in COLUMNS if ends]
            lines += [f"| {method}, {side} | {len(ends)} | {' | '.join(means)} |"] if ends else []
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Train by both sides in turns, and write the record after each training."""
    options = ArgumentParser("python bench/rlhf/run.py", description=__doc__.split("\n")[0])
    options.add_argument("--trl", type=Path, help="a Python with TRL's current release, for RLOO and DPO")
    options.add_argument("--trl-ppo", type=Path, help="a Python with trl 1.12.0, the last with PPO")
    options.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--steps", type=int, default=60)
    options.add_argument("--texts", type=int, default=32, help="in each step")
    options.add_argument("--tune", action="store_true", help="try three learning rates by another seed")
    options.add_argument("--check", action="store_true", help="two steps of TRL; nothing is recorded")
    options.add_argument("--record", type=Path, default=HERE / "results.json", help="where the figures go")
    options.set_defaults(command="python bench/rlhf/run.py --trl PYTHON --trl-ppo PYTHON")
    a = options.parse_args(arguments)
    size = {"beta": BETA, "steps": a.steps, "texts": a.texts, "check": False}
    if a.check:
        a.seeds, size = 1, size | {"steps": 2, "texts": 8, "check": True}
    seeds = [TUNING_SEED] if a.tune else range(a.seeds)
    sides = ["TRL"] if a.check else ["the course", "TRL"]
    each = [{"method": m, "side": s, "seed": seed} | size for seed in seeds for m in a.methods for s in sides]
    pythons = {(m, "TRL"): a.trl_ppo if m == "PPO" else a.trl for m in METHODS}
    pythons |= {(m, "the course"): Path(sys.executable) for m in METHODS}
    each = [job for job in each if pythons[job["method"], job["side"]]]
    record = {"methods": {}} if a.check else common.load(a, "methods")
    for job in wanted(record, each, a.tune):
        found, part = train(pythons[job["method"], job["side"]], job), part_of(record, job)
        by, end = f"{job['method']} by {found['by']}", found["curve"][-1]
        if a.check:
            print(f"{by}: TRL's figures differ from the course's by {found['checked']}", flush=True)
            if max(found["checked"].values()) > CLOSE:
                raise SystemExit(f"They should agree within {CLOSE:g}: one side computes something else.")
            continue
        print(f"{by}, seed {job['seed']}, rate {job['rate']:g}: {end}", flush=True)
        if a.tune:
            part["rates"][str(job["rate"])] = end["kl_to_optimum"]
        else:
            about = {"job": job, "by": found["by"], "on": on(), "curve": found["curve"]}
            part["runs"][str(job["seed"])] = about
        common.save(a.record, record | {name: found[name] for name in ("prompt", "optimum")})
    if not a.check:
        print(table(record))


if __name__ == "__main__":
    main()
