"""Loss against size on two texts: Python's manual, and Storyworld, whose entropy is known. Three seeds each.

    python experiments/scaling.py     into book/textgen/results/scaling.json

Chapter 05 fits a power law to four sizes and compares its forecast with larger ones. All sizes read the same tokens
of a text.
"""

import tempfile
from pathlib import Path
from pydoc_data import topics

import common
import textgen
import torch
from textgen import corpus, storyworld
from textgen.tokenizer import Tokenizer

SHAPES = {  # steps, rows a step, widths; the rest of the model's shape
    "manual": (500, 16, (16, 24, 32, 48, 64, 96), {"block_size": 64, "n_layer": 2}),
    "stories": (300, 24, (16, 24, 32, 48, 64), {"block_size": 192, "n_layer": 3}),
}


def manual():
    """The texts of Python's `help`, in byte pairs: the data, the tokenizer and the held-out text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manual.txt"
        path.write_text("\n\n".join(topics.topics.values()), encoding="utf-8")
        data = corpus.text_file(path, tokenizer="bpe")
    return data, data.tokenizer, data.texts["valid"]


def stories(n: int = 20_000):
    """Stories in whole words, as on the ladder: the data, the tokenizer and held-out stories."""
    train = storyworld.stories(n)
    tokenizer = Tokenizer.word([story.text for story in train])
    data = corpus.stories(train, storyworld.stories(50, split="valid"), tokenizer)
    return data, tokenizer, storyworld.stories(250, split="test")


def main(arguments: list[str] | None = None) -> None:
    """Train every size of the texts asked for and write the record."""
    options = common.parser("scaling", __doc__, seeds=3, steps=None, stories=20_000)
    options.add_argument("--texts", nargs="+", default=list(SHAPES), choices=SHAPES)
    options.add_argument("--widths", nargs="+", type=int, help="widths instead of those of the text")
    a = options.parse_args(arguments)
    torch.set_num_threads(1)
    record = common.load(a, "texts")
    for name in a.texts:
        data, tokenizer, test = manual() if name == "manual" else stories(a.stories)
        steps, rows, widths, shape = SHAPES[name]
        steps, sizes = a.steps or steps, {}
        for width in a.widths or widths:
            bits = []
            for seed in range(a.seeds):
                torch.manual_seed(seed)
                config = textgen.GPTConfig(vocab_size=len(tokenizer), n_head=4, n_embd=width, **shape)
                model = textgen.GPT(config)
                # By AdamW alone, with one learning rate for all sizes: Muon's best moves with the width.
                rare = {"eval_every": steps, "eval_rows": rows, "lr": 0.004, "muon_lr": 0}
                history = textgen.fit(model, data, steps=steps, batch_size=rows, seed=seed, **rare)
                bits.append(round(textgen.bits_per_char(model, tokenizer, test), 4))
                print(f"{name}, width {width}, seed {seed}: {bits[-1]}, {history.seconds:.0f} s", flush=True)
            sizes[str(width)] = {"bits_per_char": bits, "parameters": model.num_parameters()}
        record["texts"][name] = {"steps": steps, "tokens": history.tokens, "sizes": sizes}
        if name == "stories":
            record["texts"][name]["entropy"] = round(storyworld.entropy(test), 4)
        common.save(a.record, record)


if __name__ == "__main__":
    main()
