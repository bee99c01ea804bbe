"""The translator: an LSTM encodes an English sentence, another decodes it into Spanish (Sutskever et al. 2014).

In chapter 03 all that the decoder knows of the sentence is the encoder's last state. Chapter 04 sets
``attention=True``: now each Spanish word may look back at every English one (Luong et al. 2015).
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from . import storyworld
from .files import read_parsed, verify, write_atomically
from .hub import WEIGHTS
from .identity import Identified
from .models import loss_of
from .tokenizer import Tokenizer

FILES = ("config.json", "model.safetensors", "english.json", "spanish.json")


def sentences(n: int, seed: int = 0, split: str = "train") -> list[tuple[str, str]]:
    """`n` English sentences of Storyworld, each with the Spanish one; the splits never share a sentence."""
    return [(d.source, d.target) for d in storyworld.documents(n, "pair", seed=seed, split=split)]


def quarters(pairs: Sequence[tuple[str, str]]) -> list[list[int]]:
    """The indices of the pairs in four groups of equal size, by words of English, the shortest first."""
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0].split()))
    return [order[len(order) * k // 4 : len(order) * (k + 1) // 4] for k in range(4)]


class Pairs(Identified):
    """Pairs of sentences as data for `fit`, with a tokenizer of words for each language."""

    def __init__(self, train: list[tuple[str, str]], valid: list[tuple[str, str]]):
        """Take (English, Spanish) pairs; the vocabularies are the words of `train`."""
        self.english, self.spanish = (Tokenizer.word(side) for side in zip(*train))
        self._rows = {"train": self.rows(train), "valid": self.rows(valid)}

    def rows(self, pairs: list[tuple[str, str]]) -> tuple[Tensor, Tensor]:
        """English (n, S), padded with 0, and Spanish (n, T + 1), which begins and ends with 0, padded with -100."""
        english, spanish = zip(*pairs)
        sources = [torch.tensor(row) for row in self.english.encode_batch(english)]
        targets = [torch.tensor([0, *row, 0]) for row in self.spanish.encode_batch(spanish)]
        return pad_sequence(sources, batch_first=True), pad_sequence(targets, True, padding_value=-100)

    def batch(self, split: str, batch_size: int, block_size: int | None = None, generator=None):
        """Draw pairs of "train" or "valid": source (B, S), ids (B, T), targets (B, T) with -100 where padded."""
        source, target = self._rows[split]
        picked = torch.randint(len(source), (batch_size,), generator=generator)
        return batch_of(source[picked], target[picked])


def batch_of(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Source, ids and targets from `Pairs.rows`, no wider than the longest row."""
    source, target = source[:, : (source != 0).sum(1).max()], target[:, : (target >= 0).sum(1).max()]
    return source, target[:, :-1].clamp(min=0), target[:, 1:]


@dataclass(frozen=True)
class TranslatorConfig:
    """Settings of a Translator: sizes of the two vocabularies, of an embedding and of each LSTM's state."""

    english: int
    spanish: int
    n_embd: int = 64
    n_hidden: int = 128
    attention: bool = False


class Translator(nn.Module):
    """An encoder and a decoder, each an LSTM; the encoder's last state is where the decoder starts."""

    def __init__(self, config: TranslatorConfig):
        super().__init__()
        self.config = config
        width = config.n_hidden
        self.english = nn.Embedding(config.english, config.n_embd)
        self.spanish = nn.Embedding(config.spanish, config.n_embd)
        self.encoder = nn.LSTM(config.n_embd, width, batch_first=True)
        self.decoder = nn.LSTM(config.n_embd, width, batch_first=True)
        self.mix = nn.Linear(2 * width, width) if config.attention else None
        self.head = nn.Linear(width, config.spanish)

    def forward(self, source: Tensor, ids: Tensor, targets: Tensor | None = None):
        """Logits (B, T, spanish) and the loss in nats per token, or None; source (B, S) is padded with 0."""
        memory, state = self.encode(source)
        logits = self.decode(ids, state, memory, source)[0]
        return logits, loss_of(logits, targets)

    def encode(self, source: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The encoder's output at each word (B, S, n_hidden), and its state (h, c) after each row's last word."""
        lengths = (source != 0).sum(1).cpu()  # packing stops each row at its last word, not at the padding
        packed = pack_padded_sequence(self.english(source), lengths, True, enforce_sorted=False)
        memory, state = self.encoder(packed)
        return pad_packed_sequence(memory, batch_first=True)[0], state

    def decode(self, ids: Tensor, state, memory: Tensor, source: Tensor):
        """Logits (B, T, spanish) for what follows ids (B, T), the new state, and the attention or None.

        Attention (B, T, S) says how much each Spanish position looks at each English word; a row sums to 1. The
        score is the dot product of decoder and encoder output over the root of their size (Vaswani et al. 2017).
        """
        x, state = self.decoder(self.spanish(ids), state)  # (B, T, n_hidden)
        weights = None
        if self.mix is not None:
            scores = x @ memory.transpose(1, 2) / self.config.n_hidden**0.5  # (B, T, S)
            weights = scores.masked_fill(source[:, None] == 0, -torch.inf).softmax(-1)
            x = torch.tanh(self.mix(torch.cat([weights @ memory, x], dim=-1)))
        return self.head(x), state, weights

    @torch.no_grad()
    def translate(self, source: Tensor, longest: int = 40) -> Tensor:
        """Greedy translation of source (B, S): ids (B, at most `longest`), 0 from where a sentence has ended."""
        memory, state = self.encode(source)
        ids = torch.zeros(len(source), 1, dtype=torch.long, device=source.device)
        written, ended = [], torch.zeros_like(ids, dtype=torch.bool)
        while len(written) < longest and not ended.all():
            logits, state, _ = self.decode(ids, state, memory, source)
            ids = logits.argmax(-1).masked_fill(ended, 0)  # (B, 1)
            ended = ended | (ids == 0)
            written.append(ids)
        return torch.cat(written, dim=1)

    def num_parameters(self) -> int:
        """How many numbers training may change."""
        return sum(p.numel() for p in self.parameters())


def translate(model: Translator, english: Tokenizer, spanish: Tokenizer, text: str) -> str:
    """The model's greedy Spanish for an English sentence such as ``"the red hats."``.

    Raises ValueError if the text is empty or holds words that the English vocabulary lacks.
    """
    if not text.strip():
        raise ValueError("text is empty: give an English sentence, such as 'the cat sleeps.'.")
    return spanish.decode(model.translate(torch.tensor([english.encode(text)]))[0])


@torch.no_grad()
def exact_hits(model: Translator, data: Pairs, pairs: list[tuple[str, str]]) -> list[bool]:
    """For each pair, whether the greedy translation is right to the last word.

    Greedy decoding writes the right sentence if and only if each of its tokens and the end is the first choice given
    those before, so one pass over the right sentences is enough.
    """
    source, ids, targets = batch_of(*data.rows(pairs))
    best = model(source, ids)[0].argmax(-1)
    return ((best == targets) | (targets == -100)).all(dim=1).tolist()


def save(model: Translator, data: Pairs, folder: str | os.PathLike) -> None:
    """Write FILES into `folder`: weights as safetensors, settings and both vocabularies as JSON."""
    from safetensors.torch import save as to_bytes

    folder = Path(folder)
    write_atomically(folder / "model.safetensors", to_bytes(model.state_dict()))
    write_atomically(folder / "config.json", json.dumps(asdict(model.config), indent=2) + "\n")
    for name in ("english", "spanish"):
        getattr(data, name).save(folder / f"{name}.json")


def load(name: str | os.PathLike = "translator") -> tuple[Translator, Tokenizer, Tokenizer]:
    """A trained translator and its English and Spanish tokenizers, by default the one that ships with the course.

    Raises FileNotFoundError for what is not there, ValueError for files that are truncated or altered.
    """
    from safetensors.torch import load as from_bytes

    folder = WEIGHTS / name if name == "translator" else Path(name)
    verify(folder)
    config = read_parsed(folder / "config.json", lambda content: TranslatorConfig(**json.loads(content)))
    model = Translator(config)
    read_parsed(folder / "model.safetensors", lambda content: model.load_state_dict(from_bytes(content)))
    return model.eval(), *(Tokenizer.from_file(folder / f"{name}.json") for name in ("english", "spanish"))
