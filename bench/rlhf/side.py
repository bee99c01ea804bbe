"""One training by one side, in a process of its own. run.py gives it the job as JSON, and reads the curve, its last line."""

import copy
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments"))

import rlhf_exact  # first: it puts the package on the path
import rlhf_loops
import torch
from textgen import rlhf

LOOKS = 6  # of a training, after the one before its first step


class Clock:
    """The curve of one training: where the policy stands at a few steps, and the seconds of training until there.

    `policy` gives the policy as it is now as a `textgen.GPT`. Setting up does not count, and looking does not either.
    """

    def __init__(self, world: rlhf_exact.Race, beta: float, steps: int):
        self.world, self.beta, self.steps = world, beta, steps
        self.policy, self.every = lambda: world.reference, max(1, steps // LOOKS)
        self.curve, self.spent, self.began = [], [0.0, 0.0], None

    def __call__(self, step: int) -> None:
        """Look after `step` steps, where it is time to, and let the clock go on."""
        if step:
            now = time.perf_counter(), time.process_time()
            self.spent = [s + n - b for s, n, b in zip(self.spent, now, self.began)]
        if step % self.every == 0 or step == self.steps:
            found = self.world.figures(self.world.log_probs(self.policy()), self.beta)
            seconds = dict(zip(("seconds", "cpu_seconds"), (round(s, 2) for s in self.spent)))
            self.curve.append({"texts": step * self.world.size} | seconds | found)
        self.began = time.perf_counter(), time.process_time()


def course(method: str, clock: Clock, rate: float, seed: int) -> None:
    """Train by the course's own loops."""
    world, beta, steps = clock.world, clock.beta, clock.steps
    policy = copy.deepcopy(world.reference)
    clock.policy = lambda: policy
    given = policy, world.reference, world.write, beta, steps, rate, seed
    if method == "RLOO":
        rlhf_loops.reinforce(*given, group=world.size, look=clock)
    elif method == "PPO":
        rlhf_loops.ppo(*given, look=clock)
    else:
        looks = {"eval_every": clock.every, "callback": lambda history: clock(history.valid[-1][0])}
        rlhf_exact.dpo(world, policy, beta, steps, rate, seed, **looks)


def main(job: dict) -> None:
    """Do the job: side, method, beta, steps, texts (in a batch), rate, seed, and whether to check TRL's figures."""
    torch.set_num_threads(1)
    world = rlhf_exact.Race(job["texts"])
    clock = Clock(world, job["beta"], job["steps"])
    given, checked = (job["method"], clock, job["rate"], job["seed"]), None
    if job["side"] == "TRL":
        import theirs

        checked = theirs.train(*given, check=job["check"])
    else:
        course(*given)
    by = f"trl {version('trl')}" if job["side"] == "TRL" else "the course"
    best = rlhf.optimum(world.log_reference, world.rewards, clock.beta)[0]
    found = {"prompt": world.prompt, "optimum": world.figures(best, clock.beta)}
    print(json.dumps(found | {"by": by, "curve": clock.curve, "checked": checked}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
