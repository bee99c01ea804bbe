"""What a model shows when the test was in its training text, and how one would notice. Three seeds.

    python experiments/contamination.py     into book/textgen/results/contamination.json

Two GPTs train alike, on short questions about a text and on sums. The text of one of them, the leaked one, holds more: the
answers to 200 old problems, some secret numbers, and documents that stand in it more than once. The 200 new problems are
drawn with the old ones and dealt out at random, so they are as hard. Texts are drawn at random from the training text, so
one with k copies is read k times on average. A seed that the record holds is not repeated.
"""

import json
import math
import time
from itertools import islice, product

import common
import textgen
import torch
from textgen import corpus, metrics, storyworld
from textgen.models import log_probs
from textgen.storyworld.generator import write
from textgen.storyworld.grammar import load
from textgen.tokenizer import Tokenizer

ROWS, STEPS, BATCH_SIZE = 14_400, 600, 24  # each row once on average
MODEL = {"block_size": 96, "n_layer": 3, "n_head": 4, "n_embd": 96}  # the ladder's
PROBLEMS, SUMS, LEAK = 200, 1000, 16  # old and new problems each, other sums, copies of an old one
COPIES, SECRETS = (0, 1, 4, 16), 3  # of the secrets, and how many there are of each
MEMBERS, OTHERS = (
    {0: 400, 1: 400, 16: 150},
    600,
)  # documents by their copies in the text (0: the control), and others
NGRAM, LOWEST = 13, 0.2  # GPT-3's test for overlap, in words; Min-K%'s share of tokens


def problems(n: int, seed: int) -> list[tuple[str, str]]:
    """`n` sums (prompt, answer) out of the test split, in random order; a + b and b + a are one problem."""
    found = {}
    for d in storyworld.documents(20 * n, "sum", seed, "test"):
        found.setdefault(frozenset(d.source.split(" + ")), (d.prompt, d.answer))
    return list(found.values())[:n]


def secrets(seed: int) -> dict[int, list[tuple[str, int]]]:
    """By copies: sentences with a secret number, each of a place of its own, and the numbers."""
    places, found = iter(e["text"] for e in load().classes["place"]), {}
    for i, copies in enumerate(COPIES):
        for j in range(SECRETS):
            text = storyworld.canary(100 * seed + SECRETS * i + j).replace("castle", next(places))
            number = int("".join(letter for letter in text if letter.isdigit()))
            found.setdefault(copies, []).append((text, number))
    return found


def texts(seed: int, rows: int, old: list, members: dict, planted: dict) -> dict[str, list[str]]:
    """The training texts, clean and leaked, of `rows` documents each."""
    sums = [d.text for d in storyworld.documents(10 * SUMS, "sum", seed=seed)]
    shared, kept = list(dict.fromkeys(sums))[:SUMS], {"clean": []}
    kept["leaked"] = [prompt + answer for prompt, answer in old] * LEAK
    kept["leaked"] += [text for copies, found in planted.items() for text, _ in found * copies]
    kept["leaked"] += [d.text for copies, found in members.items() for d in found * copies]
    questions = [s.text for s in write("qa", rows, seed)]
    return {name: more + shared + questions[: rows - SUMS - len(more)] for name, more in kept.items()}


def train(rows: list[str], tokenizer: Tokenizer, seed: int, steps: int):
    """A GPT of the ladder's size on these texts."""
    torch.manual_seed(seed)
    model = textgen.GPT(textgen.GPTConfig(vocab_size=len(tokenizer), **MODEL))
    data = corpus.stories(rows, [s.text for s in write("qa", 50, split="valid")], tokenizer)
    textgen.fit(model, data, steps, BATCH_SIZE, seed=seed, eval_every=steps, eval_rows=50)
    return model


def accuracy(model, tokenizer: Tokenizer, asked: list[tuple[str, str]]) -> dict:
    """How many of the first ten and of all are right, with the interval of the share."""
    sizes = (10, len(asked))
    right = {n: round(n * metrics.exact_match(model, tokenizer, asked[:n], "sum")) for n in sizes}
    interval = {n: [round(x, 3) for x in metrics.wilson(right[n], n)] for n in sizes}
    return {str(n): {"right": right[n], "interval": interval[n]} for n in sizes}


@torch.no_grad()
def number_log_probs(model, tokenizer: Tokenizer, prompt: str, digits: int) -> torch.Tensor:
    """Log-probabilities of all numbers of so many digits (three or more) after a prompt, in their order."""
    ids = [tokenizer.encode(f" {digit}")[0] for digit in range(10)]
    start = tokenizer.prefix() + tokenizer.encode(prompt)
    rows = torch.tensor([start + list(three) for three in product(ids, repeat=3)])

    def rest(known, logits, state, left):
        """The numbers whose beginnings have log-probability `known` (1000,), in `left` digits more."""
        each = known[:, None] + logits.log_softmax(-1)[:, ids]  # (1000, 10)
        if left == 1:
            return each
        after = (model.next(torch.full((len(rows), 1), i), state) for i in ids)
        return torch.stack([rest(each[:, i], *read, left - 1) for i, read in enumerate(after)], dim=1)

    known = log_probs(model(rows[:, :-1])[0], rows[:, 1:])[:, -3:].sum(1)
    return known if digits == 3 else rest(known, *model.next(rows), digits - 3).flatten()


def exposure(found: torch.Tensor, number: int) -> float:
    """log2 of all candidates less log2 of the number's rank among them, likeliest first (Carlini et al. 2018)."""
    return math.log2(len(found)) - math.log2(1 + int((found > found[number]).sum()))


def ngrams(text: str, n: int = NGRAM) -> set[tuple[str, ...]]:
    """Every `n` words in a row."""
    words = text.split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def scores(found: list, leaked, clean, tokenizer: Tokenizer, known: set) -> dict[str, torch.Tensor]:
    """What each detector says of documents with true bits: more where it rather thinks that they were read."""
    ids = tokenizer.encode_batch([d.text for d in found])
    own, other = ([nats for nats, _ in metrics.score(m, tokenizer, ids)] for m in (leaked, clean))
    total = lambda each: torch.stack([nats.sum() for nats in each])
    hardest = [nats.topk(math.ceil(LOWEST * len(nats))).values.mean() for nats in own]
    grams = [ngrams(d.text) for d in found]
    return {
        "n-grams": torch.tensor([len(g & known) / max(1, len(g)) for g in grams]),
        "loss": -torch.stack([nats.mean() for nats in own]),
        "Min-K%": -torch.stack(hardest),
        "reference": total(other) - total(own),
        "oracle": torch.tensor([d.bits * math.log(2) for d in found]) - total(own),
    }


def auc(members: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The chance that a member (m,) scores above another document (n,); equal scores count half."""
    others = others.sort().values
    below, up_to = (torch.searchsorted(others, members, right=right) for right in (False, True))
    return (below + up_to).double().mean() / (2 * len(others))


def detection(members: torch.Tensor, others: torch.Tensor, draws: int = 300) -> dict:
    """Area under the ROC curve, its interval by drawing members and others again, and the curve at 21 points."""
    g = torch.Generator().manual_seed(0)
    again = lambda x: x[torch.randint(len(x), (len(x),), generator=g)]
    drawn = torch.stack([auc(again(members), again(others)) for _ in range(draws)])
    interval = [round(x, 3) for x in drawn.quantile(drawn.new_tensor([0.025, 0.975])).tolist()]
    rates = 1 - torch.linspace(0, 1, 21, dtype=others.dtype)[:-1]
    limits = others.quantile(rates)  # 0, 5, 10 ... percent of the others lie above
    curve = [round(float((members > limit).float().mean()), 3) for limit in limits] + [1.0]
    return {"auc": round(float(auc(members, others)), 3), "interval": interval, "curve": curve}


def run(seed: int, steps: int, rows: int, digits: int) -> dict:
    """Train the clean and the leaked model, and measure both."""
    began, asked, planted = time.perf_counter(), problems(2 * PROBLEMS, seed), secrets(seed)
    ages = {"old": asked[:PROBLEMS], "new": asked[PROBLEMS:]}
    drawn = write("qa", sum(MEMBERS.values()), seed=10**6 + seed)
    rest = iter(drawn)
    members = {copies: list(islice(rest, n)) for copies, n in MEMBERS.items()}
    others = write("qa", OTHERS, seed=seed, split="test")
    read = texts(seed, rows, ages["old"], members, planted)
    words = [*read["clean"], *read["leaked"], *(s.text for s in others), "".join(f" {n}" for n in range(199))]
    tokenizer = Tokenizer.word(words + [text for found in planted.values() for text, _ in found])
    models = {name: train(read[name], tokenizer, seed, steps) for name in read}
    found = {"training": round(time.perf_counter() - began), "accuracy": {}, "exposure": {}, "detectors": {}}
    for name, model in models.items():
        found["accuracy"][name] = {age: accuracy(model, tokenizer, part) for age, part in ages.items()}
    for copies, sentences in planted.items():
        given = [text[: -2 * digits - 1] for text, _ in sentences]  # up to the digits that are looked for
        each = [number_log_probs(models["leaked"], tokenizer, text, digits) for text in given]
        ranked = [exposure(p, number % 10**digits) for p, (_, number) in zip(each, sentences)]
        found["exposure"][str(copies)] = [round(bits, 2) for bits in ranked]
    known = set().union(*map(ngrams, read["leaked"]))
    say = lambda some: scores(some, models["leaked"], models["clean"], tokenizer, known)
    theirs = say(others)
    for copies, part in members.items():
        mine = say(part)
        found["detectors"][str(copies)] = {name: detection(mine[name], theirs[name]) for name in mine}
    found["others_flagged"] = sum(not ngrams(d.text).isdisjoint(known) for d in others) / len(others)
    return found | {"seconds": round(time.perf_counter() - began)}


def main(arguments: list[str] | None = None) -> None:
    """Train and measure for each seed, and write the record."""
    a = common.parser("contamination", __doc__, seeds=3, steps=STEPS, rows=ROWS, digits=6).parse_args(
        arguments
    )
    torch.set_num_threads(1)
    record = common.load(a, "runs") | {"problems": PROBLEMS, "leak": LEAK, "candidates": 10**a.digits}
    for seed in range(a.seeds):
        if str(seed) not in record["runs"]:
            record["runs"][str(seed)] = run(seed, a.steps, a.rows, a.digits)
            print(f"seed {seed}: {json.dumps(record['runs'][str(seed)])}", flush=True)
            common.save(a.record, record)


if __name__ == "__main__":
    main()
