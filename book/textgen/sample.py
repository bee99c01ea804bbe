"""Writing text: one token after another, drawn from what the model says, by temperature, top-k and top-p."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from .models import LanguageModel, evaluating
from .tokenizer import Tokenizer

BATCH = 64  # prompts that are continued side by side


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str | Sequence[str],
    max_new_tokens: int = 60,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    stop: bool = True,
) -> str | list[str]:
    """Continue a prompt, and give it back with its continuation; a list of prompts gives a list.

    The model reads ``<|endoftext|>`` and then the prompt, so an empty prompt asks for a text from its start.
    ``temperature`` 0 takes the likeliest token each time; see ``filter_logits`` for the others. One ``seed``
    gives a prompt one text, alone or in a list (but that float32 rounds otherwise in company, which tips a
    draw once in thousands). With ``stop`` a text ends at ``<|endoftext|>``. Where it outgrows the model's
    block, the model goes on from the last half of that, and warns. Raises ValueError for a setting out of
    range, unknown characters, another model's tokenizer or damaged weights; TypeError if a prompt is no text.
    """
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    if not all(isinstance(p, str) for p in prompts):
        raise TypeError(f"prompt must be a string or a list of strings, but {prompt!r} came.")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, but {max_new_tokens} came.")
    settings = _checked(temperature, top_k, top_p)
    if len(tokenizer) > model.config.vocab_size:
        sizes = f"{len(tokenizer)} tokens, but the model has {model.config.vocab_size}"
        raise ValueError(f"tokenizer has {sizes}; give the one that the model was trained with.")
    contexts = [[tokenizer.bos, *ids] for ids in tokenizer.encode_batch(prompts)]
    draws = list(islice(uniforms(seed), max_new_tokens))  # the same for each prompt, alone or in a list
    end = tokenizer.bos if stop else None
    texts, slid = list(prompts), False
    order = sorted(range(len(prompts)), key=lambda i: len(contexts[i]))  # similar lengths go together
    with evaluating(model):
        for at in range(0, len(order), BATCH):
            some = order[at : at + BATCH]
            rows, outgrown = _continue(model, [contexts[i] for i in some], draws, end, settings)
            slid |= outgrown
            for i, ids in zip(some, rows):
                texts[i] += tokenizer.decode(ids)
    if slid:
        limit = f"{model.max_positions} tokens; beyond that the model saw the last {model.max_positions // 2} or more"
        warnings.warn(f"The prompt with its continuation is longer than {limit}.", stacklevel=2)
    return texts[0] if isinstance(prompt, str) else texts


@torch.inference_mode()
def _continue(model, contexts, draws, end, settings) -> tuple[list[list[int]], bool]:
    """The new ids of each context, and whether the window had to slide.

    All rows stand at one position, and a row whose context is longer goes on with its own next token instead
    of a drawn one. So nothing is padded or masked, and any model with ``next`` can do it.
    """
    device, limit = next(model.parameters()).device, model.max_positions or sys.maxsize
    half = max(1, limit // 2)
    slid = any(len(context) > limit for context in contexts)
    rows = [list(context if len(context) <= limit else context[-half:]) for context in contexts]
    given, unfinished = [len(row) for row in rows], set(range(len(rows)))
    n, start, read, state = min(given), 0, 0, None  # all rows are at n; state holds row[start:read]
    while True:
        ids = torch.tensor([row[read:n] for row in rows], device=device)  # (B, n - read)
        logits, state = model.next(ids, state)
        u = [draws[min(max(n - g, 0), len(draws) - 1)] for g in given]
        for i, token in enumerate(sample(logits, u, *settings).tolist()):
            if len(rows[i]) == n:
                rows[i].append(token)
                if token == end or n + 1 == given[i] + len(draws):
                    unfinished.discard(i)
        if not unfinished:
            break
        read, n = n, n + 1
        if n - start > limit:  # keep the last half, and read that again
            start = read = n - half
            state, slid = None, True
    written = [row[g : g + len(draws)] for row, g in zip(rows, given)]
    return [ids[: ids.index(end)] if end in ids else ids for ids in written], slid


def sample(logits: Tensor, u: Sequence[float], temperature=1.0, top_k=None, top_p=None) -> Tensor:
    """Draw a token for each row of ``logits`` (B, V), with a uniform number ``u`` in [0, 1) for each.

    The token is the first, in the order of the vocabulary, at which the summed probabilities exceed ``u``.
    In float64 on the CPU whatever the model runs on. Raises ValueError if a logit is NaN.
    """
    logits = logits.cpu().double()
    if logits.isnan().any():
        raise ValueError("The model's logits are not numbers (NaN); its weights are damaged or diverged.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(filter_logits(logits, temperature, top_k, top_p), dim=-1)
    sums = probabilities.cumsum(dim=-1)  # (B, V)
    target = torch.tensor(u, dtype=torch.float64)[:, None] * sums[:, -1:]  # a sum may end a hair off 1
    return torch.searchsorted(sums, target, right=True)[:, 0]


def filter_logits(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Logits (..., V) after temperature, top-k and top-p, in this order; what is ruled out is -inf.

    ``temperature`` divides the logits: below 1 the likely gets likelier, 0 leaves the likeliest alone.
    ``top_k`` keeps the k likeliest tokens, and those as likely as the last of them (Fan et al. 2018,
    arXiv:1805.04833). ``top_p`` keeps the fewest tokens whose probabilities reach p together (Holtzman et al.
    2019, arXiv:1904.09751). Equal to Hugging Face's TemperatureLogitsWarper, TopKLogitsWarper and
    TopPLogitsWarper. Raises ValueError for a setting out of range.
    """
    temperature, top_k, top_p = _checked(temperature, top_k, top_p)
    if temperature == 0:
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


def uniforms(seed: int) -> Iterator[float]:
    """Uniform numbers in [0, 1) without end, by mulberry32: small enough to be the same in JavaScript."""
    state, mask = seed & 0xFFFFFFFF, 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & mask
        t = (state ^ state >> 15) * (1 | state) & mask
        t = (t + ((t ^ t >> 7) * (61 | t) & mask) & mask) ^ t
        yield (t ^ t >> 14) / 2**32


def _checked(temperature: float, top_k: int | None, top_p: float | None) -> tuple:
    if not temperature >= 0:
        raise ValueError(f"temperature must be 0 (the likeliest token) or more, but {temperature} came.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be 1 or more, or None for all tokens, but {top_k} came.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, or None for all tokens, but {top_p} came.")
    return temperature, top_k, top_p
