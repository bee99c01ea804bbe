"""Two tokenizers at one budget: one gives back every text as it was, the other loses case, accents and spaces.

    python experiments/tokenisation.py            into book/textgen/results/tokenisation.json

A small GPT learns to translate short sentences into Spanish and to write short programs. Both see the same documents
equally often, and differ in nothing but their tokens. Answers, written greedily, are judged three ways: as written, after
a repair that knows the commonest spelling of each word, and but for what the tokenizer loses. Chapter 05 shows the record,
and trains both for fewer steps.
"""

import re
import unicodedata
from argparse import Namespace
from collections import Counter

import common
import textgen
import torch
from textgen import corpus, storyworld
from textgen.tokenizer import Tokenizer

KINDS = ("pair", "code")
PIECE = re.compile(r"\w+|[^\w\s]")
SIZE = {"block_size": 64, "n_layer": 2, "n_head": 4, "n_embd": 64}


def lossy(text: str) -> str:
    """What is left of a text: lower case, no accents, one space between any two pieces."""
    letters = unicodedata.normalize("NFD", text.lower())
    return " ".join(PIECE.findall("".join(c for c in letters if not unicodedata.combining(c))))


def spellings(texts: list[str]) -> dict[str, str]:
    """The commonest way in which `texts` write each word that `lossy` leaves of them."""
    counts = Counter(piece for text in texts for piece in PIECE.findall(text))
    return {lossy(piece): piece for piece, _ in reversed(counts.most_common())}


def repaired(text: str, known: dict[str, str]) -> str:
    """The text with its words spelt as usual, and marks joined to what they usually stand beside."""
    text = " ".join(known.get(word, word) for word in text.split(" "))
    return re.sub(r"(\() | (?=[).,:;!?])", r"\1", text)


def question(text: str) -> str:
    """The part of a document that is given: all up to the last colon."""
    return text[: text.rindex(":") + 1]


def run(way, texts: dict, held: dict, seed: int, steps: int) -> dict:
    """Train on what `way` leaves of the texts; for each kind how many answers are right, by each judge."""
    tokenizer = Tokenizer.word([way(text) for rows in (*texts.values(), *held.values()) for text in rows])
    data = corpus.stories(*[[way(text) for text in texts[split]] for split in ("train", "valid")], tokenizer)
    torch.manual_seed(seed)
    model = textgen.GPT(textgen.GPTConfig(vocab_size=len(tokenizer), **SIZE))
    textgen.fit(model, data, steps, batch_size=24, seed=seed)
    known, found = spellings(texts["train"]), {}
    for kind, documents in held.items():
        asked = [question(way(text)) for text in documents]
        written = textgen.generate(model, tokenizer, asked, 24, temperature=0)
        rows = list(zip(written, documents))
        found[kind] = {
            "as written": sum(a == b for a, b in rows),
            "repaired": sum(b in (a, repaired(a, known)) for a, b in rows),
            "but for what is lost": sum(lossy(a) == lossy(b) for a, b in rows),
        }
    return found


def documents(count: int, split: str) -> dict[str, list[str]]:
    """`count` texts of each kind."""
    return {kind: [one.text for one in storyworld.documents(count, kind, split=split)] for kind in KINDS}


def measure(a: Namespace) -> None:
    """Train both with each seed, and write the record."""
    texts = {"train": documents(a.documents, "train"), "valid": documents(100, "valid")}
    texts = {split: [text for rows in kinds.values() for text in rows] for split, kinds in texts.items()}
    held = documents(a.test, "test")
    record = common.load(a, "runs") | {"test": a.test, "steps": a.steps, "seeds": a.seeds}
    for name, way in (("reversible", str), ("lossy", lossy)):
        record["runs"][name] = []
        for seed in range(a.seeds):
            record["runs"][name].append(run(way, texts, held, seed, a.steps))
            print(f"{name}, seed {seed}: {record['runs'][name][-1]} of {a.test}", flush=True)
            common.save(a.record, record)


if __name__ == "__main__":
    measure(
        common.parser("tokenisation", __doc__, seeds=3, steps=500, documents=3_000, test=200).parse_args()
    )
