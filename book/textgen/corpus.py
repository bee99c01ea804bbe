"""Text as batches: stories by the row, and windows cut out of any text file."""

import warnings
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from .files import download
from .identity import Identified
from .inputs import as_text
from .pieces import sample, watched
from .windows import Windows, rows_of

SHAKESPEARE = (  # 1.1 MB of plays, put together by Andrej Karpathy for char-rnn (2015)
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
    "/data/tinyshakespeare/input.txt"
)
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class Stories(Identified):
    """One text a row: given prefix, text, end token. Made by `stories`."""

    def __init__(self, texts: dict[str, list], tokenizer, kind: str):
        """Tokenise all texts, {"train": [...], "valid": [...]}, once and for all."""
        self.tokenizer = tokenizer
        self.texts = {split: [as_text(text) for text in rows] for split, rows in texts.items()}
        self._rows = {}
        for split, rows in self.texts.items():
            if not rows:
                raise ValueError(f"{split} is an empty list: give at least one text.")
            prefixes = [tokenizer.prefix(getattr(text, "kind", kind)) for text in texts[split]]
            ids = [p + row + [tokenizer.bos] for p, row in zip(prefixes, tokenizer.encode_batch(rows))]
            lengths = torch.tensor([len(row) for row in ids])
            flat = torch.tensor([token for row in ids for token in row], dtype=torch.int32)
            given = torch.tensor([len(prefix) for prefix in prefixes])
            self._rows[split] = flat, lengths.cumsum(0) - lengths, lengths, given

    def batch(self, split: str, batch_size: int, block_size: int | None = None, generator=None):
        """Draw `batch_size` rows of "train" or "valid".

        Returns `(ids, targets)`, int64 tensors (B, T): T is the longest row drawn, at most `block_size`
        (longer rows lose their end). A target is the next token; it is -100, which no loss counts, inside the given
        prefix and after the end token. `generator`: a `torch.Generator`, which fixes the draw.
        """
        flat, starts, lengths, given = rows_of(self._rows, split)
        picked = torch.randint(len(starts), (batch_size,), generator=generator)
        longest = int(lengths[picked].max())
        if longest - 1 > (block_size or longest):
            hint = "take a larger block_size or a tokenizer with longer tokens"
            warnings.warn(f"Texts longer than {block_size=} tokens lose their end: {hint}.", stacklevel=2)
        columns = torch.arange(min(longest, (block_size or longest) + 1))
        inside = columns < lengths[picked, None]  # (B, T + 1)
        rows = flat[torch.where(inside, starts[picked, None] + columns, 0)].long()
        rows = torch.where(inside, rows, self.tokenizer.bos)
        counted = inside & (columns >= given[picked, None])
        return rows[:, :-1], torch.where(counted, rows, -100)[:, 1:]


class Answers(Identified):
    """Exchanges as rows; the loss counts the answers, and what ends each. Made by `answers` and `dialogues`."""

    def __init__(self, exchanges: dict[str, list[list[tuple[str, str]]]], tokenizer):
        """Tokenise all rows, {"train": [[(prompt, answer), ...], ...], "valid": [...]}, once and for all."""
        self.tokenizer, self._rows = tokenizer, {}
        for split, rows in exchanges.items():
            if not rows:
                raise ValueError(f"{split} is an empty list: give at least one (prompt, answer) or dialogue.")
            parts = iter(tokenizer.encode_batch([text for row in rows for pair in row for text in pair]))
            self._rows[split] = [self._row([(next(parts), next(parts)) for _ in row]) for row in rows]

    def _row(self, exchanges: list) -> tuple[torch.Tensor, torch.Tensor]:
        """The ids of a row, and the same with -100 where the loss does not count them."""
        ids, counted, bos = [], [], self.tokenizer.bos
        for prompt, answer in exchanges:  # the start token of an exchange ends the answer before it
            counted += [bos if ids else -100] + [-100] * len(prompt) + answer
            ids += [bos] + prompt + answer
        return torch.tensor([*ids, bos]), torch.tensor([*counted, bos])

    def batch(self, split: str, batch_size: int, block_size: int | None = None, generator=None):
        """Draw `batch_size` rows of "train" or "valid", in full, whatever `block_size`.

        Returns `(ids, targets)`, int64 tensors (B, T), T that of the longest row drawn. The start token begins each
        exchange, and ends the last; a target is -100 inside a prompt and after the end.
        """
        rows = rows_of(self._rows, split)
        ids, counted = zip(*[rows[i] for i in torch.randint(len(rows), (batch_size,), generator=generator)])
        return pad_sequence(ids, True, self.tokenizer.bos)[:, :-1], pad_sequence(counted, True, -100)[:, 1:]


class Pairs(Identified):
    """Comparisons: two continuations of one prompt, and which of them is the better one. Made by `pairs`."""

    def __init__(self, pairs: dict[str, list[tuple[str, str, str, int]]], tokenizer, kind: str):
        """Tokenise all pairs, {"train": [(prompt, a, b, better), ...], "valid": [...]}, once and for all."""
        self.tokenizer, self._rows = tokenizer, {}
        for split, rows in pairs.items():
            if not rows:
                raise ValueError(f"{split} is an empty list: give at least one (prompt, a, b, better).")
            prompts, *texts, better = zip(*rows)
            if len(rows) > 1 and len(set(better)) == 1:
                what = f"{split} has {len(rows)} labels, and all say {better[0]}"
                raise ValueError(f"{what}: shuffle which text of a pair comes first.")
            contexts = [tokenizer.prefix(kind) + ids for ids in tokenizer.encode_batch(prompts)]
            a, b = ([ids + [tokenizer.bos] for ids in tokenizer.encode_batch(part)] for part in texts)
            self._rows[split] = [*zip(contexts, zip(a, b), map(int, better))]

    def batch(self, split: str, batch_size: int, block_size: int | None = None, generator=None):
        """Draw `batch_size` pairs of "train" or "valid", in full, whatever `block_size`.

        Returns ids (B, 2, T), the mask of what continues the prompt (B, 2, T - 1), as `padded` makes it, and the better
        text of each pair (B,), 0 or 1.
        """
        rows = rows_of(self._rows, split)
        some = [rows[i] for i in torch.randint(len(rows), (batch_size,), generator=generator)]
        contexts = [row[0] for row in some for _ in range(2)]
        texts = [text for row in some for text in row[1]]
        ids, mask = padded(contexts, texts, self.tokenizer.bos)
        return ids.unflatten(0, (-1, 2)), mask.unflatten(0, (-1, 2)), torch.tensor([row[2] for row in some])


def stories(train: list, valid: list, tokenizer, kind: str = "story") -> Stories:
    """Return the rows of `train` and `valid` as data for `fit`.

    Both are lists of texts, or of objects with `.text` and perhaps `.kind` (Story, Document); `kind` names the first
    token of those that have none.
    """
    return Stories({"train": list(train), "valid": list(valid)}, tokenizer, kind)


def answers(train: list[tuple[str, str]], valid: list[tuple[str, str]], tokenizer) -> Answers:
    """Return pairs (prompt, answer) as data for `fit`, which then learns to answer and not to ask."""
    return Answers({"train": [[pair] for pair in train], "valid": [[pair] for pair in valid]}, tokenizer)


def dialogues(train: list[list[dict]], valid: list[list[dict]], tokenizer) -> Answers:
    """Return dialogues as data for `fit`: each a list of {"role": "user" or "assistant", "content": text}, in turn.

    The loss counts every answer, and what ends it. Raises ValueError where the assistant does not have the last word.
    """
    return Answers({"train": [*map(exchanges, train)], "valid": [*map(exchanges, valid)]}, tokenizer)


def exchanges(messages: list[dict]) -> list[tuple[str, str]]:
    """Cut a dialogue into what is read and what is answered, as `dialogue.chat_ids` writes both."""
    roles, texts = [m["role"] for m in messages], [m["content"] for m in messages]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
        raise ValueError(f"A dialogue must be of user and assistant in turn, to the end, not {roles}.")
    return [(f"User: {asked} Assistant:", f" {said}") for asked, said in zip(texts[::2], texts[1::2])]


def pairs(train: list, valid: list, tokenizer, kind: str = "story") -> Pairs:
    """Return comparisons (prompt, a, b, better) as data for `fit`: a and b continue the prompt, which may be empty.

    `better` is 0 where a is preferred, 1 where b is; `kind` names the first token of all. Raises ValueError without
    pairs, and where `better` is the same throughout: which text comes first must say nothing.
    """
    return Pairs({"train": list(train), "valid": list(valid)}, tokenizer, kind)


def padded(contexts: list, continuations: list, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids (B, T) of contexts with their continuations, padded on the right, and a mask (B, T - 1).

    Column t of the mask is True where ids[:, t + 1] continues a context: neither in the context nor padding.
    """
    rows = [[*context, *continuation] for context, continuation in zip(contexts, continuations, strict=True)]
    lengths, T = torch.tensor([[len(row)] for row in rows]), max(map(len, rows))
    columns, starts = torch.arange(1, T), torch.tensor([[len(context)] for context in contexts])
    ids = torch.tensor([row + [pad] * (T - len(row)) for row in rows])
    return ids, (columns >= starts) & (columns < lengths)


def text_file(path, tokenizer="char") -> Windows:
    """Return any UTF-8 text file as data for `fit`; its last tenth is held out as "valid".

    `tokenizer`: "char", "word", "bpe" (learnt from this text), or a tokenizer, such as a trained model's.
    Raises FileNotFoundError when there is none, and ValueError when it is empty or no UTF-8 text.
    """
    if not (path := Path(path)).is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{str(path)!r} {what}: give the path of a text file.")
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        hint = "save it as plain text with the encoding UTF-8"
        what = f"{str(path)!r} is not UTF-8 text (byte {error.start} is no part of it)"
        raise ValueError(f"{what}: {hint}.") from None
    if not text or text.isspace():
        raise ValueError(f"{str(path)!r} is empty: give a text file with at least a few pages of text.")
    cut = len(text) * 9 // 10
    if tokenizer == "word":  # a word is known whole or not at all: cut before it, and before its space
        before = max(text.rfind(white, 0, cut + 1) for white in " \n\t")
        cut = before if before > cut // 2 else cut
    texts = {"train": [text[:cut]], "valid": [text[cut:]]}
    del text  # the parts hold it
    if isinstance(tokenizer, str):
        from textgen.tokenizer import Tokenizer

        if tokenizer not in ("char", "word", "bpe"):
            raise ValueError(f'tokenizer must be "char", "word", "bpe" or a tokenizer, not {tokenizer!r}.')
        # Characters and words must all be known; byte pairs are learnt from the training part alone.
        learn_from = sample(*texts["train"]) if tokenizer == "bpe" else texts["train"] + texts["valid"]
        tokenizer = getattr(Tokenizer, tokenizer)(watched(learn_from, "learning tokens"))
    return Windows(texts, tokenizer, path.name)


def shakespeare(tokenizer="char", timeout: float = 10) -> Windows:
    """Return a million characters of Shakespeare as data for `fit`: downloaded once, checked, then kept.

    Raises ConnectionError when the download fails, ValueError when other bytes arrive than expected.
    """
    works = "Storyworld, pocket-gpt and textgen.corpus.text_file on a file of your own work without it"
    return text_file(download(SHAKESPEARE, "shakespeare.txt", SHAKESPEARE_SHA256, works, timeout), tokenizer)
