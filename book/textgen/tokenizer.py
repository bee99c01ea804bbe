"""From text to token ids and back: characters, words, or byte-level byte-pair encoding.

All three are a Hugging Face ``tokenizers.Tokenizer`` inside, so what you train here is a ``tokenizer.json``
that ``transformers.AutoTokenizer`` reads.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from .files import read_parsed, write_atomically

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
        backend.train_from_iterator([texts] if isinstance(texts, str) else texts, trainer)
        return cls._finished(backend, specials)

    @classmethod
    def _by_pieces(cls, texts, pattern: str, unk: bool, specials: Sequence[str]) -> "Tokenizer":
        texts = [texts] if isinstance(texts, str) else texts
        specials = list(dict.fromkeys([END, *([UNKNOWN] if unk else []), *specials]))
        splitter = pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated")
        pieces = {piece for text in texts for piece, _ in splitter.pre_tokenize_str(text)}
        vocab = {piece: i for i, piece in enumerate([*specials, *sorted(pieces - set(specials))])}
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
        return cls(read_parsed(path, lambda b: tokenizers.Tokenizer.from_str(b.decode("utf-8"))))

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, nothing added; special tokens written in the text are recognised.

        Raises ValueError if the text holds characters or words that the vocabulary lacks.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``encode`` for many texts at once, on several threads."""
        try:
            return [e.ids for e in self.backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        except Exception as error:
            unknown = ", ".join(map(repr, self._unknown(texts)[:10])) or "characters"
            hint = "leave it out, or build the tokenizer with unk=True"
            raise ValueError(f"text holds {unknown}, which this tokenizer does not know; {hint}.") from error

    def _unknown(self, texts: Sequence[str]) -> list[str]:
        """The pieces of ``texts``, special tokens aside, that have no token of their own."""
        for token in self.backend.get_added_tokens_decoder().values():
            texts = [part for text in texts for part in text.split(token.content)]
        pieces = {piece for text in texts for piece, _ in self.backend.pre_tokenizer.pre_tokenize_str(text)}
        return sorted(pieces - self.backend.get_vocab().keys())

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
