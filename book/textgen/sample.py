"""Writing text: one token after another, drawn from what the model says, by temperature, top-k and top-p."""

import math
import sys
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from .inputs import DAMAGED, came, fits, in_vocabulary, listed, number, well_formed, whole
from .models import LanguageModel, evaluating
from .tokenizer import Tokenizer

ROWS = 64  # texts that a CPU continues side by side; another device takes as many as its memory holds
CHECK_EVERY = 16  # tokens between two looks at whether all texts have ended: each makes a GPU wait
MASK = 2**32 - 1
MOST = 1_000_000  # new tokens: all their random numbers are drawn at once
COLDEST = 1e-6  # below this temperature only the likeliest token is left, and a division may overflow


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str | Sequence[str],
    max_new_tokens: int = 60,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | Sequence[int] = 0,
    stop: bool = True,
) -> str | list[str]:
    """Continue a prompt, and give it back with its continuation; a list of prompts gives a list.

    The model reads ``<|endoftext|>`` and then the prompt, so an empty prompt asks for a text from its start.
    ``temperature`` 0 takes the likeliest token each time; see ``filter_logits`` for the others. Prompt i of a
    list draws from a stream of its own, made of (``seed``, i), so that 32 times one prompt gives 32 independent
    texts; prompt 0 gives what it gives alone. A list of seeds, one a prompt, gives what each gives alone with
    its own (but that float32 rounds otherwise in company, which tips a draw once in thousands). With ``stop`` a
    text ends at ``<|endoftext|>``. Where it outgrows the model's block, the model goes on from the last half of
    that, and warns. Raises ValueError for a setting out of range, unknown characters, another model's tokenizer
    or damaged weights; TypeError if a prompt is no text.
    """
    prompts = listed(prompt)
    if not all(isinstance(p, str) for p in prompts):
        raise TypeError(f"prompt must be a string or a list of strings, but {came(prompt)} came.")
    for one in prompts:
        well_formed("prompt", one)
    fits(model, tokenizer)
    contexts = [[tokenizer.bos, *ids] for ids in tokenizer.encode_batch(prompts)]
    end = tokenizer.bos if stop else None
    written = generate_ids(model, contexts, max_new_tokens, temperature, top_k, top_p, seed, end)
    limit = model.max_positions or sys.maxsize
    if any(len(context) + len(ids) > limit + 1 for context, ids in zip(contexts, written)):
        seen = f"{limit} tokens; beyond that the model saw the last {limit // 2} or more"
        warnings.warn(f"The prompt with its continuation is longer than {seen}.", stacklevel=2)
    texts = [p + tokenizer.decode(ids) for p, ids in zip(prompts, written)]
    return texts[0] if isinstance(prompt, str) else texts


def generate_ids(
    model: LanguageModel,
    contexts: Sequence[Sequence[int]],
    max_new_tokens: int = 60,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | Sequence[int] = 0,
    end: int | None = None,
) -> list[list[int]]:
    """What ``generate`` does, in token ids: the new ids after each context, with ``end`` where a text ended.

    A context is all that the model reads, its start token too. It runs where the model is, and draws there.
    """
    max_new_tokens = whole("max_new_tokens", max_new_tokens, 1, MOST)
    settings = checked(temperature, top_k, top_p)
    if isinstance(seed, Sequence) or getattr(seed, "ndim", 0):
        if len(seed) != len(contexts):
            raise ValueError(
                f"seed must be one number or one a prompt, {len(contexts)}, but {len(seed)} came."
            )
        draws = torch.cat([torch.empty(0, max_new_tokens), *(uniforms(s, max_new_tokens) for s in seed)])
    else:
        draws = uniforms(seed, max_new_tokens, rows=len(contexts))
    for ids in contexts:
        in_vocabulary(model, "contexts", min(ids), max(ids))
    order = sorted(range(len(contexts)), key=lambda i: len(contexts[i]))  # similar lengths go together
    size = ROWS if next(model.parameters()).device.type == "cpu" else max(1, len(order))
    written, at = [[] for _ in contexts], 0
    with evaluating(model):
        while at < len(order):
            some = order[at : at + size]
            try:
                rows = _continue(model, [contexts[i] for i in some], draws[some], end, settings)
            except torch.OutOfMemoryError:
                if len(some) == 1:
                    raise
                size = len(some) // 2
                continue
            at += len(some)
            for i, ids in zip(some, rows):
                written[i] = ids
    return written


@torch.inference_mode()
def _continue(model, contexts, draws: Tensor, end: int | None, settings) -> list[list[int]]:
    """The new ids of each context, drawn with the numbers (B, max_new_tokens).

    All rows stand at one position, and a row whose context is longer goes on with its own next token instead
    of a drawn one. So nothing is padded or masked, and any model with ``next`` can do it. Nothing here waits for
    the device but the look at every CHECK_EVERY-th token.
    """
    device, limit = next(model.parameters()).device, model.max_positions or sys.maxsize
    half, (B, new) = max(1, limit // 2), draws.shape
    rows = [list(context if len(context) <= limit else context[-half:]) for context in contexts]
    lengths = [len(row) for row in rows]
    ids = torch.tensor([row + [0] * (max(lengths) + new - len(row)) for row in rows], device=device)
    given, draws = torch.tensor(lengths, device=device), draws.to("cpu" if device.type == "mps" else device)
    ended = broken = torch.zeros(B, dtype=torch.bool, device=device)
    n, start, read, state = min(lengths), 0, 0, None  # all rows are at n; state holds ids[:, start:read]
    while True:
        logits, state = model.next(ids[:, read:n], state)  # (B, V)
        broken = broken | ~logits.amax(-1).isfinite()  # NaN is the largest of all
        place = (n - given).clamp(0, new - 1)[:, None].to(draws.device)
        tokens = sample(logits, draws.gather(1, place)[:, 0], *settings)
        drawn = given <= n  # the others stand within their context
        ids[:, n] = torch.where(drawn, tokens, ids[:, n])
        ended = ended | drawn & (tokens == (-1 if end is None else end)) | (given + new <= n + 1)
        if (device.type == "cpu" or n % CHECK_EVERY == 0 or n + 1 == ids.size(1)) and bool(ended.all()):
            break
        read, n = n, n + 1
        if n - start > limit:  # keep the last half, and read that again
            start = read = n - half
            state = None
    if broken.any():
        raise ValueError(DAMAGED)
    written = [row[g : g + new] for row, g in zip(ids.tolist(), lengths)]
    return [row[: row.index(end) + 1] if end in row else row for row in written]


def sample(logits: Tensor, u: Tensor, temperature=1.0, top_k=None, top_p=None) -> Tensor:
    """Draw a token (B,) for each row of ``logits`` (B, V), with a uniform number ``u`` (B,) in [0, 1) for each.

    The token is the first, in the order of the vocabulary, at which the summed probabilities exceed ``u``. In
    float64, where the logits are (but on the CPU for MPS, which has none).
    """
    if 0 <= temperature < COLDEST:
        return logits.argmax(dim=-1)
    device, logits = logits.device, (logits.cpu() if logits.device.type == "mps" else logits).double()
    sums = torch.softmax(filter_logits(logits, temperature, top_k, top_p), dim=-1).cumsum(dim=-1)  # (B, V)
    target = u[:, None] * sums[:, -1:]  # a sum may end a hair off 1
    tokens = torch.searchsorted(sums, target, right=True)[:, 0]
    return tokens.clamp(max=logits.size(-1) - 1).to(device)  # NaN would point past the vocabulary


def filter_logits(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Logits (..., V) after temperature, top-k and top-p, in this order; what is ruled out is -inf.

    ``temperature`` divides the logits: below 1 the likely gets likelier, 0 leaves the likeliest alone, and so does
    what is below a millionth.
    ``top_k`` keeps the k likeliest tokens, and those as likely as the last of them (Fan et al. 2018,
    arXiv:1805.04833). ``top_p`` keeps the fewest tokens whose probabilities reach p together (Holtzman et al.
    2019, arXiv:1904.09751). Equal to Hugging Face's TemperatureLogitsWarper, TopKLogitsWarper and
    TopPLogitsWarper. Raises ValueError for a setting out of range.
    """
    temperature, top_k, top_p = checked(temperature, top_k, top_p)
    if temperature < COLDEST:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.full_like(logits, -torch.inf).scatter(-1, best, logits.gather(-1, best))
    logits = logits / temperature
    if top_k is not None:
        kth = logits.topk(min(top_k, logits.size(-1))).values[..., -1:]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(dim=-1)  # the least likely first
        out = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
        out[..., -1] = False  # the likeliest stays, whatever top_p
        logits = logits.masked_fill(out.scatter(-1, order, out), -torch.inf)
    return logits


def uniforms(seed: int, n: int, rows: int = 1) -> Tensor:
    """Uniform numbers in [0, 1), float64 (rows, n): each row a stream of its own, row 0 the seed's own.

    A stream is mulberry32, small enough to be the same in JavaScript. Row r starts it at the seed, scrambled with a
    hash of both (the finalizer of MurmurHash3, which leaves 0 as it is), so that no two seeds share their rows.
    """
    seed = whole("seed", seed) & MASK
    x = torch.arange(rows)[:, None] * (2 * seed + 1) & MASK  # (rows, 1)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = (x ^ x >> shift) * factor & MASK
    state = (seed ^ x) + 0x6D2B79F5 * torch.arange(1, n + 1) & MASK  # (rows, n)
    t = (state ^ state >> 15) * (1 | state) & MASK
    t = (t + ((t ^ t >> 7) * (61 | t) & MASK) & MASK) ^ t
    return (t ^ t >> 14).double() / 2**32


def checked(temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> tuple:
    """The three filters as numbers of Python's; raises ValueError for one out of range."""
    warm = "a finite number, 0 (the likeliest token) or more"
    temperature = number("temperature", temperature, lambda t: 0 <= t < math.inf, warm)
    if top_k is not None:
        top_k = whole("top_k (if not None, for all tokens)", top_k, 1)
    if top_p is not None:
        some = "above 0 and at most 1, or None for all tokens"
        top_p = number("top_p", top_p, lambda p: 0 < p <= 1, some)
    return temperature, top_k, top_p


def plain(seed: int = 0, **filters) -> dict:
    """The four settings as JSON takes them to JavaScript, which draws the same with them: the seed in 32 bits."""
    names = ("temperature", "top_k", "top_p")
    return dict(zip(names, checked(**filters)), seed=whole("seed", seed) & MASK)
