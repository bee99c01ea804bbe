"""Supervised fine-tuning of pocket-gpt on dialogues of Storyworld: how often it does what is asked, before and after.

    python experiments/assistant_sft.py                  all seeds, into book/textgen/results/assistant_sft.json
    python experiments/assistant_sft.py --seeds 1        one of them; the others' figures stay
    python experiments/assistant_sft.py --ship           write pocket-chat-sft, the first seed's model

Held-out requests of each kind: stories at temperature 1, all else greedy, judged by `storyworld.fulfils`. A training
that was stopped goes on from its checkpoint, and a run that the record holds is not repeated.
"""

import json
from pathlib import Path

import common
import textgen
import torch
from pocket_gpt import Mixture, save_card
from textgen import corpus, hub, metrics, storyworld
from textgen.dialogue import CHAT_TEMPLATE, chat_ids
from textgen.files import write_sums
from textgen.page.pack import round_to_int8
from textgen.sample import generate_ids
from textgen.storyworld import REQUESTS, Request, fulfils, tales, unknown

SHARES = {"story": 0.45, "question": 0.12, "detail": 0.04, "person": 0.08, "translate": 0.04}
SHARES |= {"code": 0.02, "dialogue": 0.25}  # and no trap
BATCH_SIZE, SHOWN = 32, 20
LR, MUON_LR = 2e-3, 0.01
JUDGED = ("right", "admits", "refuses", "grammatical", "kind")
KEPT = Path(__file__).resolve().parents[1] / "_build/assistant"

CARD = """# {name}

[pocket-gpt](../pocket-gpt/README.md), {how}.
It tells stories, answers questions, translates and writes small programs, in Storyworld and in no other world. Its
tokenizer has a chat template, so a `pipeline` takes messages, such as
`[{{"role": "user", "content": "Tell me a story about a fox and a red kite."}}]`. Made in {seconds:,} seconds on one core by

    {command}

On {measured} held-out requests of each kind (stories at temperature 1, all else greedy):

| figure | value |
| --- | --- |
{table}

`right`: what can be known is answered as asked. `admits`: what cannot be known is said to be so; `refuses`: what can be
known is said not to be. `grammatical`: stories that the grammar could have written. `kind`: what the listener thinks of
the stories, in nats. Every matrix is rounded to int8 with one scale a row, and stored as float32. Weights and text are
under the licence of the course.
"""


def data(n: int, tokenizer) -> Mixture:
    """`n` dialogues to learn from, by SHARES, and a twentieth as many to see the loss on; each batch is of one kind.

    The loss is a mean over tokens: in a mixed batch the long stories would drown out the answers of three tokens.
    """
    make = lambda kind, size, split: [
        request.dialogue for request in storyworld.requests(max(1, round(size)), kind, seed=1, split=split)
    ]
    groups = [
        corpus.dialogues(make(kind, n * share, "train"), make(kind, n * share / 20, "valid"), tokenizer)
        for kind, share in SHARES.items()
    ]
    return Mixture(groups, list(SHARES.values()), tokenizer)


def answers(model, tokenizer, requests: list[Request], seed: int = 0) -> list[str]:
    """What a model answers: stories at temperature 1, all else with the likeliest token each time."""
    written = {}
    for story, new in ((True, 160), (False, 80)):
        some = [i for i, request in enumerate(requests) if (request.kind == "story") == story]
        contexts = [chat_ids(requests[i].messages, tokenizer) for i in some]
        rows = generate_ids(model, contexts, new, float(story), seed=seed, end=tokenizer.bos) if some else []
        written |= {i: tokenizer.decode(ids).strip() for i, ids in zip(some, rows)}
    return [written[i] for i in range(len(requests))]


def held_out(n: int) -> dict[str, list[Request]]:
    """`n` requests of each kind to measure on."""
    return {kind: storyworld.requests(n, kind, split="test") for kind in REQUESTS}


def figures(model, tokenizer, test: dict[str, list[Request]], seed: int = 0) -> dict:
    """Of each kind: shares with intervals, and some wrong answers with the last message and what would be right.

    right: what can be known is answered as asked. admits: what cannot be known is said to be so. refuses: what can be
    known is said not to be. grammatical: a story is one to the letter. kind: what the listener thinks of the stories.
    """
    found, listener = {}, storyworld.Listener(world=tales())
    letter = lambda text: storyworld.recognise(text, "story", tales()).bits is not None
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
            "kind": mean([listener.score(text) for r, text, _ in judged if r.asked]),
            "wrong": wrong[:SHOWN],
        }
    return found


def share(right: list[bool]) -> list | None:
    """A share, the ends of its interval and of how many; None of nothing."""
    n = len(right)
    return [round(x, 4) for x in (sum(right) / n, *metrics.wilson(sum(right), n))] + [n] if n else None


def mean(nats: list[float]) -> list | None:
    """A mean, the ends of its interval and of how many; None of fewer than two."""
    n = len(nats)
    return [round(x, 4) for x in (sum(nats) / n, *metrics.bootstrap(nats))] + [n] if n > 1 else None


def trained(a, seed: int) -> tuple:
    """Pocket-gpt after fine-tuning, and its history."""
    model, tokenizer = textgen.load("pocket-gpt")
    kept = a.kept / f"sft-{a.steps}-{a.train}-{a.muon_lr:g}-{seed}"
    options = {
        "lr": a.lr,
        "muon_lr": a.muon_lr,
        "seed": seed,
        "eval_every": max(1, a.steps // 4),
        "device": "cpu",
    }
    history = textgen.fit(model, data(a.train, tokenizer), a.steps, BATCH_SIZE, checkpoint=kept, **options)
    return model, history


def ship(model, name: str, made: dict, measure: int) -> None:
    """Round a model to the int8 grid, measure it, and write the folder that `textgen.load` and a `pipeline` read."""
    folder, tokenizer = hub.WEIGHTS / name, textgen.load("pocket-gpt")[1]
    round_to_int8(model)
    found = figures(model, tokenizer, held_out(measure))
    told = [(kind, key, row[key]) for key in JUDGED for kind, row in found.items() if row[key]]
    flat = {f"{kind}_{key}": value[0] for kind, key, value in told if value[-1] >= measure / 4}
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder, CHAT_TEMPLATE)
    write_sums(folder, hub.FILES)
    save_card(folder, flat, {"name": name, "measured": measure} | made, CARD)


def main(arguments: list[str] | None = None) -> None:
    """Measure pocket-gpt, fine-tune it with each seed, measure again and write the record."""
    options = common.parser("assistant_sft", __doc__, seeds=3, steps=1500, train=20_000, measure=200)
    options.add_argument("--lr", type=float, default=LR, help="AdamW's highest learning rate")
    options.add_argument("--muon-lr", type=float, default=MUON_LR, help="Muon's highest learning rate")
    options.add_argument("--kept", type=Path, default=KEPT, help="where the runs are kept")
    options.add_argument("--ship", action="store_true", help="also write pocket-chat-sft")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    record = common.load(a, "seeds") | {"steps": a.steps, "dialogues": a.train, "measured": a.measure}
    test = held_out(a.measure)
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
    if a.ship:
        model, history = trained(a, 0)
        how = "fine-tuned on dialogues with right answers"
        made = {"how": how, "seconds": round(history.seconds), "command": f"{a.command} --ship"}
        ship(model, "pocket-chat-sft", made, a.measure)


if __name__ == "__main__":
    main()
