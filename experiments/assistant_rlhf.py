"""The assistant under two rewards: what the listener likes, and what was asked for. What does each gain, and lose?

    python experiments/assistant_rlhf.py                    all runs, into book/textgen/results/assistant_rlhf.json
    python experiments/assistant_rlhf.py --runs both        some; the others' figures stay
    python experiments/assistant_rlhf.py --ship             write pocket-chat, the first run under both

RLOO starts from pocket-chat-sft, with requests of all kinds. Stories get the score of chapter 06's reward model; every
answer that does what was asked gets `ASKED` nats more. A run that the record holds is not repeated.
"""

import copy
import random
import time
from pathlib import Path

import assistant_sft
import common
import rlhf_reward
import textgen
import torch
from assistant_sft import SHARES
from rlhf_exact import LR
from rlhf_loops import reinforce
from rlhf_stories import INVERSE, LARGE, NO_END, along, score
from textgen import corpus, rlhf, storyworld
from textgen.dialogue import chat_ids
from textgen.gpt import GPT
from textgen.storyworld import Request, fulfils

BATCH_SIZE, GROUP, LONGEST, BETA, ASKED = 64, 4, 160, 0.25, 4.0
REWARDS = {"listener": (1.0, 0.0), "asked": (0.0, ASKED), "both": (1.0, ASKED)}  # what each part counts
# The learning rate of the exact world is too high here: "both, faster" shows where it leads.
RUNS = {name: (name, LR["RLOO"] / 4) for name in REWARDS} | {"both, faster": ("both", LR["RLOO"])}
STORIES = 0.5  # share of the prompts that ask for a story: the listener has no opinion on the others


class Judges:
    """The reference, the requests, the listener and a reward model: what the runs share."""

    def __init__(self, a):
        self.reference, self.tokenizer = textgen.load("pocket-chat-sft")
        self.end = self.tokenizer.bos
        self.listener = storyworld.Listener(world=storyworld.tales())  # hears stories without questions
        self.test = storyworld.requests(2 * a.measure, "story", seed=2, split="test")
        self.train = {kind: storyworld.requests(a.train, kind, seed=2) for kind in SHARES}
        pairs = rlhf_reward.comparisons(a.pairs, a.pairs * 5 // 8, a.kept)
        size = min(LARGE, a.pairs)
        models = [
            rlhf_reward.trained(pairs, size, seed, a.kept, a.reward_steps)[0] for seed in range(a.seeds)
        ]
        self.models = [(model, 0.0) for model in models]
        base = self.sample(self.reference, self.test, seed=5)
        self.models = [(model, float(self.proxy(seed, base).mean())) for seed, model in enumerate(models)]
        self.gold_mean = sum(self.gold(base)) / len(self.test)

    def sample(self, policy, requests: list[Request], seed: int) -> tuple[list[Request], rlhf.Rollout]:
        """The requests with the answers of a policy."""
        contexts = [chat_ids(request.messages, self.tokenizer) for request in requests]
        return requests, rlhf.rollout(policy, contexts, self.end, LONGEST, seed)

    def answers(self, written: tuple) -> list[str]:
        """Answers as texts."""
        _, rows = written
        some = [ids[1:][mask].tolist() for ids, mask in zip(rows.ids, rows.mask)]
        return [self.tokenizer.decode(ids).strip() for ids in some]

    def gold(self, written: tuple) -> list[float]:
        """The listener's scores of answers as stories."""
        return [self.listener.score(answer) for answer in self.answers(written)]

    def asked(self, written: tuple) -> torch.Tensor:
        """Which answers do what was asked (B,)."""
        return torch.tensor([float(fulfils(*pair)) for pair in zip(written[0], self.answers(written))])

    @torch.no_grad()
    def proxy(self, seed: int, written: tuple) -> torch.Tensor:
        """A reward model's scores of answers as stories (B,), centred on those of the reference."""
        model, mean = self.models[seed]
        rows = [self.tokenizer.encode(answer) + [self.end] for answer in self.answers(written)]
        ids, mask = corpus.padded([self.tokenizer.prefix("story")] * len(rows), rows, self.end)
        return torch.where(written[1].ended, score(model, ids, mask) - mean, NO_END)

    def writer(self, reward: str, seed: int):
        """A function that writes a batch for `reinforce`, with its rewards."""
        liked, right = REWARDS[reward]

        def write(policy, at: int) -> tuple[torch.Tensor, ...]:
            rng = random.Random(at)
            odds = [STORIES if kind == "story" else SHARES[kind] for kind in SHARES]
            kinds = rng.choices(list(SHARES), odds, k=BATCH_SIZE // GROUP)
            requests = [one for kind in kinds for one in [rng.choice(self.train[kind])] * GROUP]
            written = self.sample(policy, requests, at)
            story = torch.tensor([request.asked is not None for request in requests])
            rewards = liked * torch.where(story, self.proxy(seed, written), 0.0) + right * self.asked(written)
            return written[1].ids, written[1].mask, torch.where(written[1].ended, rewards, NO_END)

        return write

    @torch.no_grad()
    def point(self, policy, seed: int, requests: list[Request], at: int) -> dict:
        """Where a policy stands on requests for stories: divergence, proxy, gold and the share told as asked."""
        written = self.sample(policy, requests, at)
        k1 = [
            rlhf.token_log_probs(policy, *part) - rlhf.token_log_probs(self.reference, *part)
            for part in zip(written[1].ids.split(64), written[1].mask.split(64))
        ]
        found = {"kl": torch.cat([part.sum(1) for part in k1]), "proxy": self.proxy(seed, written)}
        found |= {"gold": torch.tensor(self.gold(written)) - self.gold_mean, "asked": self.asked(written)}
        return {name: round(float(values.mean()), 4) for name, values in found.items()}


def frontiers(world: Judges, prompts: int, samples: int) -> dict:
    """How far reweighing the reference's own answers goes, a Z for each request."""
    each = []
    for number, request in enumerate(world.test[-prompts:]):
        written = world.sample(world.reference, [request] * samples, seed=1000 + number)
        right, proxy = world.asked(written), world.proxy(0, written)
        columns = {name: liked * proxy + asked * right for name, (liked, asked) in REWARDS.items()}
        columns |= {"right": right, "gold": torch.tensor(world.gold(written)) - world.gold_mean}
        each.append({name: column.double() for name, column in columns.items()})
        print(f"frontier, request {number + 1} of {prompts}", flush=True)
    told, names = ("gold", "right"), (*REWARDS, "gold")
    curves = {name: [along(each, name, inverse, told) for inverse in INVERSE] for name in names}
    return {"prompts": prompts, "samples": samples, "curves": curves}


def run(world: Judges, name: str, seed: int, a) -> dict:
    """Train by one of RUNS from one seed: its curve on fresh stories, and then every kind of request."""
    policy, curve, looking, began = copy.deepcopy(world.reference), [], 0.0, time.perf_counter()

    def look(step: int) -> None:
        nonlocal looking
        if step % a.every == 0 or step == a.steps:
            start = time.perf_counter()
            curve.append({"step": step} | world.point(policy, seed, world.test[: a.look], 2000 + seed))
            print(f"{name}, seed {seed}: {curve[-1]}", flush=True)
            looking += time.perf_counter() - start

    reward, lr = RUNS[name]
    write = world.writer(reward, seed)
    reinforce(policy, world.reference, write, BETA, a.steps, lr, seed, group=GROUP, look=look)
    seconds = time.perf_counter() - began - looking
    policy.save_pretrained(a.kept / f"assistant-{name}-{seed}")
    found = world.point(policy, seed, world.test, 3000 + seed)
    test = assistant_sft.held_out(a.measure)
    figures = assistant_sft.figures(policy, world.tokenizer, test, seed)
    return found | {"seconds": round(seconds), "curve": curve, "figures": figures}


def main(arguments: list[str] | None = None) -> None:
    """Train by the rewards asked for, measure the frontiers and write the record."""
    numbers = {"seeds": 3, "steps": 60, "train": 4000, "measure": 200, "every": 20, "look": 100}
    options = common.parser("assistant_rlhf", __doc__, pairs=LARGE, **numbers)
    options.add_argument("--runs", nargs="+", default=list(RUNS), choices=RUNS)
    options.add_argument("--prompts", type=int, default=12, help="requests of the frontiers")
    options.add_argument("--samples", type=int, default=1000, help="stories for each of these requests")
    options.add_argument("--reward-steps", type=int, help="steps of a reward model that is not kept yet")
    options.add_argument(
        "--kept", type=Path, default=rlhf_reward.KEPT, help="where reward models and policies are kept"
    )
    options.add_argument("--ship", action="store_true", help="only round, measure and write pocket-chat")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    record = common.load(a, "runs")
    if a.ship:
        policy = GPT.from_pretrained(a.kept / "assistant-both-0")
        how = "fine-tuned on dialogues with right answers, then rewarded for what was asked and for what pleases"
        seconds = record["runs"]["both"]["0"]["seconds"]
        made = {"how": how, "seconds": seconds, "command": f"{a.command} --ship"}
        return assistant_sft.ship(policy, "pocket-chat", made, a.measure)
    world = Judges(a)
    record |= {"steps": a.steps, "batch_size": BATCH_SIZE, "beta": BETA, "measured": a.measure}
    for seed, name in ((seed, name) for seed in range(a.seeds) for name in a.runs):
        runs = record["runs"].setdefault(name, {})
        if str(seed) not in runs:
            runs[str(seed)] = run(world, name, seed, a)
            common.save(a.record, record)
    if "frontier" not in record:
        record["frontier"] = frontiers(world, a.prompts, a.samples)
        common.save(a.record, record)


if __name__ == "__main__":
    main()
