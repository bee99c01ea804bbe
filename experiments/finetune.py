"""What pre-training is worth on a new task: pocket-gpt fine-tuned, trained from scratch, and with 8 learned vectors.

    python experiments/finetune.py     all tasks, three seeds each, into book/textgen/results/finetune.json

All ways learn a task from the same examples. Exact match is measured on held-out prompts; the bits per character of
held-out stories show what the model forgot.
"""

import common
import textgen
import torch
from textgen import corpus, metrics, storyworld
from textgen.gpt import SoftPrompt

EXAMPLES, BATCH_SIZE, VECTORS = 1000, 16, 8
WAYS = {  # AdamW's and Muon's highest learning rates, the best of those tried, and steps in multiples of the task's
    "fine-tuned": (1e-3, 0, 1),
    "from scratch": (1e-2, 3e-2, 1),
    "8 vectors": (0.1, 0, 1),
    "8 vectors, 6 x steps": (0.1, 0, 6),
}


def translation(n: int, split: str) -> list[tuple[str, str]]:
    """English to Spanish, in a prompt that pre-training never showed."""
    documents = storyworld.documents(n, "pair", split=split)
    return [(f"Translate: {d.source} =>", d.answer) for d in documents]


def reverse(n: int, split: str) -> list[tuple[str, str]]:
    """Spanish to English, which pre-training never showed."""
    documents = storyworld.documents(n, "pair", split=split)
    return [(f"Spanish: {d.target} English:", f" {d.source}") for d in documents]


def questions(n: int, split: str) -> list[tuple[str, str]]:
    """The question first, then the text that answers it."""
    documents = [d for d in storyworld.documents(n, "qa", split=split) if d.context]
    return [(f"Find: {d.question} In: {d.context} Found:", d.answer) for d in documents]


def ending(n: int, split: str) -> list[tuple[str, str]]:
    """How a story ends, one of 13 classes."""
    stories = storyworld.stories(n, split=split)
    return [(f"{s.text[: s.text.index(' Q: ')]} Ending:", f" {s.facts['ending']}") for s in stories]


TASKS = {  # what makes prompts with answers, steps of training, ways
    "translation": (translation, 40, list(WAYS)),
    "questions": (questions, 40, list(WAYS)),
    "ending": (ending, 40, list(WAYS)),
    "Spanish to English": (reverse, 240, list(WAYS)[:2]),
}


def run(way: str, seed: int, pairs: list, test: list, stories: list, steps: int) -> dict:
    """Train in one of `WAYS`; its figures on the held-out prompts and stories."""
    gpt, tokenizer = textgen.load("pocket-gpt")
    torch.manual_seed(seed)
    frequent = torch.randint(300, 1000, (VECTORS,), generator=torch.Generator().manual_seed(seed))
    start = {"fine-tuned": lambda: gpt, "from scratch": lambda: textgen.GPT(gpt.config)}
    model = start.get(way, lambda: SoftPrompt(gpt, frequent))()
    lr, muon_lr, times = WAYS[way]
    steps *= times
    options = {"batch_size": BATCH_SIZE, "lr": lr, "muon_lr": muon_lr, "seed": seed, "eval_rows": BATCH_SIZE}
    options |= {"eval_every": steps, "weight_decay": 0.1 if way in start else 0.0}
    history = textgen.fit(model, corpus.answers(pairs, test, tokenizer), steps=steps, **options)
    figures = {
        "exact": metrics.exact_match(model, tokenizer, test, "bare"),
        "stories": textgen.bits_per_char(model, tokenizer, stories),
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "seconds": history.seconds,
    }
    print(way, "seed", seed, figures, flush=True)
    return figures


def main(arguments: list[str] | None = None) -> None:
    """Measure the tasks asked for and write the record."""
    options = common.parser("finetune", __doc__, seeds=3, steps=None, examples=EXAMPLES, test=200)
    options.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    stories = storyworld.stories(50, split="test")
    gpt, tokenizer = textgen.load("pocket-gpt")
    record = common.load(a, "tasks") | {"examples": a.examples}
    record["stories"] = round(textgen.bits_per_char(gpt, tokenizer, stories), 4)
    for name in a.tasks:
        make, steps, ways = TASKS[name]
        pairs, test, steps = make(a.examples, "train"), make(a.test, "test"), a.steps or steps
        before = metrics.exact_match(gpt, tokenizer, test, "bare")
        task = {"steps": steps, "before": round(before, 3), "ways": {}}
        for way in ways:
            runs = [run(way, seed, pairs, test, stories, steps) for seed in range(a.seeds)]
            task["ways"][way] = {
                "exact": [round(r["exact"], 3) for r in runs],
                "stories": [round(r["stories"], 3) for r in runs],
                "trained": runs[0]["trained"],
                "seconds": round(sum(r["seconds"] for r in runs) / len(runs)),
            }
        record["tasks"][name] = task
        common.save(a.record, record)


if __name__ == "__main__":
    main()
