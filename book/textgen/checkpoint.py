"""A training run on disk: one safetensors file, so that a killed run goes on where it was. No pickles."""

import json
from pathlib import Path

from .files import replacing

FILE = "checkpoint.safetensors"


def save_checkpoint(folder, model, optimizers: list, run: dict, history: dict, step: int) -> None:
    """Write the whole run to one safetensors file, which replaces the last one only when it is complete."""
    from safetensors.torch import save_file

    tensors = {f"model.{name}": tensor for name, tensor in named_tensors(model)}
    for n, optimizer in enumerate(optimizers):
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{n}.{i}.{key}": value for key, value in state.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    meta = {"run": run, "step": step, "history": history}
    with replacing(Path(folder) / FILE) as scratch:
        save_file(tensors, scratch, metadata={"json": json.dumps(meta)})


def load_checkpoint(folder, model, optimizers: list, run: dict) -> tuple[dict, int]:
    """Put a saved run's weights and optimiser state back; return its history and the steps it has done.

    Raises ValueError when the file cannot be read, or holds another run than `run` or another model.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / FILE
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads(file.metadata()["json"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, KeyError) as error:
        raise ValueError(
            f"checkpoint {str(path)!r} cannot be read ({error}): delete it to start afresh."
        ) from error
    named = {f"model.{name}": tensor for name, tensor in named_tensors(model)}
    differ = [
        f"{key}={meta['run'].get(key)!r}, not {run[key]!r}" for key in run if meta["run"].get(key) != run[key]
    ]
    if {n: t.shape for n, t in named.items()} != {
        n: t.shape for n, t in tensors.items() if n.startswith("model.")
    }:
        differ.append("a model of another shape")
    if differ:
        hint = "name another folder, or delete that one to start afresh"
        raise ValueError(f"checkpoint {str(folder)!r} holds a run with {'; '.join(differ)}: {hint}.")
    states: list[dict] = [{} for _ in optimizers]
    for name, tensor in tensors.items():
        kind, key = name.split(".", 1)
        if kind == "model":
            named[name].detach().copy_(tensor)
        else:
            n, i, key = key.split(".")
            states[int(n)].setdefault(int(i), {})[key] = tensor
    for optimizer, state in zip(optimizers, states):
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    history = meta["history"]
    for split in ("train", "valid"):
        history[split] = [tuple(row) for row in history[split]]
    return history, meta["step"]


def named_tensors(model) -> list:
    """Parameters and buffers by name, each once (tied weights share one)."""
    return [*model.named_parameters(), *model.named_buffers()]
