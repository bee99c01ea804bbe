"""The contract of every rung of the ladder, and the rungs up to the LSTM; GPT is in gpt.py.

``model(ids, targets=None) -> (logits, loss)``: ids (B, T) int64, logits (B, T, vocab_size), loss in mean nats
per token over targets other than -100. ``model.next(ids, state=None) -> (logits, state)`` reads on from a
state, with logits (B, vocab_size) for what follows; no state is ever changed, so you may go on from it twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LanguageModel(nn.Module):
    """What all rungs share; each adds ``hidden_states(ids, state=None) -> (x, state)`` and ``head(x) -> logits``.

    ``hidden_states`` gives the vectors (B, T, width) that ``head`` turns into logits, and the state after the last token.
    """

    max_positions: int | None = None  # how many tokens it can read before its window must slide; None: no end

    def __init__(self, config):
        super().__init__()
        self.config = config  # a small frozen dataclass

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Logits (B, T, vocab_size) and the loss, mean nats per token, or None without targets."""
        logits = self.head(self.hidden_states(ids)[0])
        return logits, loss_of(logits, targets)

    def next(self, ids: Tensor, state=None) -> tuple[Tensor, object]:
        """Read ids (B, T) on from ``state``; logits (B, vocab_size) for what follows, and the new state."""
        x, state = self.hidden_states(ids, state)
        return self.head(x[:, -1]), state

    def num_parameters(self) -> int:
        """How many numbers training may change; weights used twice count once."""
        return sum(p.numel() for p in self.parameters())


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model in evaluation mode, without dropout; the mode it was in comes back, whatever happens inside."""
    training = model.training
    model.eval()
    try:
        yield model
    finally:
        model.train(training)


def log_probs(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability in nats (B, T) that logits (B, T, V) give to each target (B, T); 0 where that is -100."""
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return -losses.view(targets.shape)


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

    def hidden_states(self, ids, state=None):
        """The rows of the table, which are the logits; there is nothing to remember."""
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

    def hidden_states(self, ids, state=None):
        """The hidden layer (B, T, n_hidden), and the embeddings of the last ``window - 1`` tokens."""
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

    def hidden_states(self, ids, state=None):
        """The last layer's memory after each token (B, T, n_hidden), and that of all layers after the last."""
        return self.memory(self.wte(ids), state)


class LSTM(RNN):
    """A recurrent network with gates and a cell that gradients survive (Hochreiter & Schmidhuber 1997)."""

    cell = nn.LSTM
