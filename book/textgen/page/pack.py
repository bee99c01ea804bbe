"""The file from which gpt.js runs a model: int8 matrices, settings and tokenizer in one safetensors file.

`round_to_int8` puts a model on the grid that the file stores, before the model ships; so Python, Hugging Face and
the page run one model, without any difference.
"""

import base64
import json
import zlib
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save

from .. import hub
from ..files import read_parsed, verify
from ..gpt import GPT
from ..models import LanguageModel
from ..tokenizer import Tokenizer

LARGEST = 5_000_000  # weights; a browser would keep its reader waiting for more


@torch.no_grad()
def round_to_int8(model: torch.nn.Module) -> None:
    """Round every matrix, in place, to whole numbers from -127 to 127 times one scale an output row.

    A scale keeps 16 bits, so that scale times whole number is exact in float32 and the whole numbers can be read back
    without loss.
    """
    for parameter in model.parameters():
        if parameter.dim() == 2:
            mantissa, exponent = torch.frexp(parameter.abs().amax(1, keepdim=True).clamp_min(1e-30) / 127)
            scale = torch.ldexp(torch.ceil(mantissa * 2**16) / 2**16, exponent)
            parameter.copy_(torch.round(parameter / scale) * scale)


def misfit(model: LanguageModel, tokenizer: Tokenizer) -> str:
    """Say why gpt.js cannot run this model and what would do, or "" if it can: a GPT, dense, small, with GPT-2's BPE."""
    if not isinstance(model, GPT):
        return f"model must be a GPT to run in a browser, but {type(model).__name__} came: train a GPT"
    if window := model.config.sliding_window:
        return f"model must be dense to run in a browser, but sliding_window={window} came: train one without"
    if (size := model.num_parameters()) > LARGEST:
        return f"model must have at most {LARGEST:,} weights to run in a browser, but {size:,} came: train a smaller one"
    parts = json.loads(tokenizer.backend.to_str())
    before, kind = parts["pre_tokenizer"] or {}, parts["model"]["type"]
    plain = parts["normalizer"] is None and before.get("type") == "ByteLevel" and before["use_regex"]
    if plain and not before["add_prefix_space"] and kind == "BPE":
        return ""
    came = "one of characters or words" if kind == "WordLevel" else "another"
    hint = 'train the model on text_file(path, tokenizer="bpe")'
    return f"tokenizer must be byte-level BPE as in GPT-2 to run in a browser, but {came} came: {hint}"


def pack(model: GPT, tokenizer: Tokenizer) -> bytes:
    """Return the one file that gpt.js reads: safetensors with settings and tokenizer in its header.

    A matrix on the int8 grid (`round_to_int8`) takes a quarter of its size, without loss: its largest
    number, divided by 127, is the row's scale. Any other stays as it is.
    """
    tensors = {}
    for name, tensor in model.state_dict().items():
        tensors[name] = tensor = tensor.detach().float().cpu().contiguous()
        if tensor.dim() == 2:
            scale = tensor.abs().amax(1, keepdim=True).clamp_min(1e-30) / 127
            whole = (tensor / scale).round()
            if torch.equal(whole * scale, tensor):
                tensors |= {name: whole.to(torch.int8), f"{name}.scale": scale[:, 0].contiguous()}
    parts = {"config": asdict(model.config), "tokenizer": json.loads(tokenizer.backend.to_str())}
    header = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return save(tensors, {"gpt": header})  # one entry: safetensors would write several in any order


def as_script(name: str, packed: bytes) -> str:
    """Return a packed model as a classic script, since file:// refuses fetch: base64, and a CRC-32 to check it by."""
    model = json.dumps({"crc32": zlib.crc32(packed), "base64": base64.b64encode(packed).decode()})
    return f"(globalThis.textgenModels ??= {{}})[{json.dumps(name)}] = {model};\n"


def shipped_name(packed: bytes) -> str:
    """Return the name under which the course ships this packed model.

    Raises ValueError where it does not ship, or where a folder of `hub.WEIGHTS` is damaged.
    """
    for name, shipped in packed_weights(hub.WEIGHTS).items():
        if shipped == packed:
            return name
    raise ValueError('In the book model must be one that ships with the course: load("pocket-gpt").')


@cache
def packed_weights(weights: Path) -> dict[str, bytes]:
    """Return each GPT among these folders as `pack` writes it, by the folder's name; ValueError for a damaged one."""
    packed = {}
    for folder in sorted(path for path in weights.iterdir() if path.is_dir()):
        verify(folder)
        config = read_parsed(folder / "config.json", lambda content: dict(json.loads(content)))
        if config.get("model_type") == "gpt2":
            packed[folder.name] = pack(*hub.load(folder))
    return packed
