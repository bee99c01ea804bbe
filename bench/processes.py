"""One training in one process, in two, and on two hosts: writes bench/processes.json, and says whether they agree.

    python bench/processes.py                   pocket-gpt's command, 200 steps: a quarter of an hour on two cores
    python bench/processes.py --only one two    some; the hosts are network namespaces, which take root's rights on Linux

Every run has the same global batch, so every run should have the same losses. One that is killed half-way and called
again should arrive at those that it would have had.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "experiments/pocket_gpt.py"
RECORD = ROOT / "bench/processes.json"
FULL = {"steps": 200, "batch-size": 16, "documents": 4000, "measure": 8}
RUNS = {  # processes, hosts, share of the steps after which all is killed
    "one": (1, 1, 0),
    "two": (2, 1, 0),
    "two, killed and called again": (2, 1, 0.5),
    "two hosts": (2, 2, 0),
    "two hosts, killed and called again": (2, 2, 0.5),
}


def launch(processes: int, hosts: int, rank: int, address: str) -> list[str]:
    """Return what starts a training on one of the hosts. Where there is no GPU --multi_gpu means processes on the CPU."""
    if processes == 1:
        return [sys.executable]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    command += ["--num_processes", str(processes), "--num_machines", str(hosts), "--machine_rank", str(rank)]
    command += ["--main_process_ip", address, "--main_process_port", "29511"]
    return [*command, "--mixed_precision", "no", "--dynamo_backend", "no"]


@contextmanager
def two_hosts():
    """Two network namespaces joined by a cable: yields what stands before a command on each, and the first's address."""
    pid = os.getpid()
    names, cables = [f"textgen-{pid}-{n}" for n in (0, 1)], [f"tg{pid}-{n}" for n in (0, 1)]

    def ip(words: str) -> None:
        subprocess.run(["ip", *words.split()], check=True, capture_output=True)

    try:
        for name in names:
            ip(f"netns add {name}")
        ip(f"link add {cables[0]} netns {names[0]} type veth peer name {cables[1]} netns {names[1]}")
        for n in (0, 1):
            ip(f"-n {names[n]} address add 10.77.0.{n + 1}/24 dev {cables[n]}")
            ip(f"-n {names[n]} link set {cables[n]} up")
            ip(f"-n {names[n]} link set lo up")
        # Else gloo takes the address that the host's name has, and both have the same name.
        before = [f"ip netns exec {names[n]} env GLOO_SOCKET_IFNAME={cables[n]}".split() for n in (0, 1)]
        yield before, "10.77.0.1"
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def history(folder: Path) -> dict:
    """Return the history in a run's checkpoint; empty where there is none yet."""
    path = folder / "run/checkpoint.safetensors"
    if not path.exists():
        return {"valid": []}
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["json"])["history"]


def kill(started: list[psutil.Popen]) -> None:
    """Kill the launchers and all that they started."""
    for one in started:
        if one.is_running():
            for process in [*one.children(recursive=True), one]:
                process.kill()


def call(folder: Path, commands: list[list[str]], until: float) -> None:
    """Run the commands side by side, one a host, until they end, or until so many steps are saved: then kill them."""
    started = []
    for n, command in enumerate(commands):
        with (folder / f"log-{n}").open("w") as log:
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            started.append(psutil.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
    try:
        while any(one.poll() is None for one in started):
            if any(step >= until for step, *_ in history(folder)["valid"]):
                return
            if any(one.poll() for one in started):
                break  # the others would wait for it
            time.sleep(0.1)
    finally:
        kill(started)
    if any(one.wait() for one in started):
        said = "\n".join((folder / f"log-{n}").read_text()[-2000:] for n in range(len(commands)))
        raise RuntimeError(f"A process of the training failed:\n{said}")


def train(name: str, settings: dict) -> dict:
    """Run the recipe in one of the ways of RUNS; return its held-out losses by step."""
    processes, hosts, killed = RUNS[name]
    place = two_hosts() if hosts == 2 else nullcontext(([[]], "127.0.0.1"))
    with tempfile.TemporaryDirectory() as folder, place as (before, address):
        folder = Path(folder)
        words = [str(RECIPE), *(f"--{option}={value}" for option, value in settings.items())]
        words += [f"--folder={folder / 'model'}", f"--checkpoint={folder / 'run'}"]
        commands = [[*there, *launch(processes, hosts, n, address), *words] for n, there in enumerate(before)]
        stopped = {}
        if killed:
            call(folder, commands, until=killed * settings["steps"])
            stopped["killed after"] = history(folder)["valid"][-1][0]
        call(folder, commands, until=float("inf"))
        if f"processes: {processes}\n" not in (folder / "log-0").read_text():
            raise RuntimeError(f"{name}: the processes did not find each other, and each trained alone.")
        found = history(folder)
    return stopped | {"valid": {str(step): round(loss, 4) for step, _, loss in found["valid"]}}


def difference(one: dict, other: dict) -> float:
    """Return the largest difference of two runs' losses, as a share of the first's; infinite where steps are missing."""
    if one["valid"].keys() != other["valid"].keys():
        return float("inf")
    return max(abs(other["valid"][step] / loss - 1) for step, loss in one["valid"].items())


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; return 0 when all losses agree with one process's within 2 per cent."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), help="the runs")
    parser.add_argument("--record", type=Path, default=RECORD, help="where the figures go")
    a = parser.parse_args(arguments)
    runs = {}
    for name in dict.fromkeys(["one", *a.only]):
        runs[name] = train(name, FULL)
        runs[name]["difference"] = round(difference(runs["one"], runs[name]), 5)
        print(f"{name}: {runs[name]}", flush=True)
        a.record.write_text(json.dumps({"settings": FULL, "runs": runs}, indent=1) + "\n", encoding="utf-8")
    return int(any(run["difference"] > 0.02 for run in runs.values()))


if __name__ == "__main__":
    sys.exit(main())
