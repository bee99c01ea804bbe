"""Which heads recall the name, in GPTs that differ in nothing but the seed: the ladder's GPT, three times.

    python experiments/heads.py                   into book/textgen/results/heads.json
    python experiments/heads.py --kept folder     keeps the trained models there, and takes those that it finds there

Chapter 04 finds such heads in pocket-gpt; here the same search runs over every set of one head, then of two, and so on
to four, until a set is found without which at most SHARE of the names are recalled. It is found on stories of "valid"
and measured on those of "test", beside sets of the same size drawn from the other heads at random.
"""

import random
from itertools import combinations
from pathlib import Path

import common
import textgen
import torch
from ladder import BATCH_SIZE, RUNGS, STEPS
from textgen import corpus, metrics, storyworld
from textgen.tokenizer import Tokenizer

SHARE, LARGEST, DRAWS = 0.6, 4, 20


class Silenced(torch.nn.Module):
    """The model without what some heads, pairs (layer, head), found."""

    def __init__(self, model, heads):
        super().__init__()
        self.model, self.max_positions = model, model.max_positions
        self.mask = torch.ones(model.config.n_layer, model.config.n_head)
        for layer, head in heads:
            self.mask[layer, head] = 0

    def forward(self, ids, targets=None):
        """What the model says without them."""
        return self.model(ids, targets, head_mask=self.mask)


def recall(model, tokenizer, stories, heads=()) -> dict:
    """Recall by kind without `heads`."""
    found = metrics.average(metrics.recall(Silenced(model, heads), tokenizer, stories))
    return {kind: round(share, 4) for kind, share in found.items()}


@torch.no_grad()
def looks(model, tokenizer, stories, kind: str = "name") -> list[list[float]]:
    """Each head's mean weight on where that which is due stands already, at the place before it: [layer][head]."""
    start, found = tokenizer.prefix("story"), []
    for story in stories:
        encoding = tokenizer.backend.encode(story.text, add_special_tokens=False)
        ids = torch.tensor([*start, *encoding.ids])
        weights = torch.cat(model(ids[None], return_attention=True)[2])  # (layer, head, T, T)
        for mention in story.mentions:
            if mention.kind == kind:
                due = len(start) + metrics.overlapping(encoding.offsets, mention.start, mention.end)[0]
                found.append(weights[:, :, due - 1, :due][..., ids[:due] == ids[due]].sum(-1))
    return [[round(float(share), 3) for share in row] for row in torch.stack(found).mean(0)]


def smallest(model, tokenizer, stories) -> tuple[dict, list]:
    """Recall of the name without each head, and the smallest set of heads that it needs (or the worst of LARGEST)."""
    config, alone = model.config, {}
    every = [(layer, head) for layer in range(config.n_layer) for head in range(config.n_head)]
    for size in range(1, LARGEST + 1):
        left = {
            heads: recall(model, tokenizer, stories, heads)["name"] for heads in combinations(every, size)
        }
        alone = alone or {f"{layer}, {head}": share for ((layer, head),), share in left.items()}
        worst = min(left, key=left.get)
        if left[worst] <= SHARE:
            break
    return alone, list(worst)


def measure(model, tokenizer, few, test, seed: int) -> dict:
    """The heads found on `few` stories, and what is recalled without them, and without others, on `test`."""
    alone, found = smallest(model, tokenizer, few)
    layers, heads = range(model.config.n_layer), range(model.config.n_head)
    others, rng = [(i, j) for i in layers for j in heads if (i, j) not in found], random.Random(seed)
    drawn = [rng.sample(others, len(found)) for _ in range(DRAWS)]
    return {
        "recall": recall(model, tokenizer, test),
        "alone": alone,
        "found": found,
        "without": recall(model, tokenizer, test, found),
        "others": [recall(model, tokenizer, test, heads)["name"] for heads in drawn],
        "looks": looks(model, tokenizer, few),
    }


def main(arguments: list[str] | None = None) -> None:
    """Train the seeds that are not on record, and measure them."""
    options = common.parser("heads", __doc__, seeds=3, steps=STEPS, stories=20_000, few=20, test=100)
    options.add_argument("--kept", type=Path, help="folder that keeps the trained models")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    train, few = storyworld.stories(a.stories), storyworld.stories(a.few, split="valid")
    test, record = storyworld.stories(a.test, split="test"), common.load(a, "runs")
    tokenizer = Tokenizer.word([story.text for story in train])
    data = corpus.stories(train, storyworld.stories(200, split="valid"), tokenizer)
    _, config, settings, training = RUNGS["GPT"]
    for seed in range(a.seeds):
        torch.manual_seed(seed)
        model = textgen.GPT(config(vocab_size=len(tokenizer), **settings))
        checkpoint = a.kept and a.kept / f"heads-{seed}"
        textgen.fit(model, data, a.steps, BATCH_SIZE, seed=seed, checkpoint=checkpoint, **training)
        found = record["runs"][str(seed)] = measure(model, tokenizer, few, test, seed)
        print(f"seed {seed}: {found['found']}, {found['without']} left of {found['recall']}", flush=True)
        common.save(a.record, record | {"stories": a.test, "few": a.few})


if __name__ == "__main__":
    main()
