"""What comes in at every door: `fit`, `generate`, `live` and `bits_per_char` check it here, and say the same sentence."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from reprlib import repr as short

DAMAGED = (
    "The model's logits are not finite numbers; its weights are damaged or diverged."  # sample.js says it too
)


def came(value) -> str:
    """What came, in a few words of one line."""
    if getattr(value, "ndim", 0):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return " ".join(short(value).split())


def listed(value) -> list:
    """What came as a list: its items, or it alone where it is one text or holds no items."""
    try:
        return [value] if isinstance(value, str) else list(value)
    except TypeError:
        return [value]


def whole(name: str, value, least: float = -math.inf, most: float = math.inf) -> int:
    """The value as an integer of Python's, from `least` to `most`; NumPy's integers will do, other types raise ValueError."""
    try:
        found = operator.index(value)
    except TypeError:
        found = math.nan
    if isinstance(value, bool) or not least <= found <= most:
        limits = f" from {least:,} to {most:,}" if most < math.inf else f" of {least:,} or more"
        raise ValueError(f"{name} must be a whole number{limits * (least > -math.inf)}, not {came(value)}.")
    return found


def number(name: str, value, allowed: Callable[[float], bool], words: str) -> float:
    """The value as a number of Python's; raises ValueError, with `words` for what is `allowed`, for any other."""
    try:
        found = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: a tensor of several numbers
        found = math.nan
    if not allowed(found):  # which NaN never is
        raise ValueError(f"{name} must be {words}, not {came(value)}.")
    return value if isinstance(value, int) and abs(found) < 2**53 else found  # 1 is shown as 1


def well_formed(name: str, value) -> str:
    """The value, which must be text that UTF-8 can write: TypeError for another type, ValueError for half a character."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, not {came(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = f"{value[error.start]!r}, half of a character (a lone surrogate)"
        raise ValueError(f"{name} holds {half}: leave it out, or write the whole character.") from None
    return value


def each_text(name: str, value) -> Iterator[str]:
    """The texts that came, or the one, each `well_formed`; one after another, so that none need be kept."""
    alone = isinstance(value, str) or not isinstance(value, Iterable)
    for text in [value] if alone else value:
        yield well_formed(name, text)


def as_text(text) -> str:
    """A story's or document's text, and a string as it is; TypeError for anything else."""
    found = text if isinstance(text, str) else getattr(text, "text", None)
    if not isinstance(found, str):
        raise TypeError(f"A text must be a string, or have one as its .text, but {came(text)} came.")
    return found


def vocabulary(model) -> int | None:
    """How many tokens a model knows, or None where its settings do not say."""
    return getattr(getattr(model, "config", None), "vocab_size", None)


def fits(model, tokenizer) -> None:
    """Raise ValueError where a tokenizer has more tokens than the model; None has none."""
    size = vocabulary(model)
    if size is not None and tokenizer is not None and len(tokenizer) > size:
        what = f"tokenizer has {len(tokenizer)} tokens, but the model has {size}"
        made = f"a model made with vocab_size={len(tokenizer)}"
        raise ValueError(f"{what}; give the one that the model was trained with, or {made}.")


def in_vocabulary(model, name: str, least: int, most: int) -> None:
    """Raise ValueError where the ids in `name`, from `least` to `most`, are not all tokens of the model's."""
    size = vocabulary(model)
    if size is not None and not 0 <= least <= most < size:
        what = f"{name} has the token {least if least < 0 else most}"
        raise ValueError(f"{what}, but the model's are 0 to {size - 1}; make it with a larger vocab_size.")


def counted(model, batch) -> int:
    """How many targets of a batch count; ValueError where none does, and for ids that are not the model's."""
    targets = batch[-1]
    kept = targets[targets != -100]
    if not kept.numel():
        shape = " x ".join(map(str, targets.shape))
        hint = "take a larger block_size, or rows in which something is to be predicted"
        raise ValueError(f"data has no target that counts in a batch of {shape} (all are -100): {hint}.")
    for ids in (batch[0], kept):
        if ids.numel() and not ids.is_floating_point():
            in_vocabulary(model, "data", *map(int, ids.aminmax()))
    return kept.numel()
