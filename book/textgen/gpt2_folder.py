"""GPT-2 folders as Hugging Face lays them out: weights as safetensors, settings as JSON, never a pickle."""

import json
import os
from dataclasses import asdict, fields
from functools import reduce
from pathlib import Path

from .files import problem, read_parsed, write_atomically

CONV1D_WEIGHTS = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # Hugging Face's Conv1D stores (in, out)
NOT_WEIGHTS = (".attn.bias", ".attn.masked_bias", "lm_head.weight")  # old masks, and a copy of the embeddings
OTHERWISE = {  # weights that are not read here, and what is wrong with them
    "pytorch_model*.bin": "a pickle, which could run any code when it is opened",
    "model-*.safetensors": "one of several pieces",
}
HF_NAMES = {"block_size": "n_positions", "dropout": "resid_pdrop"}  # names that differ in config.json
# What a GPT-2 folder may ask for that would change the arithmetic, and the only value that we compute.
FIXED = {
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "n_inner": None,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}


class GPT2Folder:
    """Gives a GPT, its settings a ``Config``, the two methods that exchange it with ``transformers``."""

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write ``config.json`` and ``model.safetensors`` as ``transformers.GPT2LMHeadModel`` reads them.

        A ``sliding_window`` is noted in the config, but ``transformers`` does not know it: there, layers are dense.
        """
        from safetensors.torch import save

        settings = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", **FIXED}
        settings |= {HF_NAMES.get(k, k): v for k, v in asdict(self.config).items() if v is not None}
        settings |= dict.fromkeys(("embd_pdrop", "attn_pdrop"), self.config.dropout)
        settings |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), self.end_token_id)
        settings["dtype"] = str(self.wte.weight.dtype).removeprefix("torch.")
        tensors = {f"transformer.{name}": _transpose(name, t) for name, t in self.state_dict().items()}
        # The weights go first: whoever finds a new config finds its weights.
        write_atomically(Path(folder) / "model.safetensors", save(tensors, metadata={"format": "pt"}))
        write_atomically(Path(folder) / "config.json", json.dumps(settings, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike):
        """Read a GPT-2 folder, ours or Hugging Face's, into a model in evaluation mode.

        Raises FileNotFoundError for a file that is missing, and ValueError for one that is truncated,
        altered, of another architecture, or at odds with the other.
        """
        import torch
        from safetensors.torch import load

        settings = read_parsed(Path(folder) / "config.json", lambda content: dict(json.loads(content)))
        config = {f.name: settings.get(HF_NAMES.get(f.name, f.name)) for f in fields(cls.Config)}
        if (kind := settings.get("model_type", "gpt2")) != "gpt2":
            raise ValueError(f"{folder}/config.json says model_type = {kind!r}, but GPT has 'gpt2'.")
        for name, value in config.items():
            if not isinstance(value, int | float) and (name, value) != ("sliding_window", None):
                key = HF_NAMES.get(name, name)
                what = f"says {key} = {value!r}, but that" if key in settings else f"has no {key}, which"
                raise ValueError(f"{folder}/config.json {what} must be a number.")
        for name, value in FIXED.items():
            found = settings.get(name, value)
            if found != value and (name, found) != ("n_inner", 4 * config["n_embd"]):
                raise ValueError(f"{folder}/config.json says {name} = {found!r}, but GPT has {value!r}.")
        weights = read_parsed(_weights_file(Path(folder)), load)
        weights = {name: t for name, t in weights.items() if not name.endswith(NOT_WEIGHTS)}
        prefix = "transformer." if any(name.startswith("transformer.") for name in weights) else ""
        with torch.device("meta"):  # no need to draw weights that are about to be replaced
            model = cls(cls.Config(**config))
        wanted = {prefix + n: tuple(_transpose(n, t).shape) for n, t in model.state_dict().items()}
        found = {name: tuple(t.shape) for name, t in weights.items()}
        for name in sorted(wanted.keys() | found.keys()):  # as the file names and lays them out
            if (want := wanted.get(name)) != (have := found.get(name)):
                has = f"has {name} in the shape {have}" if have is not None else f"lacks {name}"
                asks = f"asks for the shape {want}" if want is not None else "has no place for it"
                raise ValueError(f"{folder}/model.safetensors {has}, but its config.json {asks}.")
        kind = _floating(folder, weights)
        tensors = {name.removeprefix(prefix): _transpose(name, t).to(kind) for name, t in weights.items()}
        model.load_state_dict(tensors, assign=True)
        model.end_token_id = settings.get("eos_token_id", 0)
        return model.eval()


def _weights_file(folder: Path) -> Path:
    """``model.safetensors`` of a folder; raises FileNotFoundError where its weights are in another kind of file."""
    path = folder / "model.safetensors"
    for pattern, what in OTHERWISE.items():
        if not path.is_file() and (other := sorted(folder.glob(pattern))):
            cause = f"There is no model.safetensors in {folder}, but {other[0].name}, {what}"
            call = f"GPT2LMHeadModel.from_pretrained({str(folder)!r}).save_pretrained(a_new_folder)"
            raise problem(FileNotFoundError, cause, f"with transformers, {call} writes what is read here")
    return path


def _floating(folder, weights: dict):
    """The floating type that holds all weights without loss; raises ValueError for a type that GPT cannot compute with."""
    import torch

    for name, tensor in weights.items():
        if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            what = f"{folder}/model.safetensors has {name} as {str(tensor.dtype).removeprefix('torch.')}"
            mend = (
                "with transformers, model.float() and save_pretrained(a_new_folder) write what is read here"
            )
            raise problem(ValueError, f"{what}, which GPT cannot compute with", mend)
    return reduce(torch.promote_types, {tensor.dtype for tensor in weights.values()})


def _transpose(name: str, tensor):
    """A weight in Hugging Face's orientation from ours, or the other way: Conv1D transposes nn.Linear."""
    return (tensor.T if name.endswith(CONV1D_WEIGHTS) else tensor).contiguous()
