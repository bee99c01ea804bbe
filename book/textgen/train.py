"""Training: one loop, `fit`, for every model of the course and every machine it may run on."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .checkpoint import load_checkpoint, save_checkpoint
from .identity import identity, leave
from .inputs import DAMAGED, came, counted, fits, whole
from .models import evaluating
from .optimizers import make_optimizers, rates
from .progress import progress_bar

READ_EVERY = 20  # steps between two readings of the loss: each makes a GPU wait


@dataclass
class History:
    """What `fit` saw: losses in nats per token, seconds of training (evaluation not counted), targets seen."""

    train: list = field(default_factory=list)  # (step, seconds, loss of that step's batch)
    valid: list = field(default_factory=list)  # (step, seconds, mean loss on held-out rows)
    seconds: float = 0.0
    tokens: int = 0


def fit(
    model,
    data,
    steps: int = 2000,
    batch_size: int = 12,
    lr: float | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    checkpoint: str | Path | None = None,
    eval_every: int | None = None,
    eval_rows: int = 256,
    block_size: int | None = None,
    weight_decay: float = 0.1,
    muon_lr: float | None = None,
    callback: Callable[[History], None] | None = None,
    compile: bool = False,
) -> History:
    """Train `model` in place on `data`; it comes back in evaluation mode, on the device on which it came.

    `data.batch(split, batch_size, block_size, generator)` gives a tuple of tensors with one row a text and the
    targets last (-100: not counted); `model(*batch)[1]` is the loss in nats per token. The learning rate rises over
    the first 8% of the steps and then falls in a straight line to zero; gradients are clipped to global norm 1. Accelerate runs the same
    loop on a CPU, on CUDA (in bfloat16), on MPS, and in several processes under `accelerate launch`, which
    share each batch between them.

    Muon (Jordan et al. 2024) trains the matrices between the embeddings and `model.head`, and AdamW (Loshchilov and
    Hutter 2019, arXiv:1711.05101) the rest; a model without such matrices, or with frozen ones, is AdamW's alone.

    `lr`: AdamW's highest learning rate; by default 0.01 beside Muon and 0.004 alone, less above a million parameters.
    `muon_lr`: Muon's, by default three times `lr`; 0 leaves everything to AdamW.
    `device`: "auto", "cpu", "cuda" or "mps". `block_size`: tokens a row, by default the model's own.
    `checkpoint`: a folder. The run is saved there at each evaluation, and a later call with the same arguments, the
    same data and the same first weights goes on from there, to the same losses on the same number of threads.
    `eval_every`: steps between evaluations on `eval_rows` held-out rows, by default a tenth of the run.
    `callback`: called with the history so far after each evaluation, off the clock; it may draw, and let the model write.
    `compile`: let `torch.compile` fuse the model's operations first. That takes a minute, and pays on a GPU for models
    of a hundred million parameters; it needs a C++ compiler.

    Raises ValueError for an argument that cannot be used, data that is not the model's or has nothing to predict, weights
    that are damaged, or a checkpoint of another run, and FloatingPointError when the loss is no longer a number.
    """
    steps, seed = whole("steps", steps, 1), whole("seed", seed)
    batch_size, eval_rows = whole("batch_size", batch_size, 1), whole("eval_rows", eval_rows, 1)
    eval_every = max(1, steps // 10) if eval_every is None else whole("eval_every", eval_every, 1)
    lr, muon_lr, weight_decay = rates(model, lr, muon_lr, weight_decay)
    fits(model, getattr(data, "tokenizer", None))
    if checkpoint is not None and not str(checkpoint).strip():
        raise ValueError('checkpoint must be a folder, or None to save nothing, not "".')
    if callback is not None and not callable(callback):
        raise ValueError(f"callback must be a function of the history, or None, not {came(callback)}.")
    accelerator, home = make_accelerator(device), next(model.parameters()).device
    # What dropout draws from. (torch.manual_seed seeds every device, and costs half a millisecond.)
    on_device = getattr(torch, accelerator.device.type)
    reseed = getattr(on_device, "manual_seed", torch.default_generator.manual_seed)
    rank, world = accelerator.process_index, accelerator.num_processes
    if batch_size < world:
        raise ValueError(f"batch_size={batch_size} is too small for {world} processes: each needs a row.")
    if block_size is None:
        block_size = getattr(getattr(model, "config", None), "block_size", None)
    else:
        block_size = whole("block_size", block_size, 1)
    made, run = make_optimizers(model, lr, weight_decay, accelerator.device, muon_lr), {}
    if checkpoint is not None:
        run = {"steps": steps, "batch_size": batch_size, "eval_every": eval_every, "eval_rows": eval_rows}
        run |= {"lr": lr, "muon_lr": muon_lr, "weight_decay": weight_decay, "seed": seed}
        pace = [schedule(step, 100) for step in range(100)]
        run = identity(model, data, made, pace, block_size=block_size, **run)
    wrapped, *optimizers = accelerator.prepare(torch.compile(model) if compile else model, *made)
    history, start, pending = History(), 0, []

    def flush() -> None:
        """Move the losses of the last steps from the device into the history."""
        history.seconds = time.perf_counter() - began
        if pending:
            losses = accelerator.reduce(torch.stack([loss for *_, loss in pending]), "sum").tolist()
            history.train += [(step, seconds, loss) for (step, seconds, _), loss in zip(pending, losses)]
            pending.clear()
            for step, _, loss in history.train[-len(losses) :]:
                stop_if_diverged(step, loss)
            speed = history.tokens / history.seconds
            bar.set_postfix_str(f"loss {losses[-1]:.3f}, {speed:,.0f} tokens/s", refresh=False)

    def stop_if_diverged(step: int, loss: float) -> None:
        """Raise an error that names the cause where the loss is no number."""
        if math.isfinite(loss):
            return
        if step == 0:  # nothing has been trained yet
            raise ValueError(DAMAGED)
        hint = f"lr={lr:g} is probably too high, try {lr / 4:.1g}"
        raise FloatingPointError(f"The loss is {loss} at step {step}: {hint}.")

    def examine(step: int) -> None:
        """Evaluate and save the run after `step` steps, off the clock."""
        nonlocal began
        flush()
        wrapped.eval()  # for the callback too
        loss = evaluate(wrapped, data, block_size, eval_rows, batch_size)
        stop_if_diverged(step, loss)
        history.valid.append((step, history.seconds, loss))
        if checkpoint is not None and accelerator.is_main_process:
            save_checkpoint(checkpoint, model, optimizers, run, vars(history), step)
        if callback is not None and accelerator.is_main_process:
            callback(history)
        wrapped.train()
        began = time.perf_counter() - history.seconds

    try:
        if checkpoint is not None:
            saved, start = load_checkpoint(checkpoint, model, optimizers, run)
            history = History(**saved)
            at = accelerator.gather(torch.tensor([start], device=accelerator.device)).tolist()
            if len(set(at)) > 1:
                raise ValueError(
                    f"checkpoint {str(checkpoint)!r} is at step {at[0]} for the first process and elsewhere at step"
                    f" {min(set(at) - {at[0]})}: name a folder that all hosts share."
                )
        with progress_bar(steps, "step", None, start, accelerator.is_local_main_process) as bar:
            began = time.perf_counter() - history.seconds
            if not history.valid:
                examine(0)
            wrapped.train()
            for step in range(start, steps):
                # A step's random numbers depend on nothing but seed and step: a resumed run draws the same.
                number = (seed * 1_000_003 + step) % 2**32
                reseed(number + rank * 100_000_007)  # for dropout: another one in each process
                batch = data.batch("train", batch_size, block_size, torch.Generator().manual_seed(number))
                part = [tensor[rank::world].to(accelerator.device) for tensor in batch]
                count = counted(model, batch)
                # Weighed by its targets, each process's loss adds up to the loss of the whole batch.
                share = int((batch[-1][rank::world] != -100).sum()) / count
                loss = wrapped(*part)[1] * share
                accelerator.backward(loss * world)  # `world`: gradients are averaged over the processes
                accelerator.clip_grad_norm_(wrapped.parameters(), 1.0)
                for one in optimizers:
                    for group in one.param_groups:
                        group["lr"] = group["highest"] * schedule(step, steps)
                    one.step()
                    one.zero_grad()
                history.tokens += count
                pending.append((step + 1, time.perf_counter() - began, loss.detach()))
                bar.update()
                if (step + 1) % eval_every == 0 or step + 1 == steps:
                    examine(step + 1)
                elif len(pending) == READ_EVERY:
                    flush()
    finally:  # after an interruption too: from here on the model works without Accelerate
        accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
        vars(model).pop("_is_accelerate_prepared", None)  # or it would not be prepared for another training
        model.to(home).eval()
        if checkpoint is not None:
            leave(model, run)
    return history


@torch.no_grad()
def evaluate(model, data, block_size: int | None = None, rows: int = 256, batch_size: int = 64) -> float:
    """Mean loss in nats per token on `rows` held-out rows: always the same ones."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    total, count = 0.0, 0
    for at in range(0, rows, batch_size):
        batch = data.batch("valid", min(batch_size, rows - at), block_size, generator)
        n = counted(model, batch)
        with evaluating(model):
            total += float(model(*[tensor.to(device) for tensor in batch])[1]) * n
        count += n
    return total / count


def schedule(step: int, steps: int, warmup: float = 0.08) -> float:
    """Share of the highest learning rate at `step` (from 0): a short rise, then a straight fall to zero."""
    rise = max(1, round(warmup * steps))
    return (step + 1) / rise if step < rise else (steps - step) / max(1, steps - rise)


def make_accelerator(device: str | torch.device):
    """Accelerate's `Accelerator` for "auto", "cpu", "cuda" or "mps", in bfloat16 where CUDA computes it itself."""
    there = {"auto": True, "cpu": True, "cuda": torch.cuda.is_available()}
    device = str(device)
    there["mps"] = torch.backends.mps.is_available() and not there["cuda"]
    if device not in there:
        raise ValueError(f'device must be "auto", "cpu", "cuda" or "mps", not {device!r}.')
    if not there[device]:
        raise ValueError(f'device="{device}" was asked for, but this machine offers none: use device="auto".')
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    if "WORLD_SIZE" not in os.environ:  # Accelerate allows one device in a program; a notebook may change it
        AcceleratorState._reset_state(reset_partial_state=True)
    bf16 = (
        device in ("auto", "cuda")
        and there["cuda"]
        and torch.cuda.is_bf16_supported(including_emulation=False)
    )
    # Without a GPU too Accelerate joins processes on the CPU only where it is told so.
    cpu = device == "cpu" or not (there["cuda"] or there["mps"])
    return Accelerator(cpu=cpu, mixed_precision="bf16" if bf16 else "no")
