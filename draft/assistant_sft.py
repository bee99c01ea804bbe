"""Supervised fine-tuning of pocket-gpt on dialogues of Storyworld: how often it does what is asked, before and after.

    python experiments/assistant_sft.py                  all seeds, into book/textgen/results/assistant_sft.json
    python experiments/assistant_sft.py --seeds 1        one of them; the others' figures stay

Held-out requests of each kind: stories at temperature 1, all else greedy, judged by `storyworld.fulfils`. A training
that was stopped goes on from its checkpoint, and a run that the record holds is not repeated.
"""

import json
from pathlib import Path

import common
import textgen
import torch
from textgen import corpus, metrics, storyworld
from textgen.dialogue import chat_ids
from textgen.sample import generate_ids
from textgen.storyworld import REQUESTS, Request, fulfils, unknown
from textgen.storyworld.judge import tales

SHARES = {"story": 0.25, "question": 0.25, "person": 0.15, "translate": 0.05, "code": 0.05, "dialogue": 0.25}
BATCH_SIZE, LR, SHOWN = 32, 1e-3, 20
KEPT = Path(__file__).resolve().parents[1] / "_build/assistant"


def data(n: int, tokenizer) -> corpus.Answers:
    """`n` dialogues to learn from, by SHARES, and a twentieth as many to see the loss on."""
    rows = {"train": [], "valid": []}
    for split, size in (("train", n), ("valid", n // 20)):
        for kind, share in SHARES.items():
            made = storyworld.requests(max(1, round(size * share)), kind, seed=1, split=split)
            rows[split] += [request.dialogue for request in made]
    return corpus.dialogues(rows["train"], rows["valid"], tokenizer)


def answers(model, tokenizer, requests: list[Request], seed: int = 0) -> list[str]:
    """What a model answers: stories at temperature 1, all else with the likeliest token each time."""
    written = {}
    for story, new in ((True, 160), (False, 60)):
        some = [i for i, request in enumerate(requests) if (request.kind == "story") == story]
        contexts = [chat_ids(requests[i].messages, tokenizer) for i in some]
        rows = generate_ids(model, contexts, new, float(story), seed=seed, end=tokenizer.bos) if some else []
        written |= {i: tokenizer.decode(ids).strip() for i, ids in zip(some, rows)}
    return [written[i] for i in range(len(requests))]


def figures(model, tokenizer, test: dict[str, list[Request]], seed: int = 0) -> dict:
    """Of each kind: shares with intervals, and some wrong answers with the last message and what would be right.

    right: what can be known is answered as asked. admits: what cannot be known is said to be so. refuses: what can be
    known is said not to be. grammatical: a story is one to the letter.
    """
    found, letter = {}, lambda text: storyworld.recognise(text, "tale", tales()).bits is not None
    for kind, requests in test.items():
        said = answers(model, tokenizer, requests, seed)
        judged = [(r, answer, fulfils(r, answer)) for r, answer in zip(requests, said)]
        wrong = [
            [r.messages[-1]["content"], r.asked or r.answer, text] for r, text, right in judged if not right
        ]
        found[kind] = {
            "right": share([right for r, _, right in judged if r.known]),
            "admits": share([right for r, _, right in judged if not r.known]),
            "refuses": share([unknown(text) for r, text, _ in judged if r.known]),
            "grammatical": share([letter(text) for r, text, _ in judged if r.asked]),
            "wrong": wrong[:SHOWN],
        }
    return found


def share(right: list[bool]) -> list | None:
    """A share, the ends of its interval and of how many; None of nothing."""
    n = len(right)
    return [round(x, 4) for x in (sum(right) / n, *metrics.wilson(sum(right), n))] + [n] if n else None


def trained(a, seed: int) -> tuple:
    """Pocket-gpt after fine-tuning, and its history."""
    model, tokenizer = textgen.load("pocket-gpt")
    kept = a.kept / f"sft-{a.steps}-{a.train}-{a.lr:g}-{seed}"
    options = {"lr": a.lr, "seed": seed, "eval_every": max(1, a.steps // 4), "device": "cpu"}
    history = textgen.fit(model, data(a.train, tokenizer), a.steps, BATCH_SIZE, checkpoint=kept, **options)
    return model, history


def main(arguments: list[str] | None = None) -> None:
    """Measure pocket-gpt, fine-tune it with each seed, measure again and write the record."""
    options = common.parser("assistant_sft", __doc__, seeds=3, steps=2000, train=20_000, measure=200)
    options.add_argument("--lr", type=float, default=LR, help="AdamW's highest; Muon's is three times that")
    options.add_argument("--kept", type=Path, default=KEPT, help="where the runs are kept")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    record = common.load(a, "seeds") | {"steps": a.steps, "dialogues": a.train, "measured": a.measure}
    test = {kind: storyworld.requests(a.measure, kind, split="test") for kind in REQUESTS}
    model, tokenizer = textgen.load("pocket-gpt")
    if "base" not in record:
        record["base"] = figures(model, tokenizer, test)
        common.save(a.record, record)
    for seed in range(a.seeds):
        if str(seed) not in record["seeds"]:
            model, history = trained(a, seed)
            found = figures(model, tokenizer, test, seed)
            found["valid"] = [round(loss, 4) for *_, loss in history.valid]
            found["seconds"] = round(history.seconds)
            record["seeds"][str(seed)] = found
            shown = {kind: {k: v for k, v in found[kind].items() if k != "wrong"} for kind in REQUESTS}
            print(f"seed {seed}: {json.dumps(shown)}", flush=True)
            common.save(a.record, record)


if __name__ == "__main__":
    main()
