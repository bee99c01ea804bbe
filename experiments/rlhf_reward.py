"""What a reward model learns from the listener's noisy labels: accuracy against the ceiling, and calibration.

    python experiments/rlhf_reward.py                    all sizes, into book/textgen/results/rlhf_reward.json
    python experiments/rlhf_reward.py --sizes 2000       one of them; the others' figures stay

A pair is one opening sentence that pocket-gpt continues twice; the listener says, noisily, which story is the better
one. No model can agree with fresh labels more often than the taste behind them does: that is the ceiling. A run that
the record holds is not repeated, so a recording that was stopped goes on.
"""

import json
import random
import time

import common
import textgen
import torch
from textgen import corpus, metrics, rlhf, storyworld
from textgen.storyworld.taste import sigmoid

SIZES, EPOCHS, BATCH_SIZE, LR, KIND = (500, 2000, 8000), 3, 32, 1e-3, "<|story|>"


def write(n: int, split: str) -> list[tuple[str, str, str]]:
    """`n` opening sentences of the grammar, each with two continuations by pocket-gpt at temperature 1."""
    gpt, tokenizer = textgen.load("pocket-gpt")
    stories = storyworld.stories(n, seed=6, split=split)
    openings = [KIND + s.text[: s.text.index(".") + 1] for s in stories for _ in range(2)]
    texts = textgen.generate(gpt, tokenizer, openings, 200, seed=6)
    rest = [text[len(opening) :] for text, opening in zip(texts, openings)]
    return [*zip([opening.removeprefix(KIND) for opening in openings[::2]], rest[::2], rest[1::2])]


def label(pairs: list, worth: list, seed: int) -> list[tuple[str, str, str, int]]:
    """The pairs with the listener's choice: `worth` has her scores of both, the noise is drawn here."""
    rng = random.Random(seed)
    return [(*pair, int(rng.random() >= sigmoid(a - b))) for pair, (a, b) in zip(pairs, worth)]


@torch.no_grad()
def scores(model: rlhf.RewardModel, tokenizer, pairs: list) -> torch.Tensor:
    """The model's scores (n, 2) of both texts of each pair."""
    prompts, *texts = ([tokenizer.encode(text) for text in part] for part in zip(*pairs))
    columns = []
    for part in texts:
        found = []
        for at in range(0, len(part), 64):
            contexts = [tokenizer.prefix() + ids for ids in prompts[at : at + 64]]
            rows = [ids + [tokenizer.bos] for ids in part[at : at + 64]]
            found.append(model.score(*corpus.padded(contexts, rows, tokenizer.bos)))
        columns.append(torch.cat(found))
    return torch.stack(columns, dim=1)


def calibration(margins: torch.Tensor, first: torch.Tensor, bins: int = 10) -> list[list[float]]:
    """Of pairs in ten bins by the model's P(a is preferred): its mean there, the share that was, their number."""
    p = margins.sigmoid()
    place = (p * bins).long().clamp(max=bins - 1)
    groups = [(p[place == i], first[place == i]) for i in range(bins)]
    return [[round(float(q.mean()), 3), round(float(f.mean()), 3), len(q)] for q, f in groups if len(q)]


def run(tokenizer, train: list, test: list, worth: torch.Tensor, seed: int, steps: int | None) -> dict:
    """Train on labelled pairs; figures on labelled test pairs, of which `worth` (n, 2) is known without noise."""
    model = rlhf.RewardModel(textgen.load("pocket-gpt")[0])
    steps = steps or EPOCHS * len(train) // BATCH_SIZE
    options = {"lr": LR, "seed": seed, "eval_every": steps, "eval_rows": 256, "device": "cpu"}
    history = textgen.fit(model, corpus.pairs(train, test, tokenizer), steps, BATCH_SIZE, **options)
    found = scores(model, tokenizer, [pair[:3] for pair in test]).double()
    first = torch.tensor([pair[3] == 0 for pair in test])
    margins, clean = found[:, 0] - found[:, 1], worth[:, 0] - worth[:, 1]
    right, ordered = (margins > 0) == first, ((margins > 0) == (clean > 0))[clean != 0]
    correlation = torch.corrcoef(torch.stack([found.flatten(), worth.flatten()]))[0, 1]
    figures = {
        "accuracy": float(right.double().mean()),
        "interval": [round(x, 4) for x in metrics.wilson(int(right.sum()), len(right))],
        "order": float(ordered.double().mean()),
        "correlation": float(correlation),
        "deviation": float(found.std()),
        "loss": history.valid[-1][2],
        "train_loss": sum(loss for *_, loss in history.train[-50:]) / len(history.train[-50:]),
    }
    figures = {name: value if name == "interval" else round(value, 4) for name, value in figures.items()}
    return figures | {
        "calibration": calibration(margins, first.double()),
        "steps": steps,
        "seconds": round(history.seconds),
    }


def main(arguments: list[str] | None = None) -> None:
    """Write and label the pairs, train on each size asked for and write the record."""
    options = common.parser("rlhf_reward", __doc__, seeds=3, steps=None, test=5000)
    options.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="pairs to train on")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    record, listener = common.load(a, "sizes"), storyworld.Listener()
    _, tokenizer = textgen.load("pocket-gpt")
    began = time.perf_counter()
    train, test = write(max(a.sizes), "train"), write(a.test, "test")
    worth = [[listener.score(prompt + text) for text in (x, y)] for prompt, x, y in train + test]
    labelled, held_out = worth[: len(train)], worth[len(train) :]
    print(f"{len(train):,} and {len(test):,} pairs in {time.perf_counter() - began:.0f} s", flush=True)
    clean = torch.tensor(held_out, dtype=torch.float64)
    margins = (clean[:, 0] - clean[:, 1]).abs()
    record |= {
        "test": len(test),
        "ceiling": round(float(margins.sigmoid().mean()), 4),
        "ties": round(float((margins == 0).double().mean()), 4),
        "mean": round(float(clean.mean()), 4),
        "spread": round(float(clean.std()), 4),
    }
    test = label(test, held_out, seed=1000)
    for size in a.sizes:
        runs = record["sizes"].setdefault(str(size), {})
        for seed in range(a.seeds):
            if str(seed) not in runs:
                pairs = label(train[:size], labelled[:size], seed)
                runs[str(seed)] = run(tokenizer, pairs, test, clean, seed, a.steps)
                print(f"{size} pairs, seed {seed}: {json.dumps(runs[str(seed)])}", flush=True)
                common.save(a.record, record)


if __name__ == "__main__":
    main()
