"""A GPU where there is none: tensors that say they are on CUDA, compute on the CPU, and refuse to be mixed.

`install()` makes PyTorch offer one pretend CUDA device. What is moved there is tagged, and the tag follows every
operation. Tensors with and without it do not meet, as on a real GPU: PyTorch's own error is raised. So code that
forgets where a tensor is fails here too, with the values of the CPU in all that works.
"""

import functools

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
# Lengths stay on the CPU for these, also beside data on a GPU.
LENGTHS_ON_CPU = {"lstm", "rnn_tanh", "gru", "_pack_padded_sequence", "_pad_packed_sequence", "ctc_loss"}
TO_NUMPY = {"numpy", "__array__"}
ANYWHERE = {"device", "_parse_to", "_has_compatible_shallow_copy_type", "copy_"}  # these work across devices


def tagged(tensor: torch.Tensor) -> bool:
    """Is this tensor on the pretend device."""
    return getattr(tensor, "pretend", False)


def tag(tree, on: bool = True):
    """Tag every tensor in a nest of tuples, lists and dicts, and return it."""
    for leaf in tree_leaves(tree):
        if isinstance(leaf, torch.Tensor):
            leaf.pretend = on
    return tree


def place(value) -> str:
    """The kind of device that an argument names, "cpu" or "cuda"; "" for any other argument."""
    kind = str(value).split(":")[0] if isinstance(value, str | torch.device) else ""
    return kind if kind in ("cpu", "cuda") else ""


class PretendDevice(TorchFunctionMode):
    """Hands out tags, and raises where a function gets tensors with and without."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__"):
            return self.attribute(func, name, args)
        if name in ANYWHERE:
            return func(*args, **kwargs)
        leaves = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        on = [t for t in tensors if tagged(t)]
        if on and name in TO_NUMPY:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        if name == "cpu":
            return tag(args[0].clone() if on else args[0], False)
        if name == "cuda":
            return tag(args[0].clone())
        if name == "to" and len(tensors) == 2:  # to(other)
            return tag(func(*args, **kwargs).clone(), tagged(tensors[1]))
        places = [found for leaf in leaves if (found := place(leaf))]
        if places:
            args, kwargs = tree_map(lambda x: CPU if place(x) else x, (args, kwargs))
            result, there = func(*args, **kwargs), places[0] == "cuda"
            moved = name == "to" and there != bool(on)
            return tag(result.clone() if moved else result, there)
        if on and self.mixed(name, args, tensors):
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! ({name})"
            )
        result = func(*args, **kwargs)
        if on and name in LENGTHS_ON_CPU:
            tag([part for part in tree_leaves(result) if part.is_floating_point()])
            return result
        return tag(result) if on else result

    @staticmethod
    def mixed(name: str, args: tuple, tensors: list) -> bool:
        """Do tensors with and without a tag meet where a GPU would not allow it."""
        if name == "__getitem__" and tagged(args[0]):
            return False  # a tensor on a GPU may be indexed by one on the CPU
        if name == "__setitem__":  # and may take a number from there
            tensors = [t for t in tensors if t is args[0] or t is args[2]]
        off = [t for t in tensors if not tagged(t) and t.dim()]
        if name in LENGTHS_ON_CPU:
            off = [t for t in off if t.dtype != torch.int64 or t.dim() != 1]
        return bool(off)

    @staticmethod
    def attribute(func, access: str, args: tuple):
        """Read or set an attribute that is C: `device`, `is_cuda`, `data`, `grad` and the like."""
        what, on = func.__self__.__name__, tagged(args[0])
        if access == "__set__":
            func(*args)
            if what == "data":
                args[0].pretend = tagged(args[1])
            return None
        if on and what in ("device", "is_cuda", "is_cpu"):
            return {"device": CUDA, "is_cuda": True, "is_cpu": False}[what]
        value = func(*args)
        return tag(value) if on and isinstance(value, torch.Tensor) else value


def install() -> None:
    """Let PyTorch offer the pretend device from here on, for the whole process."""
    torch.cuda.is_available = lambda: True
    torch.cuda.is_bf16_supported = lambda *_, **__: False
    torch.cuda.device_count = lambda: 1
    torch.cuda.current_device = lambda: 0
    torch.cuda.get_device_name = lambda *_: "pretend device"
    torch.cuda.manual_seed = torch.default_generator.manual_seed
    for name in ("set_device", "synchronize", "empty_cache", "manual_seed_all"):
        setattr(torch.cuda, name, lambda *_, **__: None)
    torch.cuda._exchange_device = torch.cuda._maybe_exchange_device = lambda _: -1
    torch.backends.cudnn.is_acceptable = lambda _: False
    PretendDevice().__enter__()


def shorten(steps: int = 2, stays: bool = False) -> None:
    """Cut every training of `textgen.fit` to a few steps: where tensors are does not depend on how long it runs.

    With `stays` a model is left on the pretend device, as `fit` did before it gave models back.
    """
    import textgen

    fit = textgen.train.fit

    @functools.wraps(fit)
    def short(model, data, long=2000, *rest, **options):
        options["eval_every"] = None
        history = fit(model, data, min(steps, options.pop("steps", long)), *rest, **options)
        if stays:
            model.to("cuda")
        return history

    textgen.train.fit = textgen.fit = short
