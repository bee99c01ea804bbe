"""What a reward model learns from the listener's noisy labels: accuracy against the ceiling, and calibration.

    python experiments/rlhf_reward.py                    all sizes, into book/textgen/results/rlhf_reward.json
    python experiments/rlhf_reward.py --sizes 2000       one of them; the others' figures stay

A pair is one opening sentence that pocket-gpt continues twice; the listener says, noisily, which story is the better
one. No model can agree with fresh labels more often than the taste behind them does: that is the ceiling. A run that
the record holds is not repeated, so a recording that was stopped goes on.
"""

import gzip
import json
import random
import re
import time
from pathlib import Path

import common
import textgen
import torch
from textgen import corpus, metrics, rlhf, storyworld
from textgen.files import write_atomically
from textgen.storyworld.taste import sigmoid

SIZES, EPOCHS, BATCH_SIZE, LR, KIND = (500, 2000, 8000), 2, 32, 1e-3, "<|story|>"
TEST_SEED = 1000  # of the noise in the labels of test pairs
SWAPS = {"angry": "worried", "market": "river", "blue": "green", "sad": "happy"}  # words that share a place
MEAL, TIMES = " They shared a plum cake.", (1, 2, 8)
KEPT = Path(__file__).resolve().parents[1] / "_build/rlhf"


def write(n: int, split: str) -> list[tuple[str, str, str]]:
    """`n` opening sentences of the grammar, each with two continuations by pocket-gpt at temperature 1."""
    gpt, tokenizer = textgen.load("pocket-gpt")
    openings = [opening(story.text) for story in storyworld.stories(n, seed=6, split=split) for _ in range(2)]
    texts = textgen.generate(gpt, tokenizer, [KIND + text for text in openings], 200, seed=6)
    rest = [text[len(KIND + start) :] for text, start in zip(texts, openings)]
    return [*zip(openings[::2], rest[::2], rest[1::2])]


def opening(text: str) -> str:
    """The first sentence of a story, with which all of chapter 06 prompts."""
    return text[: text.index(".") + 1]


def comparisons(train: int, test: int, folder: Path) -> dict[str, list]:
    """Pairs to train on and to test on, and the listener's scores of both texts of each, written once."""
    path, listener = folder / f"pairs-{train}-{test}.json", storyworld.Listener()
    if not path.exists():
        began, found = time.perf_counter(), {"train": write(train, "train"), "test": write(test, "test")}
        for split in ("train", "test"):
            texts = [(prompt + a, prompt + b) for prompt, a, b in found[split]]
            found[f"{split} worth"] = [[listener.score(text) for text in pair] for pair in texts]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(found))
        print(f"{train:,} and {test:,} pairs in {time.perf_counter() - began:.0f} s", flush=True)
    return json.loads(path.read_text())


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


def ship(found: dict, path: Path, n: int = 1000) -> None:
    """Write the first `n` pairs of each split with their labels and scores, for `storyworld.comparisons`."""
    rows = {}
    for split, seed in (("train", 0), ("test", TEST_SEED)):
        worth = [[round(x, 4) for x in pair] for pair in found[f"{split} worth"][:n]]
        labelled = label(found[split][:n], found[f"{split} worth"], seed)
        rows[split] = [[*pair, scores] for pair, scores in zip(labelled, worth)]
    write_atomically(path, gzip.compress(json.dumps(rows).encode(), mtime=0))


def calibration(margins: torch.Tensor, first: torch.Tensor, bins: int = 10) -> list[list[float]]:
    """Of pairs in ten bins by the model's P(a is preferred): its mean there, the share that was, their number."""
    p = margins.sigmoid()
    place = (p * bins).long().clamp(max=bins - 1)
    groups = [(p[place == i], first[place == i]) for i in range(bins)]
    return [[round(float(q.mean()), 3), round(float(f.mean()), 3), len(q)] for q, f in groups if len(q)]


def trained(found: dict, size: int, seed: int, folder: Path, steps: int | None = None) -> tuple:
    """A reward model of `size` pairs under the labels of `seed`, its history, and the labelled test pairs."""
    gpt, tokenizer = textgen.load("pocket-gpt")
    model, steps = rlhf.RewardModel(gpt), steps or EPOCHS * size // BATCH_SIZE
    train = label(found["train"][:size], found["train worth"], seed)
    test = label(found["test"], found["test worth"], seed=TEST_SEED)
    options = {"lr": LR, "seed": seed, "eval_every": steps, "eval_rows": 256, "device": "cpu"}
    data, kept = corpus.pairs(train, test, tokenizer), folder / f"reward-{size}-{seed}"
    history = textgen.fit(model, data, steps, BATCH_SIZE, checkpoint=kept, **options)
    return model.requires_grad_(False), history, test


def figures(model: rlhf.RewardModel, history, test: list, worth: torch.Tensor) -> dict:
    """What a reward model makes of labelled test pairs, of which `worth` (n, 2) is known without noise."""
    found = scores(model, textgen.load("pocket-gpt")[1], [pair[:3] for pair in test]).double()
    first = torch.tensor([pair[3] == 0 for pair in test])
    margins, clean = found[:, 0] - found[:, 1], worth[:, 0] - worth[:, 1]
    right, ordered = (margins > 0) == first, ((margins > 0) == (clean > 0))[clean != 0]
    found = {
        "accuracy": float(right.double().mean()),
        "order": float(ordered.double().mean()),
        "correlation": float(torch.corrcoef(torch.stack([found.flatten(), worth.flatten()]))[0, 1]),
        "deviation": float(found.std()),
        "loss": history.valid[-1][2],
        "train_loss": sum(loss for *_, loss in history.train[-50:]) / len(history.train[-50:]),
    }
    found = {name: round(value, 4) for name, value in found.items()}
    found["interval"] = [round(x, 4) for x in metrics.wilson(int(right.sum()), len(right))]
    found["calibration"] = calibration(margins, first.double())
    return found | {"steps": len(history.train), "seconds": round(history.seconds)}


def probes(model: rlhf.RewardModel, texts: list[str], most: int = 100) -> dict:
    """What a word in another's place, and a kind act too many, change on average: the model's score, the listener's."""
    cases = {f"{a}, {b}": [(text, re.sub(rf"\b{a}\b", b, text)) for text in texts] for a, b in SWAPS.items()}
    plain = [text for text in texts if "shared" not in text and " Q: " in text and len(text.split()) < 100]
    for times in TIMES:
        cases[f"{times} x"] = [(text, text.replace(" Q: ", MEAL * times + " Q: ", 1)) for text in plain]
    listener, tokenizer, found = storyworld.Listener(), textgen.load("pocket-gpt")[1], {}
    for name, case in cases.items():
        changed = [("", before, after) for before, after in case if before != after][:most]
        if len(changed) > 1:
            hers = [listener.score(after) - listener.score(before) for _, before, after in changed]
            before, after = scores(model, tokenizer, changed).T
            means = {"model": (after - before).mean(), "listener": sum(hers) / len(hers)}
            low, high = metrics.bootstrap((after - before).tolist())
            found[name] = {key: round(float(value), 3) for key, value in means.items()}
            found[name] |= {"interval": [round(low, 3), round(high, 3)], "stories": len(changed)}
    return found


def main(arguments: list[str] | None = None) -> None:
    """Write and label the pairs, train on each size asked for and write the record."""
    options = common.parser("rlhf_reward", __doc__, seeds=3, steps=None, train=max(SIZES), test=5000)
    options.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="pairs to train on")
    options.add_argument("--kept", type=Path, default=KEPT, help="where pairs and reward models are kept")
    options.add_argument("--ship", action="store_true", help="only write the pairs that ship with the course")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    if a.ship:
        return ship(comparisons(a.train, a.test, a.kept), storyworld.taste.COMPARISONS)
    record, pairs = common.load(a, "sizes"), comparisons(a.train, a.test, a.kept)
    worth = torch.tensor(pairs["test worth"], dtype=torch.float64)
    margins = (worth[:, 0] - worth[:, 1]).abs()
    record |= {
        "test": a.test,
        "ceiling": round(float(margins.sigmoid().mean()), 4),
        "ties": round(float((margins == 0).double().mean()), 4),
        "mean": round(float(worth.mean()), 4),
        "spread": round(float(worth.std()), 4),
    }
    for size in a.sizes:
        runs = record["sizes"].setdefault(str(size), {})
        for seed in range(a.seeds):
            if str(seed) not in runs:
                model, history, test = trained(pairs, size, seed, a.kept, a.steps)
                runs[str(seed)] = figures(model, history, test, worth)
                runs[str(seed)]["probes"] = probes(model, [pair[0] + pair[1] for pair in test])
                print(f"{size} pairs, seed {seed}: {json.dumps(runs[str(seed)])}", flush=True)
                common.save(a.record, record)


if __name__ == "__main__":
    main()
