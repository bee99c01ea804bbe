"""What a longer window buys: rung 2 of the ladder with windows of 1 to 32 tokens, three seeds each.

    python experiments/windows.py                into book/textgen/results/windows.json
    python experiments/windows.py --windows 8    one of them; the others' figures stay

All else is as in experiments/ladder.py, whose rung has the window of 8.
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

RECORD = ROOT / "book/textgen/results/windows.json"
WINDOWS = (1, 2, 4, 8, 16, 32)
EDGES = (4, 7, 10, 15, 20, 30)  # of the distances, in words, at which recall is measured


def run(window: int, seed: int, train: list, test: list, steps: int) -> dict:
    """Train one window with one seed; its figures on the held-out stories."""
    tokenizer = Tokenizer.word([story.text for story in train])
    data = corpus.stories(train, storyworld.stories(200, split="valid"), tokenizer)
    settings = {"vocab_size": len(tokenizer), "n_embd": 64, "n_hidden": 360, "window": window}
    torch.manual_seed(seed)
    model = textgen.WindowMLP(textgen.WindowMLPConfig(**settings))
    history = textgen.fit(model, data, steps=steps, batch_size=24, seed=seed)
    bits = metrics.bits_per_char(model, tokenizer, test)
    recall = metrics.average(metrics.recall(model, tokenizer, test), EDGES)
    print(f"window {window} seed {seed}: {bits:.4f} bits per character, {history.seconds:.0f} s", flush=True)
    return {"bits": bits, "recall": recall, "parameters": model.num_parameters()}


def summary(runs: list[dict]) -> dict:
    """Means over the seeds, with half the range as spread; recall as rows of kind, least distance, fraction."""
    bits = [r["bits"] for r in runs]
    recall = {key: sum(r["recall"].get(key, 0.0) for r in runs) / len(runs) for key in runs[0]["recall"]}
    return {
        "bits_per_char": round(sum(bits) / len(bits), 4),
        "spread": round((max(bits) - min(bits)) / 2, 4),
        "parameters": runs[0]["parameters"],
        "seeds": len(runs),
        "recall": [[kind, least, round(value, 3)] for (kind, least), value in recall.items()],
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure the windows asked for and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--windows", nargs="+", type=int, default=WINDOWS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1100)
    parser.add_argument("--stories", type=int, default=20_000, help="stories to train on")
    parser.add_argument("--test", type=int, default=1_000, help="held-out stories to measure on")
    parser.add_argument("--record", type=Path, default=RECORD)
    a = parser.parse_args(arguments)
    train, test = storyworld.stories(a.stories), storyworld.stories(a.test, split="test")
    record = json.loads(a.record.read_text()) if a.record.exists() else {"windows": {}}
    record |= {"command": "python experiments/windows.py", "entropy": round(storyworld.entropy(test), 4)}
    for window in a.windows:
        runs = [run(window, seed, train, test, a.steps) for seed in range(a.seeds)]
        found = record["windows"] | {str(window): summary(runs)}
        record["windows"] = {key: found[key] for key in sorted(found, key=int)}
        write_atomically(a.record, json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
