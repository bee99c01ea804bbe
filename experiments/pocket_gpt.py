"""The recipe of pocket-gpt: makes its texts, trains it, and writes the folder that `textgen.load` reads.

    python experiments/pocket_gpt.py                      as it was made: minutes on a GPU, hours on a CPU
    python experiments/pocket_gpt.py --folder my-gpt      into another folder; --help lists the settings
    python experiments/pocket_gpt.py --checkpoint run     saves the run as it goes, and continues it when called again
    accelerate launch experiments/pocket_gpt.py           in several processes, which share each batch: see README

The weights end on the int8 grid: each row of a matrix is a scale times whole numbers from -127 to 127. So the same
model runs in Python as float32, and in a page from a file a quarter of the size, without any difference.
"""

import json
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import common
import torch
from accelerate.utils import gather_object
from textgen import corpus, hub, metrics, storyworld
from textgen.files import write_atomically, write_sums
from textgen.gpt import GPT, GPTConfig
from textgen.page.pack import round_to_int8
from textgen.sample import generate
from textgen.storyworld import Document
from textgen.tokenizer import Tokenizer
from textgen.train import fit, make_accelerator

SHARES = {"story": 0.40, "intro": 0.10, "qa": 0.35, "pair": 0.06, "code": 0.07, "sum": 0.02}
LONG = ("story", "intro")
PARTS = 16
UNTYPED = 0.2  # share of documents without the token of their kind, so that a bare prompt works too


def mixture(n: int, split: str, seed: int = 0, untyped: float = UNTYPED) -> dict[str, list[Document]]:
    """`n` documents by `SHARES`, in groups "long" and "short"; a share `untyped` is of kind "bare", without a token."""
    groups = {"long": [], "short": []}
    for kind, share in SHARES.items():
        for i, d in enumerate(storyworld.documents(math.ceil(n * share), kind, seed, split)):
            bare = untyped and i % round(1 / untyped) == 0
            groups["long" if kind in LONG else "short"].append(replace(d, kind="bare") if bare else d)
    return groups


def texts(n: int, seed: int) -> dict[str, list[Document]]:
    """The training documents: `PARTS` mixtures with seeds of their own, made side by side, by all processes together."""
    share, seeds = math.ceil(n / PARTS), list(range(PARTS * seed, PARTS * (seed + 1)))
    pool = ProcessPoolExecutor(mp_context=get_context("spawn"))
    with pool, make_accelerator("auto").split_between_processes(seeds) as mine:
        parts = gather_object(list(pool.map(mixture, repeat(share), repeat("train"), mine)))
    return {group: [document for part in parts for document in part[group]] for group in parts[0]}


class Mixture:
    """Data for `fit`: each batch is of one group, of about one length, so that little of it is padding."""

    def __init__(self, groups: list, shares: list[float], tokenizer: Tokenizer):
        """Take data for `fit`, and how often each is drawn."""
        self.groups, self.shares, self.tokenizer = groups, torch.tensor(shares).float(), tokenizer

    def batch(self, split: str, batch_size: int, block_size: int | None = None, generator=None):
        """Return `(ids, targets)`, int64 tensors (B, T), of one group."""
        group = int(torch.multinomial(self.shares, 1, generator=generator))
        return self.groups[group].batch(split, batch_size, block_size, generator)


def measure(model: GPT, tokenizer: Tokenizer, n: int = 1000) -> dict[str, float]:
    """The figures of the shipped model on `n` held-out texts of each kind."""
    stories = storyworld.stories(n, split="test")
    entropy = storyworld.entropy(stories)
    bits = metrics.bits_per_char(model, tokenizer, stories)
    figures = {"entropy": entropy, "bits_per_char": bits, "ratio": bits / entropy}
    recalled = metrics.average(metrics.recall(model, tokenizer, stories))
    figures |= {f"recall_{kind}": value for kind, value in recalled.items()}
    written = generate(model, tokenizer, ["<|story|>"] * n, 250)  # independent texts at temperature 1
    figures["grammatical"] = metrics.grammatical([text.removeprefix("<|story|>") for text in written])[0]
    for kind in ("qa", "pair", "code", "sum"):
        made = storyworld.documents(n, kind, split="test")
        # "Q: What is my name?" with nothing before it has more than one right answer
        pairs = [(d.prompt, d.answer) for d in made if kind != "qa" or d.context]
        figures[f"exact_{kind}"] = metrics.exact_match(model, tokenizer, pairs, kind)
    return {name: round(value, 4) for name, value in figures.items()}


CARD = """# pocket-gpt

A GPT-2 of {parameters:,} parameters (4 layers, 4 heads, width 128, 256 tokens, a vocabulary of 1,024 by byte-level BPE),
trained on Storyworld's stories, introductions, questions and answers, English and Spanish sentences, small programs
and sums. It knows no other world. Every document begins with `<|endoftext|>` and, four times out of five, with its kind,
such as `<|story|>`. Any program that reads GPT-2 folders runs it.

Made on {device}, in {seconds:,} seconds and with {tokens:,} tokens, by

    {command}

On 1,000 held-out texts of each kind:

| figure | value |
| --- | --- |
{table}

`grammatical`: whole stories, written at temperature 1, that Storyworld's grammar could have written. `exact_`: greedy
answers that are right to the last character. Every matrix is rounded to int8 with one scale a row, and stored as
float32. Weights and text are under the licence of the course.
"""


def save_card(folder: Path, measured: dict, made: dict, card: str = CARD) -> None:
    """Write the figures as JSON, and a README with them and with how the model was made."""
    figures = measured | made
    table = "\n".join(f"| {name} | {figures[name]} |" for name in measured)
    write_atomically(folder / "README.md", card.format(table=table, **figures))
    common.save(folder / "figures.json", figures)


def main(arguments: list[str] | None = None) -> None:
    """Train, round, measure and save."""
    numbers = {"documents": 1_400_000, "steps": 12_000, "batch_size": 128, "n_layer": 4, "n_embd": 128}
    numbers |= {"vocab_size": 1024, "measure": 1000, "seed": 0}
    options = common.parser("pocket_gpt", __doc__, record=False, **numbers)
    options.add_argument("--lr", type=float, default=3e-3, help="AdamW's highest learning rate")
    options.add_argument("--muon-lr", type=float, default=0.0225, help="Muon's highest learning rate")
    options.add_argument("--folder", type=Path, default=hub.WEIGHTS / "pocket-gpt", help="where it goes")
    options.add_argument("--checkpoint", type=Path, help="folder to save the run in, and to continue it from")
    a = options.parse_args(arguments)

    start, processes = time.perf_counter(), make_accelerator("auto")
    train, valid = texts(a.documents, a.seed), mixture(2000, "valid", untyped=0)
    sample = [d.text for documents in train.values() for d in documents[:10_000]]
    kinds = [f"<|{kind}|>" for kind in storyworld.KINDS]
    tokenizer = Tokenizer.bpe(sample, vocab_size=a.vocab_size, specials=kinds)
    torch.manual_seed(a.seed)
    model = GPT(GPTConfig(vocab_size=len(tokenizer), n_layer=a.n_layer, n_embd=a.n_embd))
    groups = [corpus.stories(documents, valid[group], tokenizer) for group, documents in train.items()]
    data = Mixture(groups, [len(documents) for documents in train.values()], tokenizer)
    ready = f"documents ready in {time.perf_counter() - start:.0f} s; {model.num_parameters():,} parameters"
    processes.print(f"{ready}; processes: {processes.num_processes}", flush=True)

    settings = {"muon_lr": a.muon_lr, "checkpoint": a.checkpoint}
    history = fit(model, data, a.steps, a.batch_size, a.lr, a.seed, **settings)
    if not processes.is_main_process:
        return
    for step, seconds, loss in history.valid:
        print(f"step {step:6,}   {seconds:6.0f} s   {loss:.4f} nats per token")
    round_to_int8(model.cpu())
    measured = measure(model, tokenizer, a.measure)
    command = " ".join([a.command, *(sys.argv[1:] if arguments is None else arguments)])
    made = {"parameters": model.num_parameters(), "command": command, "tokens": history.tokens}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU"
    made |= {"seconds": round(history.seconds), "device": device}
    print(json.dumps(measured | made, indent=2))
    model.save_pretrained(a.folder)
    tokenizer.save_pretrained(a.folder)
    write_sums(a.folder, hub.FILES)
    save_card(a.folder, measured, made)


if __name__ == "__main__":
    main()
