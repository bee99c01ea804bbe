"""Every page and the package's own tests on an accelerator: `make gpu` writes what it saw to bench/gpu.json.

    make gpu                       in the book's environment
    make gpu PY=python3            with another Python that has PyTorch, Jupyter's client and the package's needs

Each page runs in a fresh kernel as a reader's would: figures off their record are counted, not raised. It runs twice,
with the accelerator and without, several pages at a time, so that their seconds compare on one machine.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "tools")]

from toc import notebooks

RECORD = ROOT / "bench/gpu.json"
# Everything but browser, build, Colab and what holds texts and notebooks to their rules.
TESTS = [
    "attacks",
    "bias",
    "check_*",
    "contamination",
    "corpus",
    "dialogue",
    "doors",
    "experiments",
    "hub",
    "injection",
    "metrics",
    "models",
    "morse",
    "package",
    "plots",
    "pocket_gpt",
    "requests",
    "rlhf",
    "sample",
    "seq2seq",
    "storyworld",
    "taste",
    "tokenizer",
    "train",
    "unseen",
]
TWO_THREADS = os.environ | {"OMP_NUM_THREADS": "2"}
OFF = re.compile(r"^(.*they differ by more than.*|.*: not true in this run)$", re.MULTILINE)


def run_page(path: Path, gpu: bool) -> dict:
    """Run one notebook in a fresh kernel; its seconds, what raised, and its figures off their record."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    hidden = {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
    paths = os.pathsep.join([str(ROOT / "book"), os.environ.get("PYTHONPATH", "")])
    environment = TWO_THREADS | {"PYTHONPATH": paths} | hidden
    nb, found = nbformat.read(path, as_version=4), {}
    client = NotebookClient(nb, timeout=600, resources={"metadata": {"path": str(ROOT / "book")}})
    start = time.perf_counter()
    try:
        client.execute(env=environment)
    except CellExecutionError as error:
        found["raised"] = str(error).strip().splitlines()[-1]
    found["seconds"] = round(time.perf_counter() - start, 1)
    said = "\n".join(o.get("text", "") for cell in nb.cells for o in cell.get("outputs", []))
    return found | {"off": OFF.findall(said)}


def run_pages(paths: list[Path], gpu: bool, at_once: int) -> dict:
    """Run all pages, some at a time."""
    found = {}
    with ThreadPoolExecutor(at_once) as pool:
        for path, page in zip(paths, pool.map(lambda path: run_page(path, gpu), paths)):
            print(
                f"{path.stem:24} {'GPU' if gpu else 'CPU'} {page['seconds']:6.1f} s", page.get("raised", "")
            )
            print(*(f"    {line}\n" for line in page["off"]), sep="", end="", flush=True)
            found[path.stem] = page
    return found


def run_tests(at_once: int) -> str:
    """Run the package's own tests, and return pytest's last line."""
    names = [str(path) for name in TESTS for path in sorted((ROOT / "tests").glob(f"test_{name}.py"))]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        str(at_once),
        "--dist",
        "loadfile",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, *names], cwd=ROOT, env=TWO_THREADS, capture_output=True, text=True, check=False
    )
    print(done.stdout[-6000:], flush=True)
    return done.stdout.strip().splitlines()[-1]


def speed() -> dict:
    """Tokens per second of pocket-gpt: in `fit`, and writing 200 tokens beside Hugging Face's `generate` with its cache."""
    import textgen
    import torch
    from textgen import corpus, hub, storyworld
    from transformers import GPT2LMHeadModel

    device = "cuda"
    model, tokenizer = textgen.load("pocket-gpt")
    texts = storyworld.stories(4000)
    data = corpus.stories(texts, texts[:10], tokenizer)
    textgen.fit(model, data, steps=20, batch_size=256)
    history = textgen.fit(model, data, steps=200, batch_size=256, eval_every=200)
    found = {"fit, tokens per second": round(history.tokens / history.seconds)}
    model, _ = textgen.load("pocket-gpt")
    prompt, texts = "Once there was", {}
    ids = torch.tensor([[tokenizer.bos, *tokenizer.encode(prompt)]])
    texts["cpu"] = textgen.generate(model, tokenizer, [prompt] * 16, 200, seed=1)
    model.to(device)
    texts["gpu"] = textgen.generate(model, tokenizer, [prompt] * 16, 200, seed=1)
    found["texts of 16 that equal the CPU's"] = sum(a == b for a, b in zip(texts["cpu"], texts["gpu"]))
    theirs = GPT2LMHeadModel.from_pretrained(hub.WEIGHTS / "pocket-gpt").to(device).eval()
    options = {"do_sample": True, "max_new_tokens": 200, "min_new_tokens": 200, "use_cache": True, "top_k": 0}

    def ours(n):
        textgen.generate(model, tokenizer, [prompt] * n, 200, stop=False)

    def hugging_face(n):
        theirs.generate(ids.to(device).expand(n, -1), pad_token_id=0, **options)

    for n in (1, 64, 256):
        rates = {}
        for name, write in (("ours", ours), ("Hugging Face", hugging_face)):
            times = []
            for _ in range(4):  # the first warms up
                torch.cuda.synchronize()
                start = time.perf_counter()
                write(n)
                torch.cuda.synchronize()
                times.append(time.perf_counter() - start)
            rates[name] = round(200 * n / min(times[1:]))
        found[f"generate, batch {n}"] = rates | {"ratio": round(rates["ours"] / rates["Hugging Face"], 2)}
    return found


def matrix_rate(n: int = 8192, rounds: int = 20) -> float:
    """The card's floating-point operations per second in products of large bfloat16 matrices: its measured best."""
    import torch

    a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(rounds):
        a @ b
    torch.cuda.synchronize()
    return 2 * n**3 * rounds / (time.perf_counter() - start)


def operations(n_layer: int, n_embd: int, vocab_size: int, block_size: int) -> int:
    """Return the operations of a GPT's training for one token of a full block.

    They are 6 a parameter and 12 n_layer n_embd block_size for attention (Chowdhery et al. 2022, arXiv:2204.02311,
    appendix B).
    """
    import textgen
    import torch

    shape = {"n_layer": n_layer, "n_embd": n_embd, "vocab_size": vocab_size, "block_size": block_size}
    with torch.device("meta"):  # to be counted, not computed
        parameters = textgen.GPT(textgen.GPTConfig(**shape)).num_parameters()
    return 6 * parameters + 12 * n_layer * n_embd * block_size


def large(steps: int = 60, rows: int = 16) -> dict:
    """GPT-2 of 124 million parameters in `fit`, 16 rows of 1,024 tokens: tokens per second, and share of the card's rate.

    The first quarter of the steps, in which compiling falls, is not counted.
    """
    import textgen
    import torch
    from cost import Random

    rate, found = matrix_rate(), {}
    shape = {"n_layer": 12, "n_embd": 768, "vocab_size": 50304, "block_size": 1024}
    for compile in (False, True):
        torch.manual_seed(0)
        model = textgen.GPT(textgen.GPTConfig(n_head=12, **shape))
        options = {"eval_every": steps // 4, "eval_rows": 1, "compile": compile}
        history = textgen.fit(model, Random(50257), steps, rows, **options)
        began, ended = history.valid[1][1], history.valid[-1][1]  # each waits for the card
        speed = 0.75 * history.tokens / (ended - began)
        name = "compiled" if compile else "as it is"
        found[name] = {
            "tokens per second": round(speed),
            "share of the rate": round(speed * operations(**shape) / rate, 3),
        }
    return found | {"matrix rate, TFLOP per second": round(rate / 1e12)}


def main() -> int:
    """Run what is asked for; return 0 when no page raised and no test failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--at-once", type=int, default=max(1, os.cpu_count() // 2), help="pages that run side by side"
    )
    parser.add_argument("--only", default="", help="pages whose names begin so")
    parser.add_argument("--without", nargs="*", default=[], choices=["cpu", "tests", "speed"])
    a = parser.parse_args()
    import torch
    import transformers

    if not torch.cuda.is_available():
        print("PyTorch finds no CUDA device here: tests/test_gpu.py shows what can be shown without one.")
        return 1
    record = {
        "card": torch.cuda.get_device_name(0),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    record["versions"]["transformers"] = transformers.__version__
    paths = notebooks(only=a.only)[::-1]  # the long ones first

    def keep(**found) -> None:
        """Write what there is so far: a machine may be gone before the end."""
        record.update(found)
        RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    if "speed" not in a.without:
        keep(speed=speed())
        keep(large=large())
        print(json.dumps(record, indent=2), flush=True)
    keep(pages=run_pages(paths, True, a.at_once))
    if "cpu" not in a.without:
        for name, page in run_pages(paths, False, a.at_once).items():
            record["pages"][name]["seconds on the CPU"] = page["seconds"]
    if "tests" not in a.without:
        keep(tests=run_tests(a.at_once))
    keep()
    raised = [name for name, page in record["pages"].items() if "raised" in page]
    return int(bool(raised) or "failed" in record.get("tests", ""))


if __name__ == "__main__":
    sys.exit(main())
