"""A training run on disk: one safetensors file, so that a killed run goes on where it was. No pickles."""

import json
from pathlib import Path

from .files import replacing
from .identity import LAYERS, WEIGHTS, checksum, first_weights, named_tensors

FILE = "checkpoint.safetensors"
NAMED = 3  # what differs, by name: more of it would bury the cause


def save_checkpoint(folder, model, optimizers: list, run: dict, history: dict, step: int) -> None:
    """Write the whole run to one safetensors file, which replaces the last one only when it is complete."""
    from safetensors.torch import save_file

    tensors = {f"model.{name}": tensor for name, tensor in named_tensors(model)}
    for n, optimizer in enumerate(optimizers):
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{n}.{i}.{key}": value for key, value in state.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"run": run, "step": step, "history": history})
    with replacing(Path(folder) / FILE) as scratch:
        save_file(tensors, scratch, metadata={"json": text, "checksum": content(text, tensors)})


def load_checkpoint(folder, model, optimizers: list, run: dict) -> tuple[dict, int]:
    """Put a saved run's weights and optimiser state back; return its history and the steps it has done.

    Without a saved run these are {} and 0. Raises ValueError when `folder` is none, when the file cannot be read, and
    when it holds another run than `run`.
    """
    from safetensors import SafetensorError, safe_open

    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"checkpoint must be a folder, but {str(folder)!r} is a file.")
    if not (path := folder / FILE).exists():
        return {}, 0
    if path.is_dir():
        raise ValueError(f"checkpoint {str(path)!r} is a folder where a file should be: name another folder.")
    try:
        with safe_open(path, framework="pt") as file:
            meta = file.metadata()
            # Clones, since what maps the file would keep it from being replaced on Windows.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        if meta.get("checksum") != content(meta["json"], tensors):
            raise ValueError("it is damaged, or of another version")
        saved = json.loads(meta["json"])
        was, step, history = saved["run"], saved["step"], saved["history"]
    except (SafetensorError, OSError, AttributeError, TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"checkpoint {str(path)!r} cannot be read ({error}): delete it to start afresh."
        ) from error
    if was.get(WEIGHTS) in first_weights(model, run):
        run[WEIGHTS] = was[WEIGHTS]
    refuse_another(folder, was, run)
    named = {f"model.{name}": tensor for name, tensor in named_tensors(model)}
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
    for split in ("train", "valid"):
        history[split] = [tuple(row) for row in history[split]]
    return history, step


def refuse_another(folder: Path, was: dict, run: dict) -> None:
    """Raise ValueError where two runs differ, with what differs and both values."""
    names = differing(was, run)
    if not names:
        return
    if LAYERS in names:  # a consequence of the configuration, unless nothing else differs
        alone = not set(names) - {LAYERS, WEIGHTS}
        old, new = was.get(LAYERS, {}), run[LAYERS]
        names = (differing(old, new) if alone else []) + [name for name in names if name != LAYERS]
        was, run = was | old, run | new
    differ = [f"{name}={was.get(name)!r}, not {run.get(name)!r}" for name in names[:NAMED]]
    differ += [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    anew = "make the model anew, as that run did, " if names == [WEIGHTS] else ""
    hint = f"{anew}name another folder, or delete that one to start afresh"
    raise ValueError(f"checkpoint {str(folder)!r} holds a run with {'; '.join(differ)}: {hint}.")


def differing(was: dict, run: dict) -> list[str]:
    """The names under which two runs have different values."""
    return [name for name in run | was if was.get(name) != run.get(name)]


def content(text: str, tensors: dict) -> str:
    """The checksum of all that a file holds, in whatever order its tensors come."""
    return checksum(text, sorted(tensors.items()))
