"""How the shipped model is made, at a tiny scale, and what the shipped folder promises."""

import json
import sys
import warnings

import pytest
import textgen
import torch
from conftest import ROOT
from textgen import corpus, hub, metrics, storyworld
from textgen.page.pack import round_to_int8
from textgen.tokenizer import Tokenizer

sys.path.insert(0, str(ROOT / "experiments"))
import pocket_gpt

FOLDER = hub.WEIGHTS / "pocket-gpt"


def int8_rows(weight):
    """The whole numbers and the scale of each row, read back from rounded weights (N, M)."""
    scale = weight.abs().amax(1, keepdim=True) / 127
    return torch.round(weight / scale), scale


def test_rounding_to_int8_loses_nothing_when_read_back():
    """Rounded once, a matrix is exactly a scale times whole numbers; rounding again changes nothing."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(50, 30), torch.nn.Linear(30, 7))
    before = [p.clone() for p in model.parameters()]
    round_to_int8(model)
    after = [p.clone() for p in model.parameters()]
    for old, new in zip(before, after, strict=True):
        if old.dim() == 1:
            assert torch.equal(old, new)
            continue
        numbers, scale = int8_rows(new)
        assert torch.equal(numbers * scale, new) and numbers.abs().max() == 127
        assert (old - new).abs().max() <= 0.51 * scale.max()
    round_to_int8(model)
    assert all(torch.equal(a, b) for a, b in zip(after, model.parameters(), strict=True))


def test_the_mixture_holds_all_kinds_and_shares_no_text_between_splits():
    """A fifth of the training documents come without the token of their kind; a batch is long or short."""
    train, valid = pocket_gpt.mixture(1000, "train"), pocket_gpt.mixture(300, "valid", untyped=0)
    rows = train["long"] + train["short"]
    assert {d.kind for d in rows} == {*storyworld.KINDS, "bare"}
    assert sum(d.kind == "bare" for d in rows) == pytest.approx(0.2 * len(rows), rel=0.02)
    held_out = valid["long"] + valid["short"]
    assert {d.kind for d in held_out} == set(storyworld.KINDS)
    assert not {d.text for d in rows} & {d.text for d in held_out}
    tokenizer = Tokenizer.bpe([d.text for d in rows], vocab_size=600)
    groups = [corpus.stories(train[group], valid[group], tokenizer) for group in train]
    data = pocket_gpt.Mixture(groups, [len(train["long"]), len(train["short"])], tokenizer)
    generator = torch.Generator().manual_seed(0)
    widths = [data.batch("train", 8, 256, generator)[0].shape[1] for _ in range(40)]
    assert 5 < sum(width > 90 for width in widths) < 35


def test_pretraining_end_to_end(tmp_path, capsys):
    """A few steps of a tiny model give a folder that loads, with the figures of that run beside it."""
    folder = tmp_path / "tiny"
    options = "--documents 300 --steps 3 --batch-size 8 --n-layer 1 --n-embd 32 --vocab-size 400 --measure 10"
    pocket_gpt.main([*options.split(), "--folder", str(folder)])
    model, tokenizer = textgen.load(folder)
    assert model.config.n_layer == 1 and len(tokenizer) == 400
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["parameters"] == model.num_parameters() and figures["ratio"] > 1
    assert "nats per token" in capsys.readouterr().out
    again = pocket_gpt.measure(model, tokenizer, 10)
    assert again == {name: figures[name] for name in again}
    card = (folder / "README.md").read_text()
    assert figures["command"] in card and f"| ratio | {figures['ratio']} |" in card


@pytest.fixture(scope="module")
def pocket():
    """The shipped model."""
    return textgen.load("pocket-gpt")


def test_the_shipped_weights_are_small_and_on_the_int8_grid(pocket):
    """At most 5 MB; every matrix is a scale times whole numbers from -127 to 127."""
    assert (FOLDER / "model.safetensors").stat().st_size <= 5_000_000
    for parameter in pocket[0].parameters():
        if parameter.dim() == 2:
            numbers, scale = int8_rows(parameter)
            assert torch.equal(numbers * scale, parameter)


def test_the_shipped_model_keeps_its_promises(pocket):
    """On held-out texts: the targets of the course, and the figures recorded when it was made."""
    recorded = json.loads((FOLDER / "figures.json").read_text())
    found = pocket_gpt.measure(*pocket, 1000)
    for name, value in found.items():
        assert value == pytest.approx(recorded[name], abs=0.002), name
    assert found["ratio"] <= 1.01 and found["grammatical"] >= 0.78
    assert min(found[f"recall_{kind}"] for kind in ("name", "object", "colour")) >= 0.99
    assert min(found[f"exact_{kind}"] for kind in ("qa", "pair", "code")) >= 0.99


def test_the_pipeline_runs_on_the_shipped_folder(pocket):
    """`transformers` writes what we write, from a bare prompt."""
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        generator = transformers.pipeline("text-generation", model=str(FOLDER), device="cpu")
        prompt = "My name is Ada and I like to"
        theirs = generator(prompt, do_sample=False, max_new_tokens=30, max_length=None)[0]["generated_text"]
    assert theirs == textgen.generate(*pocket, prompt, max_new_tokens=30, temperature=0)


def test_exact_match_is_what_generation_writes(pocket):
    """The measure of the promises, against greedy generation."""
    pairs = [(d.prompt, d.answer) for d in storyworld.documents(40, "pair", split="test")]
    model, tokenizer = pocket
    prefix = "<|pair|>"
    texts = textgen.generate(model, tokenizer, [prefix + p for p, _ in pairs], 60, temperature=0)
    right = sum(text.endswith(p + a) for text, (p, a) in zip(texts, pairs, strict=True)) / len(pairs)
    assert metrics.exact_match(model, tokenizer, pairs, "pair") == right
