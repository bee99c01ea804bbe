"""What one training, or the reading of one text, costs: in a process of its own, so that its peak memory is its own.

    python bench/cost.py '{"n_layer": 4, "n_embd": 128, "block_size": 256, "batch_size": 16, "steps": 3, "threads": 1}'
    python bench/cost.py '{"text": "my-text.txt", "tokenizer": "char"}'

`cpu.py` and `text_file.py` call it; it prints JSON.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
STATUS, REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Random:
    """Token ids at random: what they say makes no difference to what a step costs."""

    def __init__(self, vocab_size: int):
        self.vocab_size = vocab_size

    def batch(self, split: str, batch_size: int, block_size: int, generator=None):
        """Return ids and targets (B, T)."""
        import torch

        rows = torch.randint(self.vocab_size, (batch_size, block_size + 1), generator=generator)
        return rows[:, :-1], rows[:, 1:]


def forget_peak() -> None:
    """Let the peak begin anew at what is in use; only Linux can."""
    if REFS.exists():
        REFS.write_text("5")


def peak() -> int:
    """Return the most bytes of memory that this process has had at once.

    Linux's ru_maxrss cannot say: there a process inherits its parent's.
    """
    if STATUS.exists():
        (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS gives it in bytes


def training(n_layer: int, n_embd: int, block_size: int, batch_size: int, steps: int, threads: int) -> dict:
    """Seconds a step of `fit`, the median after the first, and the megabytes at its peak beside the libraries."""
    import textgen
    import torch

    torch.set_num_threads(threads)
    shape, data = {"vocab_size": 1024, "n_head": 4}, Random(1024)
    rare = {"eval_every": steps + 1, "eval_rows": 1, "device": "cpu"}
    small = textgen.GPT(textgen.GPTConfig(block_size=8, n_layer=1, n_embd=8, **shape))
    textgen.fit(small, data, steps=1, batch_size=1, **rare)  # loads all that is loaded on first use
    forget_peak()
    before = peak()
    model = textgen.GPT(textgen.GPTConfig(block_size=block_size, n_layer=n_layer, n_embd=n_embd, **shape))
    history = textgen.fit(model, data, steps=steps + 1, batch_size=batch_size, **rare)
    ends = [seconds for _, seconds, _ in history.train]
    seconds = statistics.median(later - end for end, later in pairwise(ends))
    return {"parameters": model.num_parameters(), "seconds": seconds, "megabytes": (peak() - before) / 1e6}


def reading(text: str, tokenizer: str) -> dict:
    """Seconds to make a text file into data for `fit`, and the megabytes at its peak beside the libraries."""
    from textgen import corpus

    small = Path(text).with_suffix(".small")
    small.write_text("a b c d e f g h i j", encoding="utf-8")
    corpus.text_file(small, tokenizer)
    forget_peak()
    before, start = peak(), time.perf_counter()
    data = corpus.text_file(text, tokenizer)
    seconds = time.perf_counter() - start
    characters = sum(len(part) for (part,) in data.texts.values())
    return {"characters": characters, "seconds": seconds, "megabytes": (peak() - before) / 1e6}


def measure(**what) -> dict:
    """Have a new process measure it."""
    command = [sys.executable, __file__, json.dumps(what)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    found |= {"seconds": round(found["seconds"], 4), "megabytes": round(found["megabytes"], 1)}
    print(f"  {', '.join(f'{name} {value}' for name, value in (what | found).items())}", flush=True)
    return found


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(reading(**asked) if "text" in asked else training(**asked)))
