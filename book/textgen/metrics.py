"""What the course measures: bits per character, recall of facts, and answers that are right."""

import math

import torch

from .inputs import DAMAGED, as_text, fits, listed, well_formed, whole
from .models import evaluating, log_probs
from .storyworld import recognise, sentences

LOGITS = 2**26  # most logits computed at once: 256 MB
# One story that every rung of the ladder reads (of the held-out ones), and five places where it leaves no choice.
STORY = (
    "Near the mill lived a kind crow called Mina. Mina had a black hat but dreamed of a blue button. At the station "
    'she met Amir the mouse, who had just such a button. "Will you trade your blue button for my hat?" asked Mina. '
    '"That is fair," said Amir, and took the black hat. Mina went home with the blue button and felt glad.'
)
PLACES = ("just such a button", "for my hat", "asked Mina", "took the black", "home with the blue")


def bits_per_char(model, tokenizer, texts, kind: str = "story", batch_size: int = 64) -> float:
    """Bits that `model` needs for one character of `texts`, the mean over all of them.

    Every token of a text counts, and so does the token that ends it, which stands for one character more. Tokenizers
    thus compare, and so does the true entropy, `storyworld.entropy`. A text longer than the model's block is read
    in pieces that overlap by half, so that each token still sees half a block before it.
    """
    texts = [as_text(text) for text in listed(texts)]
    if not texts:
        raise ValueError("texts is empty: give at least one text.")
    scored = score(model, tokenizer, tokenizer.encode_batch(texts), kind, batch_size)
    nats = sum(float(losses.double().sum()) for losses, _ in scored)
    return nats / math.log(2) / sum(len(text) + 1 for text in texts)


def recall(model, tokenizer, stories, batch_size: int = 64) -> list[tuple[str, int, bool]]:
    """Does the model name again what a story named before? One row (kind, distance, correct) for each mention.

    The model reads the true story; a mention ("name", "object", "colour") is correct when every one of its tokens is
    the model's first choice. `distance`: words since the fact was last said. Average the rows with `average`.
    """
    encodings = [tokenizer.backend.encode(s.text, add_special_tokens=False) for s in stories]
    scored = score(model, tokenizer, [e.ids for e in encodings], "story", batch_size)
    rows = []
    for story, encoding, (_, hits) in zip(stories, encodings, scored):
        for mention in story.mentions:
            tokens = overlapping(encoding.offsets, mention.start, mention.end)
            rows.append((mention.kind, mention.distance, bool(hits[tokens].all())))
    return rows


def average(rows: list[tuple[str, int, bool]], edges: tuple[int, ...] = ()) -> dict:
    """Fractions of correct rows: {kind: fraction}, or with `edges` {(kind, least distance): fraction}.

    `edges=(0, 10, 40)` puts the rows into distances 0 to 9, 10 to 39, and 40 or more.
    """
    groups: dict = {}
    for kind, distance, correct in rows:
        least = max((edge for edge in edges if edge <= distance), default=0)
        groups.setdefault((kind, least) if edges else kind, []).append(correct)
    return {key: sum(found) / len(found) for key, found in sorted(groups.items())}


@torch.no_grad()
def at_places(model, tokenizer) -> list[tuple[float, str, float]]:
    """What a model says next at the five places of `STORY`, each the last word of its `PLACES`.

    A row each: the probability of the true word, the model's first choice, and the probability of that. A word that
    the tokenizer cuts in parts stands for the first of them.
    """
    fits(model, tokenizer)
    device, rows = next(model.parameters()).device, []
    for words in PLACES:
        start = STORY.index(words) + words.rindex(" ")  # the space belongs to the word after it
        true = tokenizer.encode(STORY[start:])[0]
        ids = torch.tensor([tokenizer.prefix() + tokenizer.encode(STORY[:start])], device=device)
        with evaluating(model):
            p = model(ids)[0][0, -1].float().softmax(-1)  # (V,)
        first = int(p.argmax())
        rows.append((float(p[true]), tokenizer.piece(first).strip(), float(p[first])))
    return rows


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share, `right` of `n` independent samples (Wilson 1927), good near 0 and 1 too."""
    if not 0 <= right <= n or n < 1:
        raise ValueError(f"right must lie between 0 and n, and n be 1 or more, but {right} of {n} came.")
    share, spread = right / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(right) -> str:
    """The share of `right`, a row of true and false, with its interval: "0.912 (0.857 to 0.947, n = 160)"."""
    n, found = len(right), int(sum(right))
    if not n:
        return "nothing to count"
    low, high = wilson(found, n)
    return f"{found / n:.3f} ({low:.3f} to {high:.3f}, n = {n:,})"


def bootstrap(values, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """The 95% interval of the mean of independent `values`, by drawing from them again (Efron 1979)."""
    values = torch.as_tensor(values, dtype=torch.float64).flatten().cpu()
    if len(values) < 2:
        raise ValueError(f"values must be two or more numbers, but {len(values)} came.")
    picked = torch.randint(len(values), (draws, len(values)), generator=torch.Generator().manual_seed(seed))
    low, high = values[picked].mean(dim=1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(low), float(high)


def grammatical(texts) -> tuple[float, float]:
    """Fractions of whole stories and of single sentences that Storyworld's grammar can write.

    A story counts when it is right from its first word to its last, a sentence when some story could hold it,
    whatever stands before it. So who did what to whom, told across sentences, is in the first figure only.
    Raises ValueError where there is no sentence in `texts`.
    """
    texts = [as_text(text) for text in listed(texts)]
    pieces = [sentence for text in texts for sentence in sentences.split(text)]
    if not pieces:
        raise ValueError("texts holds no sentence: give at least one story.")
    stories = sum(recognise(text).bits is not None for text in texts)
    return stories / len(texts), sum(map(sentences.is_sentence, pieces)) / len(pieces)


def exact_match(model, tokenizer, pairs, kind: str = "qa", batch_size: int = 64) -> float:
    """Fraction of (prompt, answer) pairs that greedy generation completes exactly, up to the end token.

    Generation writes the answer if and only if each of its tokens and the end token are the first choice after those
    before. So one pass over the true answer decides, with no need to generate. Prompt and answer together
    must be the whole text as the model knows it, spaces included.
    """
    pairs = list(pairs)
    if not pairs:
        raise ValueError("pairs is empty: give at least one (prompt, answer).")
    encodings = [tokenizer.backend.encode(p + a, add_special_tokens=False) for p, a in pairs]
    scored = score(model, tokenizer, [e.ids for e in encodings], kind, batch_size)
    right = 0
    for (prompt, answer), encoding, (_, hits) in zip(pairs, encodings, scored):
        tokens = overlapping(encoding.offsets, len(prompt.rstrip()), len(prompt + answer))
        right += bool(hits[tokens].all() and hits[-1])
    return right / len(pairs)


def judged(model, rows: torch.Tensor, vocab: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses in nats, and first choices right, of each token of `rows` (B, T) but the first, both (B, T - 1).

    A long row of a model without a block is read on from state to state, or its logits would fill the memory.
    """
    ids, targets, state, found = rows[:, :-1], rows[:, 1:], None, []
    long = max(1, LOGITS // (len(rows) * vocab))
    with evaluating(model):
        for part, wanted in zip(ids.split(long, dim=1), targets.split(long, dim=1)):
            if ids.size(1) <= long:
                logits = model(part)[0].float()  # (B, T, V)
            else:
                x, state = model.hidden_states(part, state)
                logits = model.head(x).float()
            highest, first_choices = logits.max(-1)  # (B, T) each
            if not highest.isfinite().all():
                raise ValueError(DAMAGED)
            found.append((-log_probs(logits, wanted).cpu(), (first_choices == wanted).cpu()))
    losses, hits = (torch.cat(parts, dim=1) for parts in zip(*found))
    return losses, hits


def overlapping(offsets: list[tuple[int, int]], start: int, end: int) -> list[int]:
    """Return the places of the tokens that hold any character of the span [start, end) of their text."""
    return [i for i, (a, b) in enumerate(offsets) if a < end and b > start]


@torch.no_grad()
def score(model, tokenizer, texts: list[list[int]], kind: str = "story", batch_size: int = 64) -> list:
    """Read each text, given as its ids, and return a pair of tensors for it: losses in nats, first choices right.

    Both have one entry a token and one for the end token. Raises ValueError for another model's tokenizer and for logits
    that are no numbers.
    """
    fits(model, tokenizer)
    batch_size = whole("batch_size", batch_size, 1)
    prefix, end = tokenizer.prefix(well_formed("kind", kind)), tokenizer.bos
    block = getattr(model, "max_positions", None) or math.inf
    device = next(model.parameters()).device
    out, pieces = [], []
    for i, ids in enumerate(texts):
        row = prefix + list(ids) + [end]
        out.append((torch.zeros(len(ids) + 1), torch.zeros(len(ids) + 1, dtype=torch.bool)))
        done = len(prefix)  # row[done] is the next token to score
        while done < len(row):
            seen = max(1, block // 2)
            start = 0 if len(row) - 1 <= block else max(0, min(done - seen, len(row) - 1 - block))
            stop = len(row) if block == math.inf else min(len(row), start + block + 1)
            pieces.append((i, done - len(prefix), done - start - 1, row[start:stop]))
            done = stop
    pieces.sort(key=lambda piece: len(piece[3]))  # rows of one length need little padding
    at, vocab = 0, len(tokenizer)
    while at < len(pieces):
        size = max(
            1, min(batch_size, LOGITS // (len(pieces[min(at + batch_size, len(pieces)) - 1][3]) * vocab))
        )
        group = pieces[at : at + size]
        at += size
        width = len(group[-1][3])
        rows = torch.tensor([piece[3] + [end] * (width - len(piece[3])) for piece in group], device=device)
        losses, hits = judged(model, rows, vocab)
        for (i, place, first, row), loss, hit in zip(group, losses, hits):
            stop = len(row) - 1
            out[i][0][place : place + stop - first] = loss[first:stop]
            out[i][1][place : place + stop - first] = hit[first:stop]
    return out
