"""Every rung of the ladder on the same stories with the same budget of tokens, three seeds each.

    python experiments/ladder.py                 all rungs, into book/textgen/results/ladder.json
    python experiments/ladder.py --rungs GPT     one of them; the others' figures stay

The chapters train the same models with the same settings and hold their figures against this record.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

import textgen
from textgen import corpus, metrics, storyworld
from textgen.files import write_atomically
from textgen.tokenizer import Tokenizer

RECORD = ROOT / "book/textgen/results/ladder.json"
STEPS, BATCH_SIZE = 1100, 24  # the GPT needs about 90 seconds for these on two cores
RUNGS = {  # model, its settings, and how it is trained where it differs from the others
    "Bigram": (textgen.Bigram, textgen.BigramConfig, {}, {"lr": 0.1, "weight_decay": 0.0}),
    "WindowMLP": (
        textgen.WindowMLP,
        textgen.WindowMLPConfig,
        {"n_embd": 64, "n_hidden": 360, "window": 8},
        {},
    ),
    "RNN": (textgen.RNN, textgen.RNNConfig, {"n_embd": 96, "n_hidden": 365}, {}),
    "LSTM": (textgen.LSTM, textgen.LSTMConfig, {"n_embd": 96, "n_hidden": 208}, {}),
    "GPT": (textgen.GPT, textgen.GPTConfig, {"block_size": 192, "n_layer": 3, "n_head": 4, "n_embd": 96}, {}),
}


def run(rungs: dict, name: str, seed: int, train: list, test: list, steps: int) -> dict:
    """Train one of the rungs with one seed; its figures on the held-out stories."""
    tokenizer = Tokenizer.word([story.text for story in train])
    data = corpus.stories(train, storyworld.stories(200, split="valid"), tokenizer)
    kind, config, settings, training = rungs[name]
    torch.manual_seed(seed)
    model = kind(config(vocab_size=len(tokenizer), **settings))
    training = {"steps": steps, "batch_size": BATCH_SIZE} | training
    history = textgen.fit(model, data, seed=seed, **training)
    bits = metrics.bits_per_char(model, tokenizer, test)
    recall = metrics.average(metrics.recall(model, tokenizer, test))
    print(
        f"{name} seed {seed}: {bits:.4f} bits per character, {history.seconds:.0f} s, recall {recall}",
        flush=True,
    )
    return {
        "bits_per_char": bits,
        "seconds": history.seconds,
        "parameters": model.num_parameters(),
        "recall": recall,
    }


def summary(runs: list[dict]) -> dict:
    """Mean over the seeds, with half the range as spread."""
    bits = [r["bits_per_char"] for r in runs]
    kinds = runs[0]["recall"]
    return {
        "bits_per_char": round(sum(bits) / len(bits), 4),
        "spread": round((max(bits) - min(bits)) / 2, 4),
        "parameters": runs[0]["parameters"],
        "seconds": round(sum(r["seconds"] for r in runs) / len(runs)),
        "seeds": len(runs),
        "recall": {kind: [round(r["recall"].get(kind, 0.0), 3) for r in runs] for kind in kinds},
    }


def record(rungs: dict, path: Path, command: str, arguments: list[str] | None = None) -> None:
    """Measure the rungs asked for and write the record, with the command that makes it."""
    parser = argparse.ArgumentParser(command)
    parser.add_argument("--rungs", nargs="+", default=list(rungs), choices=rungs)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--stories", type=int, default=20_000, help="stories to train on")
    parser.add_argument("--test", type=int, default=1_000, help="held-out stories to measure on")
    parser.add_argument("--record", type=Path, default=path)
    a = parser.parse_args(arguments)
    train, test = storyworld.stories(a.stories), storyworld.stories(a.test, split="test")
    found = json.loads(a.record.read_text()) if a.record.exists() else {"rungs": {}}
    found |= {"command": command, "entropy": round(storyworld.entropy(test), 4)}
    for name in a.rungs:
        runs = [run(rungs, name, seed, train, test, a.steps) for seed in range(a.seeds)]
        found["rungs"][name] = summary(runs)
        ordered = {rung: found["rungs"][rung] for rung in rungs if rung in found["rungs"]}
        write_atomically(a.record, json.dumps(found | {"rungs": ordered}, indent=2) + "\n")


if __name__ == "__main__":
    record(RUNGS, RECORD, "python experiments/ladder.py")
