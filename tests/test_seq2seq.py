"""The translator: it learns, it does not see padding or the future, with attention and without, and it is kept whole."""

import json
import subprocess
import sys
from itertools import pairwise

import pytest
import textgen
import torch
from conftest import ROOT
from textgen import hub, seq2seq
from textgen.files import write_sums
from textgen.seq2seq import Pairs, Translator, TranslatorConfig


@pytest.fixture(scope="module")
def pairs():
    return seq2seq.sentences(3000)


@pytest.fixture(scope="module")
def data(pairs):
    return Pairs(pairs, pairs[:50])


@pytest.fixture(params=[False, True], ids=["plain", "attention"])
def model(request, data):
    torch.manual_seed(0)
    config = TranslatorConfig(len(data.english), len(data.spanish), 16, 24, attention=request.param)
    return Translator(config).eval()


@pytest.mark.parametrize("use", ["textgen.seq2seq.sentences(1)", 'textgen.morse.keying("FOX")'])
def test_a_bare_import_of_the_package_is_enough(use):
    script = f"import textgen; assert {use}"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT / "book", check=True)


def test_sentences_are_pairs_that_no_two_splits_share(pairs):
    assert len(pairs) == 3000 and all(en.endswith(".") and es.endswith(".") for en, es in pairs)
    assert not any("English" in en or "Spanish" in en for en, _ in pairs)
    test = seq2seq.sentences(500, split="test")
    assert not {en for en, _ in pairs} & {en for en, _ in test}
    assert test == seq2seq.sentences(500, split="test") != seq2seq.sentences(500, seed=1, split="test")


def test_quarters_are_of_one_size_and_go_by_length(pairs):
    groups = seq2seq.quarters(pairs)
    assert [len(group) for group in groups] == [750] * 4
    assert sorted(i for group in groups for i in group) == list(range(3000))
    lengths = [[len(pairs[i][0].split()) for i in group] for group in groups]
    assert all(max(a) <= min(b) for a, b in pairwise(lengths))


def test_a_batch_holds_what_the_loop_needs(data, pairs):
    source, ids, targets = data.batch("train", 8, None, torch.Generator().manual_seed(1))
    assert source.shape[0] == ids.shape[0] == 8 and ids.shape == targets.shape
    assert (ids[:, 0] == 0).all() and (source[:, 0] != 0).all()
    for row, target in zip(ids, targets, strict=True):
        n = int((target >= 0).sum())
        assert target[n - 1] == 0 and (target[: n - 1] == row[1:n]).all()
        spanish = data.spanish.decode(target[: n - 1])
        assert spanish in {es for _, es in pairs}
    assert (source != 0).sum(1).max() == source.shape[1] and (targets >= 0).sum(1).max() == targets.shape[1]


def test_padding_changes_nothing(model, data, pairs):
    together = seq2seq.batch_of(*data.rows(pairs[:6]))
    logits = model(*together)[0]
    for i, pair in enumerate(pairs[:6]):
        alone = seq2seq.batch_of(*data.rows([pair]))
        want = model(*alone)[0][0]
        assert torch.allclose(logits[i, : len(want)], want, atol=1e-5)


def test_the_decoder_does_not_see_the_future(model, data, pairs):
    source, ids, _ = seq2seq.batch_of(*data.rows(pairs[:1]))
    other = ids.clone()
    other[0, 3:] = 5
    assert torch.allclose(model(source, ids)[0][:, :3], model(source, other)[0][:, :3], atol=1e-6)


def test_without_attention_the_state_is_all_that_the_decoder_knows(data, pairs):
    torch.manual_seed(0)
    plain = Translator(TranslatorConfig(len(data.english), len(data.spanish), 16, 24))
    source, ids, _ = seq2seq.batch_of(*data.rows(pairs[:2]))
    memory, state = plain.encode(source)
    assert torch.equal(
        plain.decode(ids, state, memory, source)[0], plain.decode(ids, state, 0 * memory, source)[0]
    )
    assert plain.decode(ids, state, memory, source)[2] is None


def test_attention_is_a_share_of_each_word_and_none_of_padding(data, pairs):
    torch.manual_seed(0)
    model = Translator(TranslatorConfig(len(data.english), len(data.spanish), 16, 24, attention=True))
    source, ids, _ = seq2seq.batch_of(*data.rows(pairs[:6]))
    memory, state = model.encode(source)
    weights = model.decode(ids, state, memory, source)[2]
    assert weights.shape == (6, ids.shape[1], source.shape[1])
    assert torch.allclose(weights.sum(-1), torch.ones(ids.shape), atol=1e-5)
    assert (weights[(source == 0)[:, None].expand_as(weights)] == 0).all()


def test_both_learn_through_fit_and_attention_faster(data, pairs):
    losses = []
    for attention in (False, True):
        torch.manual_seed(0)
        model = Translator(
            TranslatorConfig(len(data.english), len(data.spanish), 32, 48, attention=attention)
        )
        history = textgen.fit(model, data, steps=150, batch_size=32, device="cpu", lr=0.01, eval_rows=32)
        losses.append(history.valid[-1][2])
        assert losses[-1] < 0.7 * history.valid[0][2]
    assert losses[1] < losses[0]


def test_exact_hits_are_what_greedy_translation_gives(data, pairs):
    torch.manual_seed(0)
    model = Translator(TranslatorConfig(len(data.english), len(data.spanish), 32, 64, attention=True))
    textgen.fit(model, data, steps=300, batch_size=32, device="cpu", lr=0.01, eval_rows=32)
    some = pairs[:60]
    hits = seq2seq.exact_hits(model, data, some)
    assert 0.05 < sum(hits) / len(hits) < 1
    greedy = [seq2seq.translate(model, data.english, data.spanish, en) == es for en, es in some]
    assert hits == greedy
    source = data.rows(some)[0]
    assert [
        data.spanish.decode(row) == es for row, (_, es) in zip(model.translate(source), some, strict=True)
    ] == hits


def test_translation_stops_at_the_longest(model, data):
    assert model.translate(torch.tensor([data.english.encode("the cats sleep.")]), longest=3).shape[1] <= 3


@pytest.mark.parametrize(("text", "words"), [("", "empty"), ("the cat reads.", "does not know")])
def test_a_text_that_cannot_be_translated_is_named(model, data, text, words):
    with pytest.raises(ValueError, match=words):
        seq2seq.translate(model, data.english, data.spanish, text)


def test_a_saved_translator_is_the_same(model, data, pairs, tmp_path):
    seq2seq.save(model, data, tmp_path)
    write_sums(tmp_path, seq2seq.FILES)
    again, english, _ = seq2seq.load(tmp_path)
    assert again.config == model.config and not again.training
    assert english.encode(pairs[0][0]) == data.english.encode(pairs[0][0])
    batch = seq2seq.batch_of(*data.rows(pairs[:3]))
    assert torch.equal(again(*batch)[0], model(*batch)[0])
    (tmp_path / "config.json").write_text(json.dumps({"english": 1}))
    with pytest.raises(ValueError, match="altered"):
        seq2seq.load(tmp_path)


def test_a_translator_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        seq2seq.load(tmp_path / "none")


def test_the_shipped_translator_is_good_at_short_sentences_and_small_enough():
    model, english, spanish = seq2seq.load()
    assert model.mix is None
    files = [hub.WEIGHTS / "translator" / name for name in seq2seq.FILES]
    assert sum(file.stat().st_size for file in files) < 2_000_000
    said = seq2seq.translate(model, english, spanish, "the white cow sleeps.")
    assert said == "la vaca blanca duerme."
    assert all(
        name in (hub.WEIGHTS / "translator/README.md").read_text()
        for name in ("python experiments/translator.py --ship", "parameters")
    )
