"""One training by one side, in a process of its own. run.py gives it the job as JSON, and reads the curve, its last line."""

import copy
import json
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments"))

import rlhf_exact  # first: it puts the package on the path
import rlhf_loops
import textgen
import torch
from textgen import corpus, rlhf
from textgen.storyworld.taste import sigmoid

LOOKS = 6  # of a training, after the one before its first step


class World(rlhf_exact.Race):
    """The race whose 960 endings are known, and batches of `size` texts."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def scores(self, written: list[list[int]]) -> torch.Tensor:
        """The listener's exact reward (B,) of what was written, each a list of ids with its end token."""
        return self.rewards[[self.index.get(tuple(row), len(self.index)) for row in written]].float()

    def write(self, policy, seed: int) -> tuple[torch.Tensor, ...]:
        """A batch by the policy: ids, mask and rewards (B,)."""
        contexts = [self.context] * self.size
        ids, mask, _ = rlhf.rollout(policy, contexts, self.end, rlhf_exact.LONGEST, seed)
        return ids, mask, self.scores([row[chosen].tolist() for row, chosen in zip(ids[:, 1:], mask)])

    def pairs(self, seed: int, steps: int) -> list[tuple[int, int, int]]:
        """DPO's pairs, half a batch a step: two of the reference's own endings, and which one the listener prefers."""
        generator, rng = torch.Generator().manual_seed(seed), random.Random(seed)
        p = self.log_reference[:-1].exp()
        drawn = p.multinomial(steps * self.size, replacement=True, generator=generator).view(-1, 2).tolist()
        first = [sigmoid(float(self.rewards[a] - self.rewards[b])) for a, b in drawn]  # P(a is preferred)
        return [(a, b, int(rng.random() >= chance)) for (a, b), chance in zip(drawn, first)]


class Clock:
    """The curve of one training: where the policy stands at a few steps, and the seconds of training until there.

    `policy` gives the policy as it is now as a `textgen.GPT`. Setting up does not count, and looking does not either.
    """

    def __init__(self, world: World, beta: float, steps: int):
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
        rows = [(world.prompt, world.endings[a], world.endings[b], c) for a, b, c in world.pairs(seed, steps)]
        options = {"lr": rate, "muon_lr": 0, "weight_decay": 0.0, "seed": seed, "device": "cpu"}
        options |= {"eval_every": clock.every, "eval_rows": 1}
        options |= {"callback": lambda history: clock(history.valid[-1][0])}
        data = corpus.pairs(rows, rows, world.tokenizer)
        textgen.fit(rlhf.DPO(policy, beta), data, steps, world.size // 2, **options)


def main(job: dict) -> None:
    """Do the job: side, method, beta, steps, texts (in a batch), rate, seed, and whether to check TRL's figures."""
    torch.set_num_threads(1)
    world = World(job["texts"])
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
