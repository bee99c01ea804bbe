"""What `make bench` sets side by side: the course's training and writing, Hugging Face's, and that of a nanoGPT file.

A side is a function without arguments that does its work once and returns what `turns` gathers: tokens per second, or
a training. Both sides of a pair have one shape, one batch, one text and one number of threads.
"""

import contextlib
import importlib.util
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import textgen
import torch
from textgen import hub
from torch import Tensor, nn
from torch.nn import functional as F

CLIP = 1.0  # the norm to which all sides clip their gradients
PROMPT = "Once there was"


def turns(
    sides: dict[str, Callable], rounds: int, warm_up: bool = True, say: Callable = print
) -> dict[str, list]:
    """Call the sides in turns, A B A B ...: whatever else the machine does, it does to all. What each returned."""
    for side in sides.values() if warm_up else ():
        side()
    found = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            found[name].append(side())
            title = name if isinstance(name, str) else "{}, threads: {}".format(*name)
            say(f"  round {number + 1}, {title}: {shown(found[name][-1])}", flush=True)
    return found


def shown(value) -> str:
    """Write what a side returned: a rate, or a training, which speaks for itself."""
    return f"{value:,.0f} tokens per second" if isinstance(value, float) else str(value)


def load_peer(path: Path) -> ModuleType:
    """Return the Python file as a module. Ends in one sentence where it is not what nanoGPT's model.py is."""
    wanted = "--nanogpt must be a Python file that defines GPT and GPTConfig, as nanoGPT's model.py does"
    if not path.is_file():
        sys.exit(f"{wanted}; there is no file {str(path)!r}.")
    spec = importlib.util.spec_from_file_location("nanogpt_peer", path)
    try:
        module = sys.modules["nanogpt_peer"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.GPT, module.GPTConfig  # noqa: B018
    except Exception as error:  # noqa: BLE001 (any code may stand in that file)
        sys.exit(f"{wanted}; {str(path)!r} gives {type(error).__name__}: {error}.")
    return module


def windows(tokens: Tensor, batch: int, block: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random windows (B, block) of a text's tokens and the tokens after each, as nanoGPT's get_batch cuts them."""
    starts = torch.randint(len(tokens) - block, (batch, 1), generator=generator)
    places = starts + torch.arange(block)
    return tokens[places], tokens[places + 1]


class Peer:
    """A model of another's with the loop in which it is trained: plain PyTorch, as short as it can be."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable):
        self.model, self.optimizer, self.loss = model, optimizer, loss

    def train(
        self, tokens: Tensor, batch: int, block: int, steps: int, seed=0, rate=None, every=0, look=None
    ):
        """Train for so many steps, at `rate(step)` if given; return the seconds.

        After each `every` steps it calls `look(step, seconds)`, off the clock.
        """
        generator, began = torch.Generator().manual_seed(seed), time.perf_counter()
        self.model.train()
        for step in range(steps):
            for group in self.optimizer.param_groups if rate else ():
                group["lr"] = rate(step)
            self.loss(*windows(tokens, batch, block, generator)).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if look and (step + 1) % every == 0:
                seconds = time.perf_counter() - began
                look(step + 1, seconds)
                began = time.perf_counter() - seconds
        return time.perf_counter() - began


def hugging_face(vocab_size: int, block_size: int, **shape: int) -> Peer:
    """GPT2LMHeadModel as it comes, without dropout, under PyTorch's fused AdamW."""
    from transformers import GPT2Config, GPT2LMHeadModel

    rest = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    rest |= dict.fromkeys(("bos_token_id", "eos_token_id"), 0)
    config = GPT2Config(vocab_size=vocab_size, n_positions=block_size, **shape, **rest)
    model = GPT2LMHeadModel(config)

    def loss(ids, targets):
        return F.cross_entropy(model(ids, use_cache=False).logits.flatten(0, 1), targets.flatten())

    adamw = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.99), weight_decay=0.1, fused=True)
    return Peer(model, adamw, loss)


def nanogpt(module: ModuleType, lr: float = 1e-3, bias: bool = False, **shape: int) -> Peer:
    """GPT of a nanoGPT file as its train.py makes it: no dropout, no biases unless asked for, its own AdamW."""
    with contextlib.redirect_stdout(io.StringIO()):  # both tell of themselves
        model = module.GPT(module.GPTConfig(dropout=0.0, bias=bias, **shape))
        adamw = model.configure_optimizers(
            weight_decay=0.1, learning_rate=lr, betas=(0.9, 0.99), device_type="cpu"
        )
    return Peer(model, adamw, lambda ids, targets: model(ids, targets)[1])


def training_sides(data, shape: dict, batch: int, steps: int, peer: ModuleType | None) -> dict[str, Callable]:
    """All that train one shape on one text, by name: the course with AdamW and with Muon, and each peer with AdamW."""
    block, tokens = shape["block_size"], tokens_of(data)
    shape = {"vocab_size": len(data.tokenizer), **shape}
    model = textgen.GPT(textgen.GPTConfig(**shape))

    def course(**rates: float) -> float:
        history = textgen.fit(model, data, steps, batch, device="cpu", eval_every=steps, eval_rows=1, **rates)
        return steps * batch * block / history.seconds

    peers = {"Hugging Face": hugging_face(**shape)} | (
        {"nanoGPT": nanogpt(peer, bias=True, **shape)} if peer else {}
    )
    sides = {"the course": lambda: course(muon_lr=0), "the course with Muon": course}
    for name, one in peers.items():
        sides[name] = lambda one=one: steps * batch * block / one.train(tokens, batch, block, steps)
    return sides


def share_of_products(data, shape: dict, batch: int) -> float:
    """The share of the course's training, here of four steps, that PyTorch spends in matrix products and attention."""
    model = textgen.GPT(textgen.GPTConfig(vocab_size=len(data.tokenizer), **shape))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        textgen.fit(model, data, 4, batch, device="cpu", eval_every=4, eval_rows=1, muon_lr=0)
    spent = {event.key: event.self_cpu_time_total for event in seen.key_averages()}
    products = [name for name in spent if name.endswith(("::mm", "::addmm", "::bmm")) or "attention" in name]
    return sum(spent[name] for name in products) / sum(spent.values())


def tokens_of(data, split: str = "train") -> Tensor:
    """Return the token ids of a text as the peers read it: one long row."""
    return torch.tensor(data.tokenizer.encode(data.texts[split][0]))


def writing_sides(texts: int, new: int, threads: list[int], peer: ModuleType | None) -> dict[tuple, Callable]:
    """All that write `texts` texts of `new` tokens with pocket-gpt at temperature 1, by name and number of threads.

    nanoGPT's weights are random here, which costs the same; it has no cache and reads all again for each token.
    """
    from transformers import GPT2LMHeadModel

    model, tokenizer = textgen.load("pocket-gpt")
    ids = torch.tensor([[tokenizer.bos, *tokenizer.encode(PROMPT)]] * texts)
    theirs = GPT2LMHeadModel.from_pretrained(hub.WEIGHTS / "pocket-gpt").eval()
    theirs.generation_config.eos_token_id = None  # or texts would end, each in its own place
    sampling = {"do_sample": True, "top_k": 0, "max_new_tokens": new, "pad_token_id": 0, "use_cache": True}
    writers = {
        "the course": lambda: textgen.generate(model, tokenizer, [PROMPT] * texts, new, stop=False),
        "Hugging Face": lambda: theirs.generate(ids, attention_mask=torch.ones_like(ids), **sampling),
    }
    if peer:
        names = ("vocab_size", "block_size", "n_layer", "n_head", "n_embd")
        third = nanogpt(peer, **{name: getattr(model.config, name) for name in names}).model.eval()
        writers["nanoGPT"] = lambda: third.generate(ids, new)

    def rate(write: Callable, n: int) -> float:
        before, start = torch.get_num_threads(), time.perf_counter()
        torch.set_num_threads(n)
        write()
        torch.set_num_threads(before)
        return new * texts / (time.perf_counter() - start)

    some = [(name, n) for name in writers for n in threads]
    return {(name, n): lambda name=name, n=n: rate(writers[name], n) for name, n in some}
