"""How fast, beside what: `make bench` times the course beside its peers and writes book/textgen/results/bench.json.

    make bench                                        beside Hugging Face, and what everything costs
    make bench NANOGPT=path/model.py TEXT=text.txt    beside a nanoGPT file too, and the time to equal loss on a text
    make bench ONLY="train generate"                  some parts; the others keep their record
    make bench TRIED=1 TEXT=text.txt                  instead: what was tried to train faster

The two sides of a pair run in turns in one process. A row that needs an option which is not given stays as recorded.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "book"), str(ROOT / "tools")]

import cost
import learning
import text_file
import textgen
import torch
from pairs import load_peer, share_of_products, training_sides, turns, writing_sides
from rows import kept, line, on, regressions, row
from textgen import corpus, storyworld
from textgen.files import write_atomically
from textgen.recorded import RESULTS

POCKET = {"block_size": 256, "n_layer": 4, "n_head": 4, "n_embd": 128}
FULL = {  # what is measured; the tests measure less
    "rounds": 9,
    "text": 300_000,  # characters to train on
    "train": {  # shape, rows a step, steps a round
        "nanoGPT's size": (learning.SHAPE, 12, 30),
        "pocket-gpt's size": (POCKET, 16, 5),
    },
    "generate": {1: 5, 64: 3},  # texts at once: rounds
    "new_tokens": 240,
    "loss": {"rounds": 3, "recipe_size": learning.RECIPE, "our_size": learning.OURS},
    "shapes": [(4, 32), (4, 64), (4, 128), (4, 256), (8, 320)],  # n_layer, n_embd: 0.1M to 10M parameters
    "blocks": [64, 128, 256, 512, 1024],
    "tokens": 4096,  # in a step of the curves
    "megabytes": [1, 5, 20, 100],  # of text to read
    "tried": None,  # all
}


def text_of(folder: str, characters: int) -> Path:
    """Write stories of that many characters in all to a file."""
    path, stories = Path(folder) / f"{characters}.txt", storyworld.stories(characters // 250 + 1)
    path.write_text("\n\n".join(story.text for story in stories)[:characters], encoding="utf-8")
    return path


def train(a, size: dict, record: dict) -> None:
    """Tokens per second in training, AdamW on both sides; beside it Muon's."""
    _, tokenizer = textgen.load("pocket-gpt")
    with tempfile.TemporaryDirectory() as folder:
        path = text_of(folder, size["text"])
        texts = {64: corpus.text_file(path), 256: corpus.text_file(path, tokenizer)}
    for title, (shape, batch, steps) in size["train"].items():
        data = texts[shape["block_size"]]
        found = turns(training_sides(data, shape, batch, steps, a.peer), size["rounds"])
        record.setdefault("products", {})[title] = round(share_of_products(data, shape, batch), 3)
        ours, muon = found.pop("the course"), found.pop("the course with Muon")
        pairs = {f"beside {name}": (ours, rates) for name, rates in found.items()}
        pairs["Muon beside AdamW"] = (muon, ours)
        more = {"part": "train", "batch": batch, "threads": a.threads, "on": a.on}
        for name, pair in pairs.items():
            record["pairs"][f"training, {title}, {name}"] = row("tokens per second", *pair, **more)


def generate(a, size: dict, record: dict) -> None:
    """Tokens per second in writing with pocket-gpt, each side on the number of threads that suits it best."""
    for texts, rounds in size["generate"].items():
        threads, peer = sorted({1, a.threads}), a.peer if texts == 1 else None  # it would take minutes for 64
        best = {}
        for (name, n), rates in turns(
            writing_sides(texts, size["new_tokens"], threads, peer), rounds
        ).items():
            if statistics.median(rates) > statistics.median(best.get(name, ([0], 0))[0]):
                best[name] = rates, n
        ours, n = best.pop("the course")
        for name, (theirs, m) in best.items():
            title = f"writing, {texts} text{'s' * (texts > 1)} at once, beside {name}"
            more = {"part": "generate", "threads": n, "their_threads": m, "on": a.on}
            record["pairs"][title] = row("tokens per second", ours, theirs, **more)


def loss(a, size: dict, record: dict) -> None:
    """Seconds to the held-out loss with which nanoGPT's recipe ends, on a text."""
    if not (a.peer and a.data):
        return
    found = learning.race(a.peer, a.data, **size["loss"])
    more = {"part": "loss", "threads": a.threads, "on": a.on}
    pair = row("seconds", *found.pop("until"), **more)
    record["pairs"]["time to equal loss, beside nanoGPT"] = pair
    same = hashlib.sha256(a.text.read_bytes()).hexdigest() == corpus.SHAKESPEARE_SHA256
    text = "tiny Shakespeare" if same else "a text of the reader's"
    record["loss"] = {"text": text, **size["loss"], "runs": found["runs"], "on": a.on}


def costs(a, size: dict, record: dict) -> None:
    """Seconds and megabytes of a training step by parameters and by block, and of a text by its characters."""
    curves, n = {}, size["tokens"]

    def step(n_layer: int, n_embd: int, block: int) -> dict:
        shape = {"n_layer": n_layer, "n_embd": n_embd, "block_size": block}
        rows = {"batch_size": max(1, n // block), "steps": 3, "threads": a.threads}
        return shape | cost.measure(**shape, **rows)

    curves["parameters"] = [step(*shape, 256) for shape in size["shapes"]]
    curves["block"] = [step(4, 128, block) for block in size["blocks"]]
    curves["text"] = text_file.measure("stories", size["megabytes"], ["char", "word", "bpe"])
    record["costs"] = {"tokens": n, "threads": a.threads, **curves, "on": a.on}


def pages(a, size: dict, record: dict) -> None:
    """Seconds that each page's code ran in the last build, as many pages at once as there are processors."""
    import build

    if not (build.CACHE / "global.db").exists():
        print("  There is no built book here (make book): these seconds are the record's.")
        return
    ran = build.get_cache(build.CACHE).list_cache_records()
    seconds = {Path(one.uri).stem: round(one.data["execution_seconds"], 1) for one in ran}
    names = [path.stem for path in build.notebooks()]
    record["pages"] = {"seconds": {name: seconds[name] for name in names if name in seconds}, "on": a.on}


def live(a, size: dict, record: dict) -> None:
    """The model in the page beside transformers.js, in one browser."""
    folder = ROOT / "bench/live"
    if all((folder / name).exists() for name in ("node_modules", "dist/pocket-gpt/onnx")):
        subprocess.run([sys.executable, folder / "run.py"], check=True)
    else:
        print(
            "  transformers.js is not installed (bench/live/README.md says how): these rows are of its last run."
        )
    record["live"] = json.loads((folder / "results.json").read_text())


def gpu(a, size: dict, record: dict) -> None:
    """What `make gpu` found in its last run."""
    found = json.loads((ROOT / "bench/gpu.json").read_text())
    record["gpu"] = {name: found[name] for name in ("card", "versions", "speed", "large") if name in found}


def tried(a, size: dict, record: dict) -> None:
    """What other settings of `fit` do to the time to equal loss."""
    if not a.data:
        sys.exit("--tried needs --text FILE, the text to learn.")
    runs = record.get("loss", {}).get("runs", {}).get("nanoGPT", [])
    target = statistics.mean(run["loss"] for run in runs) if runs else 1.9
    kept_trials = record.get("tried", {}).get("trials", {})
    record["tried"] = {"target": round(target, 4), "threads": a.threads, "trials": kept_trials, "on": a.on}
    for name, found in learning.attempts(a.data, target, a.threads, size["loss"]["our_size"], size["tried"]):
        record["tried"]["trials"][name] = found
        save(a.record, record)


def save(path: Path, record: dict) -> None:
    """Write what there is so far: a run may be stopped, and go on with --only."""
    write_atomically(path, json.dumps(record, indent=1) + "\n")


PARTS = {part.__name__: part for part in (pages, gpu, live, train, generate, loss, costs, tried)}
USUAL = [name for name in PARTS if name != "tried"]


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line, the peer and the text; ends in one sentence where one of these cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nanogpt", type=Path, help="a Python file that defines nanoGPT's GPT and GPTConfig")
    parser.add_argument("--text", type=Path, help="a text file to learn, for the time to equal loss")
    parser.add_argument("--only", nargs="+", choices=USUAL, default=USUAL, help="the parts to measure")
    parser.add_argument("--tried", action="store_true", help="measure instead what was tried to train faster")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count()), help="threads of either side")
    parser.add_argument("--record", type=Path, default=RESULTS / "bench.json", help="where the figures go")
    a = parser.parse_args(arguments)
    a.peer, a.on = load_peer(a.nanogpt) if a.nanogpt else None, on()
    try:
        a.data = corpus.text_file(a.text) if a.text else None
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"--text: {error}")
    return a


def main(arguments: list[str] | None = None, size: dict = FULL) -> None:
    """Measure what is asked for, write the record after each part, and say what got worse."""
    a, start = options(arguments), time.perf_counter()
    torch.set_num_threads(a.threads)
    before = json.loads(a.record.read_text()) if a.record.exists() else {"pairs": {}}
    record = before | {"command": "make bench", "pairs": dict(before["pairs"])}
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"Other work runs here too (load {load:.1f}); the spread shows how much it disturbs.")
    names = ["tried"] if a.tried else a.only
    for name in names:
        begun = time.perf_counter()
        print(f"{name}: {PARTS[name].__doc__}", flush=True)
        PARTS[name](a, size, record)
        save(a.record, record)
        print(f"  [{name}: {time.perf_counter() - begun:.0f} s]", flush=True)
    old, new = before["pairs"], record["pairs"]
    fresh = [line(name, pair) for name, pair in new.items() if pair is not old.get(name)]
    print("", *fresh, *kept(old, new, names), *regressions(old, new), sep="\n")
    print(f"[{time.perf_counter() - start:.0f} s] To show it on its page: make notebooks ONLY=how-fast")


if __name__ == "__main__":
    main()
