"""RLHF against its exact optimum: RLOO, PPO, GRPO and DPO where every possible answer can be counted.

    python experiments/rlhf_exact.py                     all of them, into book/textgen/results/rlhf_exact.json
    python experiments/rlhf_exact.py --methods RLOO --betas 0.5      some; the others' figures stay

A race story cut after "They ran from ..." has 960 endings by the grammar, on which pocket-gpt keeps nearly all of its
probability; whatever else it may write is one more answer, worth what the story is worth without an ending. So the best
policy, p_ref exp(reward / beta) / Z, is known, and every method is measured by its distance from it in nats. All methods
read the same number of texts. A run that the record holds is not repeated, so a recording that was stopped goes on.
"""

import copy
import random
import time

import common
import textgen
import torch
from rlhf_loops import ppo, reinforce
from textgen import corpus, rlhf, storyworld
from textgen.storyworld.taste import sigmoid

BETAS, BATCH_SIZE, LONGEST = (2.0, 1.0, 0.5, 0.25), 32, 80
# Learning rates: the best of three for each method, at beta 0.5 and by another seed. A larger beta multiplies the noise
# of the divergence, which is part of the reward, so there all are smaller in proportion.
LR = {"RLOO": 4e-4, "GRPO": 4e-4, "PPO": 2e-4, "DPO": 1e-4}


class Race:
    """A race story without its ending: all endings, the listener's reward for each, and the reference's opinion.

    `size` texts are a batch.
    """

    def __init__(self, size: int = BATCH_SIZE):
        self.size = size
        self.reference, tokenizer = textgen.load("pocket-gpt")
        listener, self.tokenizer, self.end = storyworld.Listener(), tokenizer, tokenizer.bos
        story = next(s.text for s in storyworld.stories(99, split="test") if "They ran from" in s.text)
        self.prompt = story[: story.index(".", story.index("They ran from")) + 1]
        self.context = tokenizer.prefix() + tokenizer.encode(self.prompt)
        self.endings = list(storyworld.endings(self.prompt))
        rows = [ids + [self.end] for ids in tokenizer.encode_batch(self.endings)]
        self.index = {tuple(row): i for i, row in enumerate(rows)}
        self.ids, self.mask = corpus.padded([self.context] * len(rows), rows, self.end)
        scores = [listener.score(self.prompt + ending) for ending in [*self.endings, ""]]
        self.log_reference = self.log_probs(self.reference)
        self.rewards = torch.tensor(scores, dtype=torch.float64)
        self.rewards -= (self.log_reference.exp() * self.rewards).sum()  # only differences count

    @torch.no_grad()
    def log_probs(self, policy) -> torch.Tensor:
        """What a policy gives to each ending, and to all other texts together: log-probabilities (961,)."""
        parts = zip(self.ids.split(240), self.mask.split(240))
        found = torch.cat([rlhf.token_log_probs(policy, *part).sum(1) for part in parts]).double()
        return torch.cat([found, (1 - found.exp().sum()).clamp_min(1e-12).log()[None]])

    def scores(self, written: list[list[int]]) -> torch.Tensor:
        """The reward (B,) of what was written, each a list of ids with its end token."""
        return self.rewards[[self.index.get(tuple(row), len(self.index)) for row in written]].float()

    def write(self, policy, seed: int) -> tuple[torch.Tensor, ...]:
        """A batch by the policy: ids, mask and rewards (B,)."""
        ids, mask, _ = rlhf.rollout(policy, [self.context] * self.size, self.end, LONGEST, seed)
        return ids, mask, self.scores([row[chosen].tolist() for row, chosen in zip(ids[:, 1:], mask)])

    def pairs(self, seed: int, steps: int) -> list[tuple[int, int, int]]:
        """DPO's pairs, half a batch a step: two of the reference's own endings, and which one the listener prefers."""
        generator, rng = torch.Generator().manual_seed(seed), random.Random(seed)
        p = self.log_reference[:-1].exp()
        drawn = p.multinomial(steps * self.size, replacement=True, generator=generator).view(-1, 2).tolist()
        first = [sigmoid(float(self.rewards[a] - self.rewards[b])) for a, b in drawn]  # P(a is preferred)
        return [(a, b, int(rng.random() >= chance)) for (a, b), chance in zip(drawn, first)]

    def figures(self, log_p: torch.Tensor, beta: float) -> dict[str, float]:
        """Where a policy (961,) stands: divergences in nats, reward, and the share of texts that are no ending."""
        best, value = rlhf.optimum(self.log_reference, self.rewards, beta)
        p = log_p.exp()
        reward = float((p * self.rewards).sum())
        kl, gap = (float((p * (log_p - other)).sum()) for other in (self.log_reference, best))
        # An identity, which would tell of a mistake in either.
        assert abs(float(value) - (reward - beta * kl) - beta * gap) < 1e-6
        figures = {"kl_to_optimum": gap, "reward": reward, "kl": kl, "objective": reward - beta * kl}
        return {name: round(value, 4) for name, value in (figures | {"other": float(p[-1])}).items()}


def dpo(race: Race, policy, beta: float, steps: int, lr: float, seed: int, **looks) -> None:
    """DPO by `fit`, each pair seen once or so; `looks` are more of `fit`'s arguments."""
    pairs = [
        (race.prompt, race.endings[a], race.endings[b], better) for a, b, better in race.pairs(seed, steps)
    ]
    data, options = corpus.pairs(pairs, pairs, race.tokenizer), {"lr": lr, "muon_lr": 0, "weight_decay": 0.0}
    options |= {"seed": seed, "device": "cpu", "eval_every": steps, "eval_rows": 1} | looks
    textgen.fit(rlhf.DPO(policy, beta), data, steps, race.size // 2, **options)


def train(method: str, race: Race, policy, beta: float, seed: int, steps: int) -> None:
    """Train the policy by the method of that name."""
    lr = LR[method] * min(1.0, 0.5 / beta)
    given = policy, race.reference, race.write, beta, steps, lr, seed
    if method == "DPO":
        dpo(race, policy, beta, steps, lr, seed)
    elif method == "PPO":
        ppo(*given)
    else:
        reinforce(*given, group=race.size, grpo=method == "GRPO")


def main(arguments: list[str] | None = None) -> None:
    """Train by the methods asked for and write the record."""
    options = common.parser("rlhf_exact", __doc__, seeds=3, steps=120)
    options.add_argument("--methods", nargs="+", default=list(LR), choices=LR)
    options.add_argument("--betas", nargs="+", type=float, default=list(BETAS))
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    race, record = Race(), common.load(a, "methods")
    endings = {"endings": len(race.endings), "mass": round(float(1 - race.log_reference[-1].exp()), 4)}
    record |= {"prompt": race.prompt, "batch_size": race.size} | endings
    for beta in a.betas:
        best = rlhf.optimum(race.log_reference, race.rewards, beta)[0]
        exact = {"optimum": race.figures(best, beta), "reference": race.figures(race.log_reference, beta)}
        record.setdefault("betas", {})[str(beta)] = exact
        for seed, name in ((seed, name) for seed in range(a.seeds) for name in a.methods):
            runs = record["methods"].setdefault(name, {}).setdefault(str(beta), {})
            if runs.get(str(seed), {}).get("steps") == a.steps:
                continue
            policy, began = copy.deepcopy(race.reference), time.perf_counter()
            train(name, race, policy, beta, seed, a.steps)
            found = {"steps": a.steps, "seconds": round(time.perf_counter() - began)}
            runs[str(seed)] = race.figures(race.log_probs(policy), beta) | found
            print(f"{name}, beta {beta}, seed {seed}: {runs[str(seed)]}", flush=True)
            common.save(a.record, record)


if __name__ == "__main__":
    main()
