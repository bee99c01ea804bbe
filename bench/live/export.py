"""Writes pocket-gpt as transformers.js wants it: ONNX with a KV cache, in float32 and quantised to int8.

.venv/bin/pip install onnx onnxscript onnxruntime
.venv/bin/python bench/live/export.py
"""

import shutil
import sys
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "book"))
from textgen import hub
from textgen.gpt import KVCache

TARGET = HERE / "dist/pocket-gpt"


class WithCache(nn.Module):
    """The model as ONNX knows it: tensors in, tensors out, the cache among them."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, *past):
        pairs = [torch.stack(pair) for pair in zip(past[::2], past[1::2])]
        state = [KVCache.read(None, pair) for pair in pairs]
        # with the attention weights, whose mask is written out, so that it holds for any length
        x, caches, _ = self.model.hidden_states(input_ids, state, return_attention=True)
        return self.model.head(x), *(tensor for pair in caches for tensor in pair)


def main() -> None:
    """Export, quantise, and put the files beside each other as on a hub."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model, _ = hub.load("pocket-gpt")
    config = model.config
    names = [f"{i}.{part}" for i in range(config.n_layer) for part in ("key", "value")]
    past = tuple(torch.randn(1, config.n_head, 3, config.n_embd // config.n_head) for _ in names)
    (TARGET / "onnx").mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        WithCache(model).eval(),
        (torch.tensor([[5, 6]]), *past),
        TARGET / "onnx/model.onnx",
        input_names=["input_ids", *(f"past_key_values.{name}" for name in names)],
        output_names=["logits", *(f"present.{name}" for name in names)],
        dynamic_axes={
            "input_ids": {0: "batch", 1: "tokens"},
            "logits": {0: "batch", 1: "tokens"},
            **{f"past_key_values.{name}": {0: "batch", 2: "past"} for name in names},
            **{f"present.{name}": {0: "batch", 2: "all"} for name in names},
        },
        opset_version=18,
        dynamo=False,
    )
    quantize_dynamic(
        TARGET / "onnx/model.onnx",
        TARGET / "onnx/model_quantized.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(hub.WEIGHTS / "pocket-gpt" / name, TARGET / name)
    for path in sorted((TARGET / "onnx").iterdir()):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
