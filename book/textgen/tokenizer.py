"""From text to token ids and back: characters, words, or byte-level byte-pair encoding.

All three are a Hugging Face ``tokenizers.Tokenizer`` inside, so what you train here is a ``tokenizer.json``
that ``transformers.AutoTokenizer`` reads.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from .files import problem, read_parsed, write_atomically
from .inputs import each_text, well_formed
from .pieces import groups, interruptible, pieces, short_words

END = "<|endoftext|>"  # starts a document, ends it, and fills the rest of a row
UNKNOWN = "<|unk|>"
ONE_CHARACTER = r"[\s\S]"
ONE_WORD = r" ?(?:\w+(?:'\w+)*|[^\w\s])|\s"  # a word or a mark with the space before it, or one white space


class Tokenizer:
    """Turns text into a list of integers, and back without loss.

    ``len(tokenizer)`` is the size of the vocabulary; ``.bos`` the id of ``<|endoftext|>``, 0 in all that are
    made here; ``.backend`` the Hugging Face object, for what this thin wrapper leaves out.
    """

    def __init__(self, backend: tokenizers.Tokenizer):
        if backend.token_to_id(END) is None:
            raise ValueError(f"backend must have the token {END} in its vocabulary, but this one has none.")
        self.backend = backend
        self.bos: int = backend.token_to_id(END)

    @classmethod
    def char(cls, texts: Iterable[str], unk: bool = False, specials: Sequence[str] = ()) -> "Tokenizer":
        """One token a character: those of ``texts``, sorted. ``unk=True`` adds a token for all others."""
        return cls._by_pieces(texts, ONE_CHARACTER, unk, specials)

    @classmethod
    def word(cls, texts: Iterable[str], unk: bool = False, specials: Sequence[str] = ()) -> "Tokenizer":
        """One token a word or punctuation mark, each with the space before it: ``" word"`` is one token."""
        return cls._by_pieces(texts, ONE_WORD, unk, specials)

    @classmethod
    def bpe(cls, texts: Iterable[str], vocab_size: int = 1024, specials: Sequence[str] = ()) -> "Tokenizer":
        """Byte-level byte-pair encoding as in GPT-2: merges by frequency, reversible on any Unicode text.

        ``specials`` are reserved besides ``<|endoftext|>``, such as ``<|story|>`` for a kind of document. Raises
        ValueError if ``vocab_size`` cannot hold the 256 bytes and the specials.
        Sources: Sennrich et al. 2015, arXiv:1508.07909; bytes: Radford et al. 2019, section 2.2.
        """
        specials = list(dict.fromkeys([END, *specials]))
        if vocab_size < (least := 256 + len(specials)):
            raise ValueError(f"vocab_size must be {least} or more (bytes, specials), but {vocab_size} came.")
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
        )
        texts = short_words(each_text("texts", texts))
        interruptible(lambda texts: backend.train_from_iterator(texts, trainer), texts)
        return cls._finished(backend, specials)

    @classmethod
    def _by_pieces(cls, texts, pattern: str, unk: bool, specials: Sequence[str]) -> "Tokenizer":
        specials = list(dict.fromkeys([END, *([UNKNOWN] if unk else []), *specials]))
        splitter = pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated")
        letters, found = pattern == ONE_CHARACTER, set()
        for piece in (piece for text in each_text("texts", texts) for piece in pieces(text)):
            found.update(piece if letters else (token for token, _ in splitter.pre_tokenize_str(piece)))
        vocab = {token: i for i, token in enumerate([*specials, *sorted(found - set(specials))])}
        backend = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token=UNKNOWN))
        backend.pre_tokenizer = splitter
        backend.decoder = decoders.Fuse()
        return cls._finished(backend, specials)

    @classmethod
    def _finished(cls, backend: tokenizers.Tokenizer, specials: list[str]) -> "Tokenizer":
        """Mark the special tokens, and let ``transformers`` begin each prompt with ``<|endoftext|>``."""
        backend.add_special_tokens(specials)
        backend.post_processor = processors.TemplateProcessing(
            single=f"{END} $A", pair=f"{END} $A $B", special_tokens=[(END, 0)]
        )
        return cls(backend)

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> "Tokenizer":
        """Read a ``tokenizer.json``; raises FileNotFoundError, or ValueError if it is not one."""

        def parse(content: bytes) -> tokenizers.Tokenizer:
            text = content.decode("utf-8-sig")  # some editors begin a file with a mark of their own
            try:
                return tokenizers.Tokenizer.from_str(text)
            except Exception as error:
                if "model" not in json.loads(text):  # which raises where it is no JSON
                    raise
                made = f"{path} cannot be read by tokenizers {tokenizers.__version__} ({error})"
                mend = "it may come from a newer version: install that, or save the tokenizer again with this one"
                raise problem(ValueError, made, mend) from error

        return cls(read_parsed(path, parse))

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, nothing added; special tokens written in the text are recognised.

        Raises ValueError if the text holds characters or words that the vocabulary lacks.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``encode`` for many texts at once, on several threads; long ones in pieces, which need little memory."""
        texts = [well_formed("text", text) for text in texts]
        rows: list[list[int]] = [[] for _ in texts]
        for group in groups((row, piece) for row, text in enumerate(texts) for piece in pieces(text)):
            some = [piece for _, piece in group]
            try:
                if self._letters:
                    encoded = map(self._spelt, some)
                else:
                    found = self.backend.encode_batch_fast(some, add_special_tokens=False)
                    encoded = (one.ids for one in found)
                for (row, _), ids in zip(group, encoded):
                    rows[row] += ids
            except Exception as error:
                unknown = ", ".join(map(repr, self._unknown(some)[:10])) or "characters"
                hint = "leave it out, or build the tokenizer with unk=True"
                raise ValueError(
                    f"text holds {unknown}, which this tokenizer does not know; {hint}."
                ) from error
        return rows

    @cached_property
    def _letters(self) -> tuple | None:
        """What a tokenizer of characters looks up by itself, a hundred times as fast; None for all others."""
        model, splitter = self.backend.model, self.backend.pre_tokenizer
        if self.backend.normalizer or not splitter or not isinstance(model, models.WordLevel):
            return None
        if json.loads(splitter.__getstate__()).get("pattern") != {"Regex": ONE_CHARACTER}:
            return None
        added = {token.content: i for i, token in self.backend.get_added_tokens_decoder().items()}
        either = "|".join(map(re.escape, sorted(added, key=len, reverse=True)))  # of two, the longer one
        vocab = self.backend.get_vocab()
        return re.compile(f"({either or '(?!)'})"), added, vocab, vocab.get(model.unk_token)

    def _spelt(self, text: str) -> list[int]:
        """The ids of a text, letter by letter."""
        special, added, vocab, unknown = self._letters
        parts = special.split(text)  # in turn what is between special tokens, and these
        rows = (
            [added[part]] if i % 2 else [vocab.get(c, unknown) for c in part] for i, part in enumerate(parts)
        )
        if None in (ids := list(chain.from_iterable(rows))):
            raise KeyError("a character without a token")
        return ids

    def _unknown(self, texts: Sequence[str]) -> list[str]:
        """The pieces of ``texts``, special tokens aside, that have no token of their own."""
        for token in self.backend.get_added_tokens_decoder().values():
            texts = [part for text in texts for part in text.split(token.content)]
        pieces = {piece for text in texts for piece, _ in self.backend.pre_tokenizer.pre_tokenize_str(text)}
        return sorted(pieces - self.backend.get_vocab().keys())

    @property
    def fingerprint(self) -> str:
        """The number of tokens and a checksum of all that this tokenizer is."""
        return f"{len(self)} tokens {hashlib.sha256(self.backend.to_str().encode()).hexdigest()[:12]}"

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids; special tokens are left out."""
        return self.backend.decode([int(i) for i in ids], skip_special_tokens=True)

    def piece(self, id: int) -> str:
        """The text of one token, a special token by its name: what to write on an axis."""
        return self.backend.decode([int(id)], skip_special_tokens=False)

    def kind(self, name: str) -> int | None:
        """The id of ``<|name|>``, the token that starts documents of this kind, or None without one."""
        return self.backend.token_to_id(f"<|{name}|>")

    def prefix(self, kind: str = "story") -> list[int]:
        """The ids given before a document of this kind: ``[bos, kind]``, or ``[bos]`` if it has no token."""
        return [self.bos] if self.kind(kind) is None else [self.bos, self.kind(kind)]

    def __len__(self) -> int:
        """How many tokens the vocabulary has."""
        return self.backend.get_vocab_size()

    def save(self, path: str | os.PathLike) -> None:
        """Write ``tokenizer.json`` to ``path``, all or nothing."""
        write_atomically(path, self.backend.to_str(pretty=True))

    def save_pretrained(self, folder: str | os.PathLike, chat_template: str | None = None) -> None:
        """Write a folder that ``transformers.AutoTokenizer`` reads; beside a model's files if you like.

        With ``chat_template``, such as ``dialogue.CHAT_TEMPLATE``, a ``pipeline`` takes messages.
        """
        ids = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), self.bos)
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        settings |= dict.fromkeys(("bos_token", "eos_token", "pad_token"), END)
        settings |= {} if self.kind("unk") is None else {"unk_token": UNKNOWN}
        settings |= {} if chat_template is None else {"chat_template": chat_template}
        self.save(Path(folder) / "tokenizer.json")
        for name, content in (("tokenizer_config", settings), ("generation_config", ids)):
            write_atomically(Path(folder) / f"{name}.json", json.dumps(content, indent=2) + "\n")
