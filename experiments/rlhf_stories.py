"""RLHF on whole stories: what each method gains by the listener, at which divergence, and what it loses.

    python experiments/rlhf_stories.py                     all runs, into book/textgen/results/rlhf_stories.json
    python experiments/rlhf_stories.py --runs "RLOO, beta 0.25"     some; the others' figures stay

The reward model of rlhf_reward.py stands for the listener, whose own taste, "gold", is measured beside it. The frontier
is the best that the reference's own samples allow, by the listener's taste and by the reward model's, a Z for each
prompt. Rewards and gold are nats of preference, 0 on average over the reference's stories. A run that the record holds
is not repeated, so a recording that was stopped goes on.
"""

import copy
import json
import math
import random
import time
from collections import Counter
from pathlib import Path

import common
import rlhf_reward
import textgen
import torch
from rlhf_exact import LR
from rlhf_loops import ppo, reinforce
from textgen import corpus, metrics, rlhf, storyworld

BATCH_SIZE, GROUP, LONGEST = 64, 4, 200
NO_END = -8.0  # the reward of a text that does not end, in nats
LARGE, SMALL, MEMBERS = 8000, 500, 4  # pairs behind the reward models; an ensemble has several small ones
RUNS = {  # how, under which reward model
    "PPO, beta 0.25": ({"method": "PPO", "beta": 0.25}, "large"),
    "PPO, 4 nats aimed at": ({"method": "PPO", "beta": 0.5, "target": 4.0}, "large"),
    "RLOO, beta 0.25": ({"method": "RLOO", "beta": 0.25}, "large"),
    "DPO, beta 0.25": ({"method": "DPO", "beta": 0.25}, "large"),
    "PPO, no penalty": ({"method": "PPO", "beta": 0.0}, "large"),
    "PPO, no penalty, few pairs": ({"method": "PPO", "beta": 0.0}, "small"),
    "PPO, beta 0.25, few pairs": ({"method": "PPO", "beta": 0.25}, "small"),
    "PPO, no penalty, the least of four": ({"method": "PPO", "beta": 0.0}, "ensemble"),
}
FALL = 12  # steps: without a penalty the fall comes within the first ones, so look at each of them
INVERSE = (0, 0.1, 0.2, 0.35, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6)  # 1 / beta along the frontiers
PLOTS = {  # words by which a story's plot is known
    "gift": "hid it",
    "race": "The prize of",
    "lost": "was gone.",
    "storm": "storm came",
    "trade": "dreamed of",
    "letter": "letter came",
    "mend": "Can you mend",
    "riddle": "a riddle",
}


class Stories:
    """Prompts, the reference, the listener and the reward models: all that the runs share."""

    def __init__(self, a):
        self.reference, self.tokenizer = textgen.load("pocket-gpt")
        self.end, self.listener = self.tokenizer.bos, storyworld.Listener()
        self.prompts = {
            split: self.openings(4000, seed, split) for split, seed in (("train", 8), ("test", 9))
        }
        pairs = rlhf_reward.comparisons(a.train, a.test, a.kept)
        sizes = {"large": (min(LARGE, a.train), 1), "small": (SMALL, 1), "ensemble": (SMALL, MEMBERS)}
        self.pairs, self.judges = rlhf_reward.label(pairs["train"], pairs["train worth"], 0), {}
        for name, (size, members) in sizes.items():
            models = [
                rlhf_reward.trained(pairs, size, seed, a.kept, a.reward_steps)[0] for seed in range(members)
            ]
            self.judges[name] = [(model, 0.0) for model in models]
        self.base = self.sample(self.reference, self.prompts["test"][: a.measure], seed=0)
        for name, members in self.judges.items():
            ids, mask, _ = self.base
            self.judges[name] = [(one, float(score(one, ids, mask).mean())) for one, _ in members]
        self.gold_mean = sum(self.gold(self.base)) / a.measure

    def openings(self, n: int, seed: int, split: str) -> list[list[int]]:
        """The first sentences of `n` stories, as ids from the start token on."""
        texts = [rlhf_reward.opening(story.text) for story in storyworld.stories(n, seed=seed, split=split)]
        return [self.tokenizer.prefix("story") + ids for ids in self.tokenizer.encode_batch(texts)]

    def sample(self, policy, contexts: list, seed: int) -> rlhf.Rollout:
        """Let a policy continue the contexts."""
        return rlhf.rollout(policy, contexts, self.end, LONGEST, seed)

    def texts(self, written: rlhf.Rollout) -> list[str]:
        """Whole texts; start, kind and end tokens are not text."""
        return [self.tokenizer.decode(row) for row in written.ids.tolist()]

    def gold(self, written: rlhf.Rollout) -> list[float]:
        """The listener's scores."""
        return [self.listener.score(text) for text in self.texts(written)]

    @torch.no_grad()
    def proxy(self, judge: str, written: rlhf.Rollout) -> torch.Tensor:
        """The scores (B,) of a reward model, or the least of several, centred on the reference's stories."""
        scores = [score(model, written.ids, written.mask) - mean for model, mean in self.judges[judge]]
        return torch.where(written.ended, torch.stack(scores).min(0).values, NO_END)

    def writer(self, judge: str, group: int):
        """A function that writes a batch for the loops of rlhf_loops.py, `group` texts to a prompt."""

        def write(policy, seed: int) -> tuple[torch.Tensor, ...]:
            some = random.Random(seed).sample(self.prompts["train"], BATCH_SIZE // group)
            written = self.sample(policy, [context for context in some for _ in range(group)], seed)
            return written.ids, written.mask, self.proxy(judge, written)

        return write

    @torch.no_grad()
    def point(self, policy, judge: str, n: int, seed: int) -> tuple[dict, rlhf.Rollout]:
        """Where a policy stands on `n` fresh prompts: divergence, proxy, gold and win rate over the reference."""
        written = self.sample(policy, self.prompts["test"][:n], seed)
        parts = zip(written.ids.split(64), written.mask.split(64))
        k1 = [
            (rlhf.token_log_probs(policy, *part) - rlhf.token_log_probs(self.reference, *part)).sum(1)
            for part in parts
        ]
        gold, proxy = torch.tensor(self.gold(written)), self.proxy(judge, written)
        base = torch.tensor(self.gold(self.base))[:n]
        wins = (gold > base).double() + 0.5 * (gold == base).double()
        found = {"kl": torch.cat(k1).mean(), "proxy": proxy.mean(), "gold": gold.mean() - self.gold_mean}
        found = {name: round(float(value), 4) for name, value in found.items()}
        found |= {"win": round(float(wins.mean()), 4)}
        found["intervals"] = {
            name: [round(x, 4) for x in metrics.bootstrap(values)]
            for name, values in (("gold", (gold - self.gold_mean).tolist()), ("win", wins.tolist()))
        }
        return found, written

    def lost(self, written: rlhf.Rollout) -> dict:
        """What may be lost meanwhile: grammar, variety and length."""
        texts = self.texts(written)
        plots = Counter(next((p for p, words in PLOTS.items() if words in text), "none") for text in texts)
        shares = [count / len(texts) for count in plots.values()]
        words = [word for text in texts for word in zip(text.split(), text.split()[1:], text.split()[2:])]
        return {
            "grammatical": round(metrics.grammatical(texts)[0], 4),
            "plot_bits": round(-sum(share * math.log2(share) for share in shares), 3),
            "plots": dict(plots.most_common()),
            "distinct": round(len(set(texts)) / len(texts), 4),
            "distinct_3": round(len(set(words)) / len(words), 4),
            "words": round(sum(len(text.split()) for text in texts) / len(texts), 1),
            "ended": round(float(written.ended.double().mean()), 4),
        }


@torch.no_grad()
def score(model: rlhf.RewardModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A reward model's scores of many texts (B,)."""
    return torch.cat([model.score(*part) for part in zip(ids.split(64), mask.split(64))])


def frontiers(world: Stories, prompts: int, samples: int) -> dict:
    """How far reweighing the reference's own stories goes, by gold and by each proxy, and best-of-n."""
    each = []
    for number, context in enumerate(world.prompts["test"][-prompts:]):
        written = world.sample(world.reference, [context] * samples, seed=1000 + number)
        columns = {"gold": torch.tensor(world.gold(written)) - world.gold_mean}
        columns |= {judge: world.proxy(judge, written) for judge in world.judges}
        each.append({name: column.double() for name, column in columns.items()})
        print(f"frontier, prompt {number + 1} of {prompts}", flush=True)
    curves = {name: [along(each, name, inverse) for inverse in INVERSE] for name in each[0]}
    sizes = [2**k for k in range(10) if 2**k <= samples / 4]
    best = {name: [best_of(each, name, n) for n in sizes] for name in each[0]}
    return {"prompts": prompts, "samples": samples, "curves": curves, "best_of_n": best}


def along(each: list[dict], name: str, inverse: float, told: tuple[str, ...] = ("gold",)) -> dict:
    """The reference reweighed by exp(reward / beta), prompt by prompt: divergence, reward, effective samples.

    `told`: columns of `each` whose means are told too.
    """
    found = []
    for columns in each:
        weights = (inverse * columns[name]).softmax(0)
        reward, log_z = float(weights @ columns[name]), float((inverse * columns[name]).logsumexp(0))
        row = {"kl": inverse * reward - log_z + math.log(len(weights)), "reward": reward}
        row |= {key: float(weights @ columns[key]) for key in told}
        found.append(row | {"effective": float(1 / (weights**2).sum())})
    figures = {key: sum(row[key] for row in found) / len(found) for key in found[0]}
    figures["effective"] = min(row["effective"] for row in found)  # of the prompt that has the fewest
    return {"inverse": inverse} | {key: round(value, 4) for key, value in figures.items()}


def best_of(each: list[dict], name: str, n: int) -> dict:
    """The best of n by a reward, expected without bias from all samples of a prompt, and its divergence."""
    found = []
    for columns in each:
        rewards, order = columns[name].sort()
        N = len(rewards)
        weights = torch.tensor([math.comb(i, n - 1) / math.comb(N, n) for i in range(N)], dtype=torch.float64)
        counts = rewards.unique(return_counts=True)[1]
        below = torch.cat([torch.zeros(1, dtype=torch.float64), counts.cumsum(0) / N])
        mass, before = below[1:] ** n - below[:-1] ** n, counts / N
        kl = float((mass * (mass / before).clamp_min(1e-300).log()).sum())
        found.append((kl, float(weights @ rewards), float(weights @ columns["gold"][order])))
    kl, reward, gold = (round(sum(column) / len(found), 4) for column in zip(*found))
    bound = round(math.log(n) - (n - 1) / n, 4)
    return {"n": n, "kl": kl, "bound": bound, "reward": reward, "gold": gold}


def dpo(world: Stories, policy, beta: float, seed: int, steps: int) -> None:
    """DPO by `fit`, on the comparisons that the large reward model learned from."""
    data = corpus.pairs(world.pairs, world.pairs[:99], world.tokenizer)
    options = {"lr": LR["DPO"], "muon_lr": 0, "weight_decay": 0.0, "seed": seed}
    options |= {"device": "cpu", "eval_every": steps, "eval_rows": 32}
    textgen.fit(rlhf.DPO(policy, beta), data, steps, BATCH_SIZE // 2, **options)


def run(world: Stories, how: dict, judge: str, seed: int, a) -> dict:
    """Train by one method from one seed; its curve, its last point with intervals, its losses, some stories."""
    policy, curve, began = copy.deepcopy(world.reference), [], time.perf_counter()
    looking, told = 0.0, {}

    def look(step: int) -> None:
        nonlocal looking
        closely = not how["beta"] and step <= FALL
        if step % a.every and step != a.steps and not closely:
            return
        start = time.perf_counter()
        found, written = world.point(policy, judge, a.look, seed=2000 + seed)
        curve.append({"step": step} | {name: found[name] for name in ("kl", "proxy", "gold", "win")})
        told[step] = world.texts(written)[0]
        looking += time.perf_counter() - start

    method, more = how["method"], {}
    if method == "DPO":
        look(0)
        dpo(world, policy, how["beta"], seed, a.pair_steps)
        look(a.steps)
    else:
        write = world.writer(judge, GROUP if method == "RLOO" else 1)
        more = {"group": GROUP} if method == "RLOO" else {"target": how.get("target")}
        loop = reinforce if method == "RLOO" else ppo
        last = loop(policy, world.reference, write, how["beta"], a.steps, LR[method], seed, look=look, **more)
        more = {"last_beta": round(last, 4)} if "target" in how else {}
    seconds = time.perf_counter() - began - looking
    found, written = world.point(policy, judge, a.measure, seed=3000 + seed)
    held_out = [story.text for story in storyworld.stories(min(200, a.measure), split="test")]
    more["bits_per_char"] = round(textgen.bits_per_char(policy, world.tokenizer, held_out), 4)
    told = {step: told[step] for step in sorted(told)[:: max(1, len(told) // 5)]} | {a.steps: told[a.steps]}
    return (
        found | more | {"lost": world.lost(written), "seconds": round(seconds), "curve": curve, "told": told}
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure the frontiers, train by the runs asked for and write the record."""
    options = common.parser(
        "rlhf_stories", __doc__, seeds=3, steps=40, train=LARGE, test=5000, measure=512, every=8, look=160
    )
    options.add_argument("--runs", nargs="+", default=list(RUNS), choices=RUNS)
    options.add_argument("--prompts", type=int, default=20, help="prompts of the frontiers")
    options.add_argument("--samples", type=int, default=1000, help="stories for each of these prompts")
    options.add_argument("--pair-steps", type=int, default=LARGE * 2 // BATCH_SIZE, help="steps of DPO")
    options.add_argument("--reward-steps", type=int, help="steps of a reward model that is not kept yet")
    options.add_argument(
        "--kept", type=Path, default=rlhf_reward.KEPT, help="where the reward models are kept"
    )
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    record, world = common.load(a, "runs"), Stories(a)
    if "frontier" not in record:
        record["frontier"] = frontiers(world, a.prompts, a.samples)
    record |= {"steps": a.steps, "batch_size": BATCH_SIZE, "reference": world.lost(world.base)}
    common.save(a.record, record)
    for seed, name in ((seed, name) for seed in range(a.seeds) for name in a.runs):
        runs = record["runs"].setdefault(name, {})
        if str(seed) not in runs:
            runs[str(seed)] = run(world, *RUNS[name], seed, a)
            shown = {key: value for key, value in runs[str(seed)].items() if key not in ("curve", "told")}
            print(f"{name}, seed {seed}: {json.dumps(shown)}", flush=True)
            common.save(a.record, record)


if __name__ == "__main__":
    main()
