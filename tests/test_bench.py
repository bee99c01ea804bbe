"""`make bench` at a tiny size: who runs when, what stays on record, and what a run says. No time is asserted."""

import itertools
import json
import subprocess
import sys

import pytest
from conftest import ROOT
from textgen import corpus, optimizers

sys.path.insert(0, str(ROOT / "bench"))

import cost
import cpu
import learning
import pairs
import rows

PEER = """
from dataclasses import dataclass
import textgen
import torch

@dataclass
class GPTConfig:
    block_size: int = 1024
    vocab_size: int = 50304
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.1
    bias: bool = True

class GPT(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        print("number of parameters: many")
        shape = {name: getattr(config, name) for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd")}
        self.inner = textgen.GPT(textgen.GPTConfig(**shape))

    def forward(self, idx, targets=None):
        return self.inner(idx.view(-1, idx.size(1)), targets)

    def configure_optimizers(self, weight_decay, learning_rate, betas, device_type):
        return torch.optim.AdamW(self.parameters(), learning_rate, betas=betas, weight_decay=weight_decay)

    def generate(self, idx, max_new_tokens, temperature=1.0):
        for _ in range(max_new_tokens):
            chances = self.inner(idx)[0][:, -1].softmax(-1)
            idx = torch.cat([idx, torch.multinomial(chances, 1)], 1)
        return idx
"""
SMALL = {"block_size": 64, "n_layer": 1, "n_head": 2, "n_embd": 8}
TINY = {
    "rounds": 2,
    "text": 20_000,
    "train": {"nanoGPT's size": (SMALL, 2, 2)},
    "generate": {1: 2, 3: 2},
    "new_tokens": 4,
    "loss": {
        "rounds": 2,
        "recipe_size": {"steps": 4, "batch_size": 2},
        "our_size": {"steps": 4, "batch_size": 2},
    },
    "shapes": [(1, 8)],
    "blocks": [16],
    "tokens": 64,
    "megabytes": [0.003],
    "tried": ["32 rows a step, as many tokens", "3 Newton-Schulz steps, not 5", "bfloat16 by autocast"],
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(learning, "SHAPE", SMALL)
    monkeypatch.setattr(learning, "WINDOWS", 5)


@pytest.fixture
def peer(tmp_path):
    path = tmp_path / "peer.py"
    path.write_text(PEER)
    return path


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("The cat sat on the mat, and the dog ran to the cat. " * 60)
    return path


@pytest.fixture
def bench(tmp_path, capsys):
    """Return a function that runs the bench at a tiny size: the record, and what was said."""

    def run(*arguments):
        path = tmp_path / "bench.json"
        cpu.main(["--record", str(path), "--threads", "1", *map(str, arguments)], TINY)
        return json.loads(path.read_text()), capsys.readouterr().out

    run.path = tmp_path / "bench.json"
    return run


def test_sides_run_in_turns_after_one_round_to_warm_up():
    called = []
    sides = {name: lambda name=name: called.append(name) or float(len(called)) for name in "AB"}
    found = pairs.turns(sides, 3, say=lambda *_, **__: None)
    assert "".join(called) == "AB" + "ABABAB"
    assert found == {"A": [3.0, 5.0, 7.0], "B": [4.0, 6.0, 8.0]}


def test_a_ratio_is_the_median_of_the_rounds_with_its_spread():
    pair = rows.row("tokens per second", [30.0, 20.0, 44.0], [10.0, 20.0, 22.0])
    assert (pair["ratio"], pair["spread"]) == (2.0, [1.0, 3.0])
    assert rows.line("A beside B", pair) == "A beside B: 2.00 times as fast (1.00 to 3.00), 0.50 of the time"
    pair = rows.row("seconds", [10.0, 20.0, None], [30.0, 80.0, 30.0])
    assert (pair["ratio"], pair["spread"], pair["ours"][2]) == (3.0, [0.0, 4.0], None)
    assert rows.line("A", rows.row("seconds", [None], [30.0])) == "A: not reached"


def test_training_and_writing_beside_both_peers(bench, peer):
    record, said = bench("--only", "train", "generate", "--nanogpt", peer)
    peers = ["beside Hugging Face", "beside nanoGPT", "Muon beside AdamW"]
    wanted = [f"training, nanoGPT's size, {name}" for name in peers]
    wanted += ["writing, 1 text at once, beside Hugging Face", "writing, 1 text at once, beside nanoGPT"]
    wanted += ["writing, 3 texts at once, beside Hugging Face"]
    assert list(record["pairs"]) == wanted
    for name, pair in record["pairs"].items():
        assert len(pair["ours"]) == len(pair["theirs"]) == 2 and min(pair["ours"] + pair["theirs"]) > 0
        assert pair["spread"][0] <= pair["ratio"] <= pair["spread"][1]
        assert "cores, torch" in pair["on"]
        assert f"{name}: {pair['ratio']:.2f} times as fast (" in said
    order = [line.split(":")[0].strip() for line in said.splitlines() if line.startswith("  round")]
    sides = ["the course", "the course with Muon", "Hugging Face", "nanoGPT"]
    assert order[:8] == [f"round {number}, {side}" for number in (1, 2) for side in sides]
    assert "number of parameters" not in said and str(peer) not in json.dumps(record)
    (share,) = record["products"].values()
    assert 0 < share < 1


def test_nanogpt_has_the_courses_biases_where_speeds_are_compared(peer, text, monkeypatch):
    """One configuration for all sides; its recipe, in the race, is as it was published."""
    from textgen import corpus

    asked, module = [], pairs.load_peer(peer)
    config = module.GPTConfig
    monkeypatch.setattr(module, "GPTConfig", lambda **given: asked.append(given) or config(**given))
    data = corpus.text_file(text)
    pairs.training_sides(data, SMALL, 2, 2, module)
    learning.recipe(module, data, learning.HeldOut(data), 0, steps=2, batch_size=2)
    assert [given["bias"] for given in asked] == [True, False]
    assert all(given["dropout"] == 0 for given in asked)


def test_the_race_to_equal_loss(bench, peer, text):
    record, said = bench("--only", "loss", "--nanogpt", peer, "--text", text)
    runs = record["loss"]["runs"]
    assert [len(some) for some in runs.values()] == [2, 2] and record["loss"][
        "text"
    ] == "a text of the reader's"
    for run in itertools.chain(*runs.values()):
        assert run["curve"][-1][0] == 4 and run["loss"] == run["curve"][-1][2] > 0
        assert run["curve"] == sorted(run["curve"])
    pair = record["pairs"]["time to equal loss, beside nanoGPT"]
    for mine, theirs, until in zip(runs["the course"], runs["nanoGPT"], pair["ours"], strict=True):
        reached = [seconds for _, seconds, loss in mine["curve"] if loss <= theirs["loss"]]
        assert until == (reached[0] if reached else None)
    assert said.count("round 2, nanoGPT") == 1


def test_both_models_are_judged_on_the_same_characters(text):
    from textgen import corpus

    data = corpus.text_file(text)
    seen = []

    class Reader(pairs.nn.Module):
        def forward(self, ids, targets):
            seen.append((ids, targets))
            return None, pairs.torch.tensor(1.5)

    held_out = learning.HeldOut(data)
    assert held_out.loss(Reader(), start=True) == held_out.loss(Reader(), start=False) == 1.5
    (ours, our_targets), (theirs, their_targets) = seen
    assert (ours[:, 0] == data.tokenizer.bos).all() and (our_targets[:, 0] == -100).all()
    assert (ours[:, 1:] == theirs).all() and (our_targets[:, 1:] == their_targets).all()
    assert (theirs[:, 1:] == their_targets[:, :-1]).all()
    shown = data.tokenizer.decode(theirs[0].tolist())
    assert shown in data.texts["valid"][0] and len(shown) == 63


def test_the_recipes_learning_rate_is_nanogpts():
    rates = [learning.cosine(step, 2000) for step in (0, 99, 100, 1050, 1999)]
    assert rates == pytest.approx([1e-3 / 101, 1e-3 * 100 / 101, 1e-3, 5.5e-4, 1e-4], rel=1e-3)


def test_what_was_tried_stands_beside_the_default(bench, text):
    record, _ = bench("--tried", "--text", text)
    trials = record["tried"]["trials"]
    assert list(trials) == TINY["tried"]
    default, trial = trials["3 Newton-Schulz steps, not 5"].values()
    assert default["loss"] != trial["loss"], "the trial did not change the training"
    again, _ = bench("--only", "gpu")
    assert again["tried"] == record["tried"]


def test_bfloat16_reaches_the_training(text):
    """It changes a loss less than a record's four digits tell."""
    data = corpus.text_file(text)
    held_out, (_, (autocast,)) = learning.HeldOut(data), learning.trials(1)["bfloat16 by autocast"]
    plain = learning.ours(data, held_out, 0, steps=4, batch_size=2)
    with autocast:
        rounded = learning.ours(data, held_out, 0, steps=4, batch_size=2)
    assert rounded.curve[-1][2] != plain.curve[-1][2]


def test_every_trial_changes_something_and_leaves_no_trace():
    before = (optimizers.TURNS, pairs.F.gelu, pairs.torch.get_num_threads())
    found = learning.trials(1, {"steps": 4, "batch_size": 2})
    for name, (settings, around) in found.items():
        assert settings or around, name
        for one in around:
            with one:
                pass
    assert before == (
        optimizers.TURNS,
        pairs.F.gelu,
        pairs.torch.get_num_threads(),
    )


def test_a_trial_that_cannot_run_says_why(bench, text, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no C++ compiler\nand more")

    monkeypatch.setattr(learning, "ours", fail)
    record, _ = bench("--tried", "--text", text)
    assert record["tried"]["trials"]["bfloat16 by autocast"] == {"failed": "RuntimeError: no C++ compiler"}


def test_costs_are_measured_in_processes_of_their_own(bench):
    record, _ = bench("--only", "costs")
    (small,), (block,), texts = (record["costs"][name] for name in ("parameters", "block", "text"))
    assert small["parameters"] > 10_000 and block["block_size"] == 16
    assert [text["tokenizer"] for text in texts] == ["char", "word", "bpe"] and texts[0]["characters"] == 3000
    assert all(one["seconds"] > 0 and one["megabytes"] >= 0 for one in (small, block, *texts))


def test_a_text_is_read_at_every_length_with_every_tokenizer(capsys):
    import text_file

    text_file.main(["--megabytes", "0.02", "0.04", "--tokenizers", "char", "--kinds", "stories", "word"])
    *_, record = said = capsys.readouterr().out.splitlines()
    found = json.loads(record)["text_file"]
    assert [(one["kind"], one["characters"]) for one in found] == [
        (kind, n) for kind in ("stories", "word") for n in (20_000, 40_000)
    ]
    assert all(one["seconds"] > 0 and one["megabytes"] >= 0 for one in found)
    head = next(i for i, line in enumerate(said) if line.startswith("text "))
    assert [line.split()[:3] for line in said[head + 1 : head + 5]] == [
        [kind, "char", size] for kind in ("stories", "word") for size in ("0.02", "0.04")
    ]


def test_peak_memory_is_what_was_in_use_at_once():
    import numpy as np

    cost.forget_peak()
    before = cost.peak()
    np.ones(20_000_000)  # freed at once
    assert 150e6 < cost.peak() - before < 250e6


def test_a_regression_is_shown(bench):
    record, said = bench("--only", "generate")
    assert "WORSE" not in said
    name = "writing, 1 text at once, beside Hugging Face"
    record["pairs"][name] |= {"ratio": 1e6, "on": "a faster machine"}
    record["pairs"]["writing, 3 texts at once, beside Hugging Face"]["ratio"] = 1e-6
    bench.path.write_text(json.dumps(record))
    now, said = bench("--only", "generate")
    (line,) = [line for line in said.splitlines() if "WORSE" in line]
    assert line == (
        f"OVER 25% WORSE: {name}: {now['pairs'][name]['ratio']:.2f} times as fast now, 1000000.00 on record; "
        "the record is of another machine, a faster machine"
    )


def test_a_quarter_worse_is_not_yet_over():
    old, new = {"A": {"ratio": 1.25, "on": ""}}, {"A": {"ratio": 1.0, "on": ""}}
    assert not list(rows.regressions(old, new))
    assert list(rows.regressions(old, {"A": {"ratio": 0.99, "on": ""}}))
    assert not list(rows.regressions({}, new))


def test_rows_that_need_an_option_stay_as_recorded(bench, peer, text):
    first, _ = bench("--only", "train", "loss", "--nanogpt", peer, "--text", text)
    second, said = bench("--only", "train", "loss")
    names = ["training, nanoGPT's size, beside nanoGPT", "time to equal loss, beside nanoGPT"]
    for name in names:
        assert second["pairs"][name] == first["pairs"][name]
    assert second["loss"] == first["loss"]
    needs = "kept from the record; measuring it needs --nanogpt PATH"
    assert f"{names[0]}: {needs}\n" in said and f"{names[1]}: {needs} and --text FILE\n" in said
    own = "training, nanoGPT's size, beside Hugging Face"
    assert f"{own}: kept" not in said and second["pairs"][own]["ours"] != first["pairs"][own]["ours"]


def test_what_cannot_run_here_is_taken_from_its_own_record(bench, monkeypatch, tmp_path):
    import build

    monkeypatch.setattr(build, "CACHE", tmp_path / "none")
    record, said = bench("--only", "live", "gpu", "pages")
    assert record["live"] == json.loads((ROOT / "bench/live/results.json").read_text())
    assert record["gpu"]["speed"] == json.loads((ROOT / "bench/gpu.json").read_text())["speed"]
    assert "pages" not in record and "There is no built book here" in said


def test_seconds_of_pages_come_from_the_last_build(bench, monkeypatch, tmp_path):
    import build
    import nbformat
    from jupyter_cache.cache.main import CacheBundleIn

    page = build.notebooks()[-1]
    cache = build.get_cache(tmp_path / "cache")
    for path, seconds in ((page, 12.34), (tmp_path / "gone.ipynb", 5.0)):
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(path.stem, execution_count=1)])
        bundle = CacheBundleIn(nb, str(path), data={"execution_seconds": seconds})
        cache.cache_notebook_bundle(bundle, check_validity=False)
    monkeypatch.setattr(build, "CACHE", tmp_path / "cache")
    record, _ = bench("--only", "pages")
    assert record["pages"]["seconds"] == {page.stem: 12.3}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "there is no file"),
        ("GPT = 1\n", "AttributeError: module 'nanogpt_peer' has no attribute 'GPTConfig'"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("GPT =\n", "SyntaxError: invalid syntax"),
    ],
)
def test_a_path_that_is_no_nanogpt_is_one_sentence(bench, tmp_path, content, why):
    path = tmp_path / "model.py"
    if content:
        path.write_text(content)
    with pytest.raises(SystemExit) as stopped:
        bench("--nanogpt", path)
    said = str(stopped.value)
    assert said.startswith("--nanogpt must be a Python file that defines GPT and GPTConfig") and why in said
    assert "\n" not in said and not bench.path.exists()


def test_a_text_that_cannot_be_read_is_one_sentence(bench, tmp_path):
    with pytest.raises(SystemExit, match=r"^--text: .* does not exist: give the path of a text file\.$"):
        bench("--text", tmp_path / "none.txt")
    with pytest.raises(SystemExit, match="^--tried needs --text FILE, the text to learn"):
        bench("--tried")


def test_make_passes_its_variables_on():
    command = [
        "make",
        "--no-print-directory",
        "-n",
        "bench",
        "NANOGPT=a b.py",
        "TEXT=t.txt",
        "ONLY=train loss",
        "TRIED=1",
    ]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (last,) = [line for line in said.splitlines() if "bench/cpu.py" in line]
    assert last.endswith(
        'bench/cpu.py --nanogpt "a b.py" --text "t.txt" --only train loss --tried --threads 1'
    )
    bare = subprocess.run(
        ["make", "--no-print-directory", "-n", "bench"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert bare.rstrip().endswith("bench/cpu.py")


def test_the_record_holds_what_the_page_shows():
    record = json.loads((ROOT / "book/textgen/results/bench.json").read_text())
    assert {"pairs", "loss", "costs", "pages", "live", "gpu", "tried", "command"} <= set(record)
    assert "/work" not in json.dumps(record) and "/tmp" not in json.dumps(record)
