"""The rungs of the ladder, bigram, window MLP, RNN, LSTM and GPT, behind one contract.

``model(ids, targets=None) -> (logits, loss)``: ids (B, T) int64, logits (B, T, vocab_size), loss in mean nats
per token over targets other than -100. ``model.next(ids, state=None) -> (logits, state)`` reads on from a
state, with logits (B, vocab_size) for what follows; no state is ever changed, so you may go on from it twice.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .folders import GPT2Folder


class LanguageModel(nn.Module):
    """What all rungs share; each adds ``_read(ids, state) -> (x, state)`` and ``head(x) -> logits``."""

    positions: int | None = None  # how many tokens it can read before its window must slide; None: no end

    def __init__(self, config):
        super().__init__()
        self.config = config  # a small frozen dataclass

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Logits (B, T, vocab_size) and the loss, mean nats per token, or None without targets."""
        logits = self.head(self._read(ids, None)[0])
        return logits, loss_of(logits, targets)

    def next(self, ids: Tensor, state=None) -> tuple[Tensor, object]:
        """Read ids (B, T) on from ``state``; logits (B, vocab_size) for what follows, and the new state."""
        x, state, *_ = self._read(ids, state)
        return self.head(x[:, -1]), state

    def num_parameters(self) -> int:
        """How many numbers training may change; weights used twice count once."""
        return sum(p.numel() for p in self.parameters())


def loss_of(logits: Tensor, targets: Tensor | None) -> Tensor | None:
    """Cross-entropy in nats per token, (B, T, V) against (B, T); PyTorch skips targets of -100."""
    return None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())


@dataclass(frozen=True)
class BigramConfig:
    """Settings of a Bigram; here as for the next three, ``block_size`` is the length of a training row."""

    vocab_size: int = 1024
    block_size: int = 256


class Bigram(LanguageModel):
    """Softmax regression on the previous token: a row of logits for each token, at first all zero."""

    def __init__(self, config: BigramConfig):
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.vocab_size)
        nn.init.zeros_(self.table.weight)
        self.head = nn.Identity()

    def _read(self, ids, state):
        return self.table(ids), None


@dataclass(frozen=True)
class WindowMLPConfig(BigramConfig):
    """Settings of a WindowMLP: it sees the last ``window`` tokens, as ``n_embd`` numbers each."""

    n_embd: int = 32
    n_hidden: int = 256
    window: int = 8


class WindowMLP(LanguageModel):
    """Neural n-gram model: embed the last few tokens, one hidden layer, softmax (Bengio et al. 2003)."""

    def __init__(self, config: WindowMLPConfig):
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.hidden = nn.Linear(config.n_embd * config.window, config.n_hidden)
        self.head = nn.Linear(config.n_hidden, config.vocab_size)

    def _read(self, ids, state):
        x = self.wte(ids)  # (B, T, n_embd)
        if state is None:  # before the first token there are zeros
            state = x.new_zeros(len(x), self.config.window - 1, self.config.n_embd)
        x = torch.cat([state, x], dim=1)  # (B, window - 1 + T, n_embd)
        windows = x.unfold(1, self.config.window, 1).flatten(2)  # (B, T, n_embd * window)
        return torch.tanh(self.hidden(windows)), x[:, x.size(1) - self.config.window + 1 :]


@dataclass(frozen=True)
class RNNConfig(BigramConfig):
    """Settings of an RNN or LSTM: ``n_layer`` layers with a memory of ``n_hidden`` numbers each."""

    n_embd: int = 64
    n_hidden: int = 192
    n_layer: int = 1


LSTMConfig = RNNConfig  # the same settings


class RNN(LanguageModel):
    """A recurrent network: all it knows of the past is one vector a layer (Elman 1990)."""

    cell = nn.RNN

    def __init__(self, config: RNNConfig):
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.memory = self.cell(config.n_embd, config.n_hidden, config.n_layer, batch_first=True)
        self.head = nn.Linear(config.n_hidden, config.vocab_size)

    def _read(self, ids, state):
        return self.memory(self.wte(ids), state)


class LSTM(RNN):
    """A recurrent network with gates and a cell that gradients survive (Hochreiter & Schmidhuber 1997)."""

    cell = nn.LSTM


@dataclass(frozen=True)
class GPTConfig:
    """Settings of a GPT; with a ``window``, odd layers see only that many tokens (GPT-3's banded layers)."""

    vocab_size: int = 1024
    block_size: int = 256
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    dropout: float = 0.0
    window: int | None = None


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
        q, k, v = self.c_attn(x).split(C, dim=2)  # (B, T, n_embd)
        q, k, v = (h.view(B, T, self.n_head, -1).transpose(1, 2) for h in (q, k, v))  # (B, n_head, T, d_head)
        if cache is not None:  # keys and values of the tokens read before
            k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)  # (B, n_head, S, d_head)
        S, weights = k.size(2), None
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
        return self.dropout(self.c_proj(y)), (k, v), weights

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
    """GPT-2 to the letter (Radford et al. 2019). Its state is the KV cache, one pair (k, v) a layer."""

    Config = GPTConfig

    def __init__(self, config: GPTConfig):
        if config.n_head < 1 or config.n_embd % config.n_head:
            raise ValueError(f"n_embd {config.n_embd} must be a multiple of n_head {config.n_head}.")
        super().__init__(config)
        self.positions = config.block_size
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)  # reads tokens, and writes them: tied
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config, config.window if i % 2 else None) for i in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.dim() == 2:
                # GPT-2's 0.02 belongs to its width of 768. A narrow model that starts with it learns to
                # recall far later: its queries and keys begin too small to tell tokens apart.
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
        x, _, attentions = self._read(ids, None, embeddings, head_mask, return_attention)
        logits = self.head(x)
        loss = loss_of(logits, targets)
        return (logits, loss, attentions) if return_attention else (logits, loss)

    def _read(self, ids, state, embeddings=None, head_mask=None, return_attention=False):
        x = self.wte(ids) if embeddings is None else embeddings  # (B, T, n_embd)
        past = 0 if state is None else state[0][0].size(2)
        if (end := past + x.size(1)) > self.positions:
            raise ValueError(f"ids must be at most block_size {self.positions} tokens long, but {end} came.")
        x = self.drop(x + self.wpe.weight[past:end])
        caches, attentions = [], []
        for i, block in enumerate(self.h):
            mask = None if head_mask is None else head_mask[i]
            x, cache, weights = block(x, state and state[i], mask, return_attention)
            caches.append(cache)
            attentions.append(weights)
        return self.ln_f(x), caches, attentions
