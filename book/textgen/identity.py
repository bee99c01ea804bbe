"""What makes a training run the run that it is, by name, so that its checkpoint is continued by no other."""

import hashlib
import json
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import torch

LAYERS, WEIGHTS = "layers", "first weights"
_left: WeakKeyDictionary = WeakKeyDictionary()  # model: its first weights in the last run, and its last


class Identified:
    """Data that know themselves again: a checksum of all rows of every split, computed once."""

    @cached_property
    def fingerprint(self) -> str:
        """A checksum of every row."""
        return checksum(self._rows)


def checksum(*values) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of tensors, and of what else `repr` tells, nested or not."""
    digest = hashlib.sha256()
    stack = [values]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.append([*value.items()])
        elif isinstance(value, torch.Tensor):
            digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
            for part in value.detach().cpu().contiguous().flatten().split(2**24):
                digest.update(part.view(torch.uint8).numpy())
        elif isinstance(value, (list, tuple)) and not all(isinstance(one, (int, float)) for one in value):
            digest.update(b"%d" % len(value))
            stack += reversed(value)
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()[:12]


def identity(model, data, optimizers: list, schedule: list[float], **settings) -> dict:
    """Return the settings with all else that decides what `fit` makes of a model, in terms of JSON.

    Data tell themselves by a `fingerprint`, as do their tokenizers; others are known by their first batch and their parts.
    """
    fields, layers = configuration(model)
    run = settings | {"model": type(model).__name__, LAYERS: layers} | fields
    run |= {f"parameter {name}": "frozen" for name, p in model.named_parameters() if not p.requires_grad}
    parts = getattr(data, "__dict__", {})
    run |= {name: part.fingerprint for name, part in parts.items() if hasattr(part, "fingerprint")}
    if (rows := getattr(data, "fingerprint", None)) is None:
        first = data.batch("train", 1, settings["block_size"], torch.Generator().manual_seed(0))
        rows = checksum(first, [known(part) for part in parts.values()])
    run |= {"data": rows, "schedule": checksum(schedule)}
    for one in optimizers:
        how = ("params", "lr", "weight_decay", "fused", "foreach", "capturable", "differentiable", "highest")
        run |= {f"{type(one).__name__}'s {k}": v for k, v in one.defaults.items() if k not in how}
    return json.loads(json.dumps(run | {WEIGHTS: weights(model)}, default=plain))


def known(part) -> list:
    """What is known again of a part of some data: a tensor, a `fingerprint`, or a list of such; empty for the rest."""
    if isinstance(part, torch.Tensor):
        return [part]
    if isinstance(part, (list, tuple)):
        return [mark for one in part for mark in known(one)]
    return [part.fingerprint] if hasattr(part, "fingerprint") else []


def plain(value):
    """A number of NumPy's as Python's, and in words what JSON has not."""
    return value.item() if isinstance(value, np.generic) else str(value)


def configuration(model) -> tuple[dict, dict]:
    """The fields of a model's configs, and the plain attributes of its layers (heads, dropout), by their names."""
    fields, layers, seen = {}, {}, set()
    for name, module in model.named_modules():
        place, config = f"{name}." if name else "", getattr(module, "config", None)
        if config is not None and id(config) not in seen:
            seen.add(id(config))
            given = config if isinstance(config, dict) else getattr(config, "__dict__", {})
            fields |= {f"{place}config.{key}": value for key, value in given.items()}
        simple = {k: v for k, v in vars(module).items() if isinstance(v, (bool, int, float, str, tuple))}
        layers |= {place + k: v for k, v in simple.items() if k != "training" and not k.startswith("_")}
    return fields, layers


def named_tensors(model) -> list:
    """Parameters and buffers by name, each once (tied weights share one)."""
    return [*model.named_parameters(), *model.named_buffers()]


def weights(model) -> str:
    """The checksum of a model's weights."""
    return checksum(named_tensors(model))


def leave(model, run: dict) -> None:
    """Remember with what weights `fit` got and leaves a model: an interrupted cell may be run again as it is."""
    _left[model] = run[WEIGHTS], weights(model)


def first_weights(model, run: dict) -> set[str]:
    """The weights that a run may have begun with: those of the model, and those it had before `fit` left it so."""
    first, last = _left.get(model, (None, None))
    return {run[WEIGHTS], first if last == run[WEIGHTS] else run[WEIGHTS]}
