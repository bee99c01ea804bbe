"""One long text as batches: encoded in pieces, kept in two or four bytes a token, drawn in windows."""

from itertools import chain

import torch

from .identity import Identified
from .pieces import groups, watched


class Windows(Identified):
    """Pieces of one long text, cut at random places. Made by `text_file`."""

    def __init__(self, texts: dict[str, list], tokenizer, name: str):
        """Tokenise both texts, {"train": [text], "valid": [text]}, once and for all; errors say `name`."""
        self.texts, self.tokenizer, self.name = texts, tokenizer, name
        self._rows = {split: encoded(rows[0], tokenizer) for split, rows in self.texts.items()}

    def batch(self, split: str, batch_size: int, block_size: int | None = None, generator=None):
        """Draw `batch_size` windows of "train" or "valid" (the last tenth of the text).

        Returns `(ids, targets)`, int64 tensors (B, `block_size`), by default 128. Each row starts with the start
        token, as every prompt does; the token after it is not counted (-100), since it has no context to be predicted from.
        Raises ValueError when that part of the text is shorter than a window.
        """
        tokens, block_size = rows_of(self._rows, split), block_size or 128
        if len(tokens) < block_size:
            what = f"The {split} part of {self.name!r} has {len(tokens)} tokens, below {block_size=}"
            raise ValueError(f"{what}: take a longer text or a smaller block_size.")
        starts = torch.randint(len(tokens) - block_size + 1, (batch_size, 1), generator=generator)
        targets = tokens[starts + torch.arange(block_size)].long()
        ids = torch.cat([torch.full_like(starts, self.tokenizer.bos), targets[:, :-1]], dim=1)
        targets[:, 0] = -100
        return ids, targets


def encoded(text: str, tokenizer) -> torch.Tensor:
    """The ids of a text (n,), in int16 where the vocabulary fits; it takes little memory beside them."""
    dtype, rows = torch.int16 if len(tokenizer) <= 2**15 else torch.int32, []
    for group in groups(enumerate(watched([text], "encoding"))):
        ids = tokenizer.encode_batch([piece for _, piece in group])
        rows.append(torch.tensor(list(chain.from_iterable(ids)), dtype=dtype))
    return torch.cat(rows)


def rows_of(rows: dict, split: str):
    """Return `rows[split]`, or raise ValueError with the splits there are."""
    if split not in rows:
        raise ValueError(f'split must be "train" or "valid", not {split!r}.')
    return rows[split]
