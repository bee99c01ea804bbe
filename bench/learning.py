"""Time to equal validation loss: `textgen.fit` against nanoGPT's recipe for a CPU, and what was tried to shorten it.

The recipe is that of nanoGPT's README: 2,000 steps of 12 rows, AdamW, a learning rate of 1e-3 that falls to 1e-4 along
a cosine. Both sides are judged on the same held-out characters, each with the same characters before it.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple
from unittest import mock

import textgen
import torch
from pairs import nanogpt, tokens_of, turns
from textgen.models import evaluating

SHAPE = {"block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128}
RECIPE = {"steps": 2000, "batch_size": 12}  # nanoGPT's
OURS = {"steps": 260, "batch_size": 24}  # what `fit` needs for the same loss; all else is its default
WINDOWS, LOOKS = 400, 20  # held-out windows, and how often a run is judged


class Run(NamedTuple):
    """One training: its seconds, and (step, seconds, held-out loss) at each look."""

    seconds: float
    curve: list[tuple[int, float, float]]

    def until(self, loss: float) -> float | None:
        """Return the seconds at the first look at which the loss was `loss` or less."""
        return next((seconds for _, seconds, found in self.curve if found <= loss), None)

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, held-out loss {self.curve[-1][2]:.4f}"


class HeldOut:
    """Windows at equal distances in the held-out part of a text: the same characters for every model."""

    def __init__(self, data):
        """Cut them, each as long as a block; all but its first character are predicted."""
        tokens, block = tokens_of(data, "valid"), SHAPE["block_size"]
        starts = torch.linspace(0, len(tokens) - block, WINDOWS).long()
        self.rows = tokens[starts[:, None] + torch.arange(block)]  # (windows, block)
        self.bos = data.tokenizer.bos

    @torch.no_grad()
    def loss(self, model, start: bool) -> float:
        """Mean loss in nats per character; with `start` the model reads the start token first, as the course's do."""
        ids, targets = self.rows[:, :-1], self.rows[:, 1:]
        if start:
            first = torch.full_like(ids[:, :1], self.bos)
            ids, targets = torch.cat([first, ids], 1), torch.cat([torch.full_like(first, -100), targets], 1)
        with evaluating(model), torch.autocast("cpu", enabled=False):
            parts = [
                (len(i), model(i.contiguous(), t.contiguous())[1])
                for i, t in zip(ids.split(50), targets.split(50))
            ]
        return sum(n * float(loss) for n, loss in parts) / len(ids)


def cosine(step: int, steps: int, highest: float = 1e-3, lowest: float = 1e-4, warm_up: int = 100) -> float:
    """Return the recipe's learning rate at `step`: a straight rise, then half a cosine down."""
    if step < warm_up:
        return highest * (step + 1) / (warm_up + 1)
    done = (step - warm_up) / max(1, steps - warm_up)
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * done)) / 2


def recipe(peer: ModuleType, data, held_out: HeldOut, seed: int, steps: int, batch_size: int) -> Run:
    """Train nanoGPT's model by its recipe."""
    torch.manual_seed(seed)
    one, curve = nanogpt(peer, vocab_size=len(data.tokenizer), **SHAPE), []

    def look(step: int, seconds: float) -> None:
        curve.append((step, seconds, held_out.loss(one.model, start=False)))

    rate, every = functools.partial(cosine, steps=steps), max(1, steps // LOOKS)
    tokens, block = tokens_of(data), SHAPE["block_size"]
    seconds = one.train(tokens, batch_size, block, steps, seed, rate, every, look)
    return Run(seconds, curve)


def ours(data, held_out: HeldOut, seed: int, steps: int, batch_size: int, **settings) -> Run:
    """Train the course's GPT of that shape with `fit`."""
    torch.manual_seed(seed)
    model, curve = textgen.GPT(textgen.GPTConfig(vocab_size=len(data.tokenizer), **SHAPE)), []

    def look(history) -> None:
        step, seconds, _ = history.valid[-1]
        curve.append((step, seconds, held_out.loss(model, start=True)))

    rare = {"eval_every": max(1, steps // LOOKS), "eval_rows": 1, "callback": look, "device": "cpu"}
    history = textgen.fit(model, data, steps, batch_size, seed=seed, **rare, **settings)
    return Run(history.seconds, curve)


def race(peer: ModuleType, data, rounds: int, recipe_size: dict = RECIPE, our_size: dict = OURS) -> dict:
    """Run both in turns, another seed each round, up to the loss with which the recipe ends in that round."""
    held_out, seeds = HeldOut(data), {"the course": iter(range(rounds)), "nanoGPT": iter(range(rounds))}
    sides = {
        "nanoGPT": lambda: recipe(peer, data, held_out, next(seeds["nanoGPT"]), **recipe_size),
        "the course": lambda: ours(data, held_out, next(seeds["the course"]), **our_size),
    }
    runs = turns(sides, rounds, warm_up=False)
    pairs = list(zip(runs["the course"], runs["nanoGPT"], strict=True))
    targets = [their.curve[-1][2] for _, their in pairs]
    until = [[run.until(loss) for run, loss in zip(some, targets, strict=True)] for some in zip(*pairs)]
    return {"runs": {name: [as_record(run) for run in some] for name, some in runs.items()}, "until": until}


def as_record(run: Run) -> dict:
    """A run in JSON's terms."""
    curve = [[step, round(seconds, 2), round(loss, 4)] for step, seconds, loss in run.curve]
    return {"seconds": round(run.seconds, 2), "loss": curve[-1][2], "curve": curve}


def trials(threads: int, size: dict = OURS) -> dict[str, tuple[dict, list]]:
    """What was tried in place of the default, by name: other arguments of `fit`, and what surrounds the call."""
    tokens = size["steps"] * size["batch_size"]
    lr, muon_lr = 0.01, 0.03  # what `fit` takes for a model of this size

    def rows(n: int) -> dict:
        return {"batch_size": n, "steps": max(1, tokens // n)}

    def newton_schulz(n: int):
        return mock.patch("textgen.optimizers.TURNS", n)

    found = {"AdamW for all": ({"muon_lr": 0}, [])}
    found |= {f"{n} rows a step, as many tokens": (rows(n), []) for n in (12, 32, 48)}
    for times in (0.5, 2):
        found[f"AdamW's learning rate times {times:g}"] = ({"lr": times * lr, "muon_lr": muon_lr}, [])
        found[f"Muon's learning rate times {times:g}"] = ({"lr": lr, "muon_lr": times * muon_lr}, [])
    found["no weight decay"] = ({"weight_decay": 0.0}, [])
    found |= {f"{n} Newton-Schulz steps, not 5": ({}, [newton_schulz(n)]) for n in (4, 3)}
    found["bfloat16 by autocast"] = ({}, [torch.autocast("cpu", torch.bfloat16, cache_enabled=False)])
    found["torch.compile"] = ({"compile": True}, [])
    found["the exact GELU, not GPT-2's"] = ({}, [mock.patch("torch.nn.functional.gelu", exact_gelu)])
    other = 1 if threads > 1 else 2
    found[f"{other} thread{'s' * (other > 1)}"] = ({}, [threads_of(other)])
    return found


GELU = torch.nn.functional.gelu


def exact_gelu(x, approximate: str = "none"):
    """GELU without GPT-2's approximation by tanh."""
    return GELU(x)


@contextlib.contextmanager
def threads_of(n: int):
    """Compute on `n` threads, for as long as the block lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    yield
    torch.set_num_threads(before)


def attempts(data, target: float, threads: int, size: dict, only: list | None) -> Iterator[tuple[str, dict]]:
    """Yield each trial with what it gave, in turns with the default, both from seed 0; `only` names some.

    That is their seconds, held-out losses and seconds until `target`, or why the trial cannot run here.
    """
    held_out = HeldOut(data)

    def run(settings: dict, around: list) -> Run:
        with contextlib.ExitStack() as stack:
            for one in around:
                stack.enter_context(one)
            return ours(data, held_out, 0, **size | settings)

    for name, (settings, around) in trials(threads, size).items():
        if only is not None and name not in only:
            continue
        sides = {"default": lambda: run({}, []), name: lambda s=settings, a=around: run(s, a)}
        try:
            runs = turns(sides, 1, warm_up=False)
        except Exception as error:  # noqa: BLE001 (there may be no compiler)
            yield name, {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}
            continue
        rows = [as_record(one) | {"until": one.until(target)} for (one,) in runs.values()]
        yield name, dict(zip(("default", "trial"), rows, strict=True))
