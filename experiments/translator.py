"""Translators of several sizes, vector and networks together, and one with attention.

    python experiments/translator.py                into book/textgen/results/translator.json
    python experiments/translator.py --ship         trains only the translator that ships with the course

Exact match is measured on held-out sentences in four groups of equal size, from the shortest to the longest.
"""

from pathlib import Path

import common
import textgen
import torch
from textgen import hub, seq2seq
from textgen.files import write_atomically, write_sums

STEPS, BATCH_SIZE, PAIRS = 500, 64, 20_000  # chapter 03 trains the width of 128 with these, live
MODELS = {  # name: settings; the first four differ only in width
    "32": {"n_hidden": 32},
    "64": {"n_hidden": 64},
    "128": {"n_hidden": 128},
    "256": {"n_hidden": 256},
    "128, attention": {"n_hidden": 128, "attention": True},
}
SHIPPED = {"n_hidden": 192}
SHIPPED_STEPS, SHIPPED_PAIRS = 8000, 200_000

CARD = """# The translator of chapter 03

An LSTM that reads an English sentence of Storyworld and an LSTM that writes the Spanish one, {parameters:,} parameters,
without attention: all that passes between them is {numbers} numbers. Made on a CPU, {steps:,} steps of 64 sentences, by

    python experiments/translator.py --ship

Exact match on {test:,} held-out sentences, in four groups from the shortest to the longest: {exact}. Load it with
`textgen.seq2seq.load()`. Weights are under the licence of the course.
"""


def train(settings: dict, seed: int, steps: int, pairs: int, test: list, **rates: float) -> tuple:
    """Train one translator; returns it, its data and its figures on the held-out pairs."""
    data = seq2seq.Pairs(seq2seq.sentences(pairs), seq2seq.sentences(1000, split="valid"))
    torch.manual_seed(seed)
    config = seq2seq.TranslatorConfig(len(data.english), len(data.spanish), **settings)
    model = seq2seq.Translator(config)
    textgen.fit(model, data, steps, BATCH_SIZE, seed=seed, device="cpu", **rates)
    hits = seq2seq.exact_hits(model, data, test)
    exact = [round(sum(hits[i] for i in group) / len(group), 3) for group in seq2seq.quarters(test)]
    figures = {"exact": exact, "parameters": model.num_parameters()}
    print(settings, "seed", seed, figures, flush=True)
    return model, data, figures


def main(arguments: list[str] | None = None) -> None:
    """Measure all widths with every seed, or train the translator that ships."""
    options = common.parser("translator", __doc__, seeds=3, steps=None, pairs=None, test=1000)
    options.add_argument("--ship", action="store_true", help="train and save the course's translator instead")
    options.add_argument("--folder", type=Path, default=hub.WEIGHTS / "translator", help="where that goes")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    test = seq2seq.sentences(a.test, split="test")
    if a.ship:
        steps, pairs = a.steps or SHIPPED_STEPS, a.pairs or SHIPPED_PAIRS
        model, data, figures = train(SHIPPED, 0, steps, pairs, test, muon_lr=0)  # AdamW alone
        seq2seq.save(model, data, a.folder)
        write_sums(a.folder, seq2seq.FILES)
        exact = ", ".join(f"{value:.1%}" for value in figures.pop("exact"))
        card = CARD.format(**figures, exact=exact, steps=steps, test=a.test, numbers=2 * SHIPPED["n_hidden"])
        write_atomically(a.folder / "README.md", card)
        return
    record = {"command": a.command, "models": {}}
    record["words"] = [len(test[group[-1]][0].split()) for group in seq2seq.quarters(test)]
    for name, settings in MODELS.items():
        runs = [train(settings, s, a.steps or STEPS, a.pairs or PAIRS, test)[2] for s in range(a.seeds)]
        exact = [run["exact"] for run in runs]
        record["models"][name] = {"exact": exact, "parameters": runs[0]["parameters"]}
        common.save(a.record, record)


if __name__ == "__main__":
    main()
