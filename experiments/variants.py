"""The ladder's models with one thing changed at a time: the same stories and three seeds.

    python experiments/variants.py                into book/textgen/results/variants.json
    python experiments/variants.py --windows      rung 2 with windows of 1 to 32 tokens, into windows.json beside it
    python experiments/variants.py --windows 8    one of them; the others' figures stay

Chapter 02 shows what a longer window buys, chapter 03 an RNN that trains for a fifth of the steps, chapter 04 what banded
layers cost, chapter 05 what Muon saves, and what the parts that GPT-3 names are good for. All else is as on the ladder, but
that the windows train for 1,100 steps.
"""

import torch
from ladder import RUNGS, measure, options
from textgen.gpt import GPT, Block, GPTConfig
from torch import nn

BASE, ALONE = RUNGS["GPT"][2], {"lr": 0.004, "muon_lr": 0}


class PlainInitialisation(GPT):
    """The layers that write to the residual stream start with the same spread as all others."""

    def __init__(self, config):
        super().__init__(config)
        for name, p in self.named_parameters():
            if "c_proj.weight" in name:
                nn.init.normal_(p, std=0.02 * (768 / config.n_embd) ** 0.5)


class SmallInitialisation(GPT):
    """Every matrix starts with GPT-2's standard deviation of 0.02, at any width."""

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
    """A GPT of post-norm blocks."""

    def __init__(self, config):
        super().__init__(config)
        for block in self.h:
            block.__class__ = PostNormBlock  # the same weights, used in another order


class NoPositions(GPT):
    """No position embeddings: only the causal mask tells positions apart."""

    def __init__(self, config):
        super().__init__(config)
        nn.init.zeros_(self.wpe.weight)
        self.wpe.requires_grad_(False)


VARIANTS = {
    "RNN, a fifth of the steps": (*RUNGS["RNN"][:3], {"times": 1 / 5}),
    "AdamW alone": (*RUNGS["GPT"][:3], ALONE),
    "AdamW alone, 1,100 steps": (*RUNGS["GPT"][:3], ALONE | {"times": 11 / 6}),
    "banded attention": (GPT, GPTConfig, BASE | {"sliding_window": 24}, {}),
    "plain initialisation": (PlainInitialisation, GPTConfig, BASE, {}),
    "0.02 at width 96": (SmallInitialisation, GPTConfig, BASE, {}),
    "0.02 at width 96, AdamW": (SmallInitialisation, GPTConfig, BASE, ALONE | {"times": 11 / 6}),
    "post-norm": (PostNorm, GPTConfig, BASE, {}),
    "no positions": (NoPositions, GPTConfig, BASE, {}),
}
MODEL, CONFIG, SETTINGS, TRAINING = RUNGS["WindowMLP"]
TRAINING = TRAINING | {
    "times": 11 / 6
}  # 1,100 steps, so that the wide windows, with more weights, are not short of training
WINDOWS = {str(n): (MODEL, CONFIG, SETTINGS | {"window": n}, TRAINING) for n in (1, 2, 4, 8, 16, 32)}
EDGES = (4, 7, 10, 15, 20, 30)  # of the distances, in words, at which a window's recall is measured


def main(arguments: list[str] | None = None) -> None:
    """Measure the variants asked for, or the windows."""
    found = options("variants", __doc__, VARIANTS)
    found.add_argument(
        "--windows", nargs="*", choices=WINDOWS, help="windows instead of rungs; all if none is named"
    )
    a = found.parse_args(arguments)
    if a.windows is None:
        return measure(a, VARIANTS)
    a.rungs, a.command = a.windows or list(WINDOWS), f"{a.command} --windows"
    if a.record == found.get_default("record"):
        a.record = a.record.with_name("windows.json")
    measure(a, WINDOWS, "windows", EDGES)


if __name__ == "__main__":
    main()
