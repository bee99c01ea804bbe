"""The ladder's models with one thing changed at a time: the same stories and three seeds.

    python experiments/variants.py     all of them, into book/textgen/results/variants.json

Chapter 03 trains its RNN for a fifth of the steps; chapter 04 shows what banded layers cost,
chapter 05 what the parts that GPT-3 names are good for. Every other thing is the ladder's, the budget too.
"""

import torch
from ladder import RECORD, RUNGS, record
from textgen.gpt import GPT, Block, GPTConfig
from torch import nn

BASE = RUNGS["GPT"][2]


class PlainInitialisation(GPT):
    """The layers that add to the stream start as large as all others."""

    def __init__(self, config):
        super().__init__(config)
        for name, p in self.named_parameters():
            if "c_proj.weight" in name:
                nn.init.normal_(p, std=0.02 * (768 / config.n_embd) ** 0.5)


class SmallInitialisation(GPT):
    """Every matrix starts with GPT-2's standard deviation of 0.02, whatever the width."""

    def __init__(self, config):
        super().__init__(config)
        with torch.no_grad():
            for p in self.parameters():
                if p.dim() == 2:
                    p *= (config.n_embd / 768) ** 0.5


class PostNormBlock(Block):
    """The norm comes after each addition, as in Vaswani et al. 2017, not before each layer."""

    def forward(self, x, cache=None, head_mask=None, return_attention=False):
        """(B, T, n_embd) to the same, with the attention's new cache and weights."""
        y, cache, weights = self.attn(x, cache, head_mask, return_attention)
        x = self.ln_1(x + y)
        return self.ln_2(x + self.mlp(x)), cache, weights


class PostNorm(GPT):
    """A GPT of such blocks."""

    def __init__(self, config):
        super().__init__(config)
        for block in self.h:
            block.__class__ = PostNormBlock  # the same weights, read in another order


class NoPositions(GPT):
    """The model is not told where a token stands; only the causal mask is left."""

    def __init__(self, config):
        super().__init__(config)
        nn.init.zeros_(self.wpe.weight)
        self.wpe.requires_grad_(False)


VARIANTS = {
    "RNN, a fifth of the steps": (*RUNGS["RNN"][:3], {"steps": 220}),
    "banded attention": (GPT, GPTConfig, BASE | {"sliding_window": 24}, {}),
    "plain initialisation": (PlainInitialisation, GPTConfig, BASE, {}),
    "0.02 at width 96": (SmallInitialisation, GPTConfig, BASE, {}),
    "post-norm": (PostNorm, GPTConfig, BASE, {}),
    "no positions": (NoPositions, GPTConfig, BASE, {}),
}

if __name__ == "__main__":
    record(VARIANTS, RECORD.with_name("variants.json"), "python experiments/variants.py")
