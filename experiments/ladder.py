"""Every rung of the ladder on the same stories with the same budget of tokens, three seeds each.

    python experiments/ladder.py                 all rungs, into book/textgen/results/ladder.json
    python experiments/ladder.py --rungs GPT     one of them; the others' figures stay

The chapters train the same models with the same settings and compare their figures with this record.
"""

from argparse import ArgumentParser, Namespace

import common
import textgen
import torch
from textgen import corpus, metrics, storyworld
from textgen.tokenizer import Tokenizer

STEPS, BATCH_SIZE = 600, 24  # the GPT takes about a minute for these on two cores
# Model, its settings, and how it is trained where that is not `fit`'s default ("times" the steps): of the rates tried for each
# (six or more, with Muon and without), the one with the fewest bits per character on one seed.
RUNGS = {
    "Bigram": (textgen.Bigram, textgen.BigramConfig, {}, {"lr": 0.1, "weight_decay": 0.0}),
    "WindowMLP": (
        textgen.WindowMLP,
        textgen.WindowMLPConfig,
        {"n_embd": 64, "n_hidden": 360, "window": 8},
        {"lr": 0.004, "muon_lr": 0},
    ),
    "RNN": (textgen.RNN, textgen.RNNConfig, {"n_embd": 96, "n_hidden": 365}, {}),
    "LSTM": (
        textgen.LSTM,
        textgen.LSTMConfig,
        {"n_embd": 96, "n_hidden": 208},
        {"lr": 0.016, "muon_lr": 0.03},
    ),
    "GPT": (textgen.GPT, textgen.GPTConfig, {"block_size": 192, "n_layer": 3, "n_head": 4, "n_embd": 96}, {}),
}


def trained(rung: tuple, seed: int, data, steps: int) -> tuple:
    """Train one rung with one seed; return the model, and the history of its training."""
    kind, config, settings, training = rung
    torch.manual_seed(seed)
    model = kind(config(vocab_size=len(data.tokenizer), **settings))
    training = {"batch_size": BATCH_SIZE, "times": 1} | training
    steps = max(1, round(steps * training.pop("times")))
    return model, textgen.fit(model, data, steps, seed=seed, **training)


def run(rung: tuple, seed: int, train: list, test: list, steps: int, edges: tuple = ()) -> dict:
    """Train one rung with one seed; its figures on the held-out stories, recall by distance where `edges` are given."""
    tokenizer = Tokenizer.word([story.text for story in train])
    data = corpus.stories(train, storyworld.stories(200, split="valid"), tokenizer)
    model, history = trained(rung, seed, data, steps)
    return {
        "bits": metrics.bits_per_char(model, tokenizer, test),
        "seconds": history.seconds,
        "parameters": model.num_parameters(),
        "recall": metrics.average(metrics.recall(model, tokenizer, test), edges),
    }


def summary(runs: list[dict]) -> dict:
    """Mean over the seeds, with half the range as spread; recall of each seed, or mean recall by distance."""
    bits = [r["bits"] for r in runs]
    recall = {key: [r["recall"].get(key, 0.0) for r in runs] for key in runs[0]["recall"]}
    if any(isinstance(key, tuple) for key in recall):
        recall = [[*key, round(sum(values) / len(values), 3)] for key, values in recall.items()]
    else:
        recall = {kind: [round(value, 3) for value in values] for kind, values in recall.items()}
    return {
        "bits_per_char": round(sum(bits) / len(bits), 4),
        "spread": round((max(bits) - min(bits)) / 2, 4),
        "parameters": runs[0]["parameters"],
        "seconds": round(sum(r["seconds"] for r in runs) / len(runs)),
        "seeds": len(runs),
        "recall": recall,
    }


def options(name: str, doc: str, rungs: dict) -> ArgumentParser:
    """The arguments of an experiment that trains `rungs`."""
    found = common.parser(name, doc, seeds=3, steps=STEPS, stories=20_000, test=1_000)
    found.add_argument("--rungs", nargs="+", default=list(rungs), choices=rungs)
    return found


def measure(a: Namespace, rungs: dict, key: str = "rungs", edges: tuple = ()) -> None:
    """Train the rungs asked for and write the record, in the order of `rungs`."""
    train, test = storyworld.stories(a.stories), storyworld.stories(a.test, split="test")
    record = common.load(a, key) | {"entropy": round(storyworld.entropy(test), 4)}
    for name in a.rungs:
        runs = []
        for seed in range(a.seeds):
            runs.append(run(rungs[name], seed, train, test, a.steps, edges))
            bits, seconds = runs[-1]["bits"], runs[-1]["seconds"]
            print(f"{name}, seed {seed}: {bits:.4f} bits per character, {seconds:.0f} s", flush=True)
        found = record[key] | {name: summary(runs)}
        record[key] = {rung: found[rung] for rung in rungs if rung in found}
        common.save(a.record, record)


if __name__ == "__main__":
    measure(options("ladder", __doc__, RUNGS).parse_args(), RUNGS)
