"""GPT-2, in the order in which chapter 05 assembles it: attention, MLP, block, model."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .gpt2_folder import GPT2Folder
from .inputs import whole
from .models import LanguageModel, loss_of


@dataclass(frozen=True)
class GPTConfig:
    """Settings of a GPT; odd layers see only the last ``sliding_window`` tokens, if set (GPT-3's banded layers)."""

    vocab_size: int = 1024
    block_size: int = 256
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    dropout: float = 0.0
    sliding_window: int | None = None


class KVCache:
    """The keys and values that a layer has read, (2, B, n_head, length, d_head), in a buffer with room for more.

    Reading on fills the room behind them. Where that is taken, by another continuation of the same text, or too
    small, they move to a new buffer, twice as large: so no cache that you hold ever changes.
    """

    def __init__(self, buffer: Tensor, length: int, taken: list[int]):
        self.buffer, self.length, self.taken = buffer, length, taken  # `taken` is the buffer's, shared

    def __iter__(self):
        """``keys, values = cache``: each (B, n_head, length, d_head)."""
        return iter(self.buffer[..., : self.length, :])

    @classmethod
    def read(cls, past: "KVCache | None", kv: Tensor) -> "KVCache":
        """The cache after `past` and new keys and values (2, B, n_head, T, d_head)."""
        if past is None:
            return cls(kv, kv.size(3), [kv.size(3)])
        buffer, taken, end = past.buffer, past.taken, past.length + kv.size(3)
        if end > buffer.size(3) or past.length < taken[0] or kv.requires_grad:
            buffer, taken = kv.new_empty(*kv.shape[:3], 2 * end, kv.size(4)), [0]
            buffer[..., : past.length, :] = past.buffer[..., : past.length, :]
        buffer[..., past.length : end, :] = kv
        taken[0] = end
        return cls(buffer, end, taken)


class CausalSelfAttention(nn.Module):
    """Each position looks at itself and those before it, with ``n_head`` heads (Vaswani et al. 2017)."""

    def __init__(self, config: GPTConfig, window: int | None = None):
        super().__init__()
        self.n_head, self.window = config.n_head, window
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)  # query, key and value in one go
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x, cache=None, head_mask=None, return_attention=False):
        """(B, T, n_embd) to the same, with the new cache, and the weights (B, n_head, T, S) if asked for."""
        B, T, C = x.shape
        qkv = (
            self.c_attn(x).view(B, T, 3, self.n_head, -1).permute(2, 0, 3, 1, 4)
        )  # (3, B, n_head, T, d_head)
        q, cache = qkv[0], KVCache.read(cache, qkv[1:])
        (k, v), S, weights = cache, cache.length, None  # (B, n_head, S, d_head)
        if return_attention:
            scores = q @ k.transpose(-2, -1) / k.size(-1) ** 0.5  # (B, n_head, T, S)
            scores = scores.masked_fill(~self.mask(T, S, x.device), -torch.inf)
            weights = F.softmax(scores, dim=-1)
            y = self.dropout(weights) @ v  # (B, n_head, T, d_head)
        else:  # the same in one fused step, which fills in a plain causal mask by itself
            plain, p = self.window is None and T in (1, S), self.dropout.p if self.training else 0.0
            mask = None if plain else self.mask(T, S, x.device)
            y = F.scaled_dot_product_attention(q, k, v, mask, p, is_causal=plain and T > 1)
        y = y if head_mask is None else y * head_mask.view(-1, 1, 1)
        y = y.transpose(1, 2).reshape(B, T, C)  # the heads side by side again
        return self.dropout(self.c_proj(y)), cache, weights

    def mask(self, T: int, S: int, device=None) -> Tensor:
        """(T, S), True where the last T of S positions may look: not ahead, not beyond the window."""
        back = torch.arange(S - T, S, device=device)[:, None] - torch.arange(S, device=device)
        return (back >= 0) & (back < (self.window or S))


class MLP(nn.Module):
    """Two layers with a tanh-GELU between, on each position by itself; four times as wide inside."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        """(B, T, n_embd) to the same."""
        return self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))


class Block(nn.Module):
    """Attention carries between positions, the MLP works on each; both add to the stream ``x``."""

    def __init__(self, config: GPTConfig, window: int | None = None):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(config.n_embd), nn.LayerNorm(config.n_embd)  # norms before
        self.attn = CausalSelfAttention(config, window)
        self.mlp = MLP(config)

    def forward(self, x, cache=None, head_mask=None, return_attention=False):
        """(B, T, n_embd) to the same, with the attention's new cache and weights."""
        y, cache, weights = self.attn(self.ln_1(x), cache, head_mask, return_attention)
        x = x + y
        return x + self.mlp(self.ln_2(x)), cache, weights


class GPT(GPT2Folder, LanguageModel):
    """GPT-2 to the letter (Radford et al. 2019). Its state is a list of KV caches, one a layer."""

    Config = GPTConfig

    def __init__(self, config: GPTConfig):
        for name in ("vocab_size", "block_size", "n_layer", "n_embd"):
            whole(name, getattr(config, name), 1)
        if config.n_head < 1 or config.n_embd % config.n_head:
            raise ValueError(f"n_embd {config.n_embd} must be a multiple of n_head {config.n_head}.")
        super().__init__(config)
        self.max_positions = config.block_size
        self.end_token_id = 0  # of <|endoftext|>, for the files that name it
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)  # reads tokens, and writes them: tied
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(
            Block(config, config.sliding_window if i % 2 else None) for i in range(config.n_layer)
        )
        self.ln_f = nn.LayerNorm(config.n_embd)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.dim() == 2:
                # GPT-2's 0.02 at 768, its smallest width; at a quarter of the width it is twice that.
                std = 0.02 * (768 / config.n_embd) ** 0.5
                # The 2 n_layer matrices that add to the stream start smaller, so that it does not grow.
                nn.init.normal_(p, std=std / (2 * config.n_layer) ** 0.5 if "c_proj" in name else std)

    def head(self, x: Tensor) -> Tensor:
        """Logits: how well each token's embedding fits what came out."""
        return F.linear(x, self.wte.weight)

    def forward(self, ids=None, targets=None, *, embeddings=None, head_mask=None, return_attention=False):
        """Logits (B, T, vocab_size), loss, and if asked for a list of attentions (B, n_head, T, T).

        ``embeddings`` (B, T, n_embd) may stand in for ``ids``; ``head_mask`` (n_layer, n_head) scales what
        each head says, 0 to silence it. Raises ValueError beyond ``block_size`` tokens.
        """
        x, _, *attentions = self.hidden_states(
            ids, embeddings=embeddings, head_mask=head_mask, return_attention=return_attention
        )
        logits = self.head(x)
        return logits, loss_of(logits, targets), *attentions

    def hidden_states(self, ids=None, state=None, *, embeddings=None, head_mask=None, return_attention=False):
        """The stream after the last norm (B, T, n_embd), the KV cache, and if asked for the attentions.

        With ``head`` this is ``forward`` in two steps; a reward model or a probe puts a head of its own on it.
        """
        x = self.wte(ids) if embeddings is None else embeddings  # (B, T, n_embd)
        past = 0 if state is None else state[0].length
        if (end := past + x.size(1)) > self.max_positions:
            raise ValueError(
                f"ids must be at most block_size {self.max_positions} tokens long, but {end} came."
            )
        x = self.drop(x + self.wpe.weight[past:end])
        caches, attentions = [], []
        for i, block in enumerate(self.h):
            mask = None if head_mask is None else head_mask[i]
            x, cache, weights = block(x, state and state[i], mask, return_attention)
            caches.append(cache)
            attentions.append(weights)
        x = self.ln_f(x)
        return (x, caches, attentions) if return_attention else (x, caches)


class SoftPrompt(nn.Module):
    """A frozen GPT behind learned vectors, which start as the embeddings of ``tokens`` (n,) (Lester et al. 2021)."""

    def __init__(self, gpt: GPT, tokens: Tensor):
        super().__init__()
        self.gpt, self.max_positions = gpt.requires_grad_(False), gpt.max_positions - len(tokens)
        self.prompt = nn.Parameter(gpt.wte.weight[tokens].clone())  # (n, n_embd)

    def forward(self, ids, targets=None):
        """Logits (B, T, vocab_size) after ids (B, T), and the loss in nats per counted token."""
        x = torch.cat([self.prompt.expand(len(ids), -1, -1), self.gpt.wte(ids)], dim=1)  # (B, n + T, n_embd)
        logits = self.gpt(embeddings=x)[0][:, len(self.prompt) :]
        return logits, loss_of(logits, targets)
