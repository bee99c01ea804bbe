"""The worlds of experiments/unseen.py: each differs from that of training in one thing, and its entropy is exact."""

import json
import re
from pathlib import Path

import pytest
import textgen
import torch
from conftest import ROOT
from textgen import Bigram, BigramConfig, storyworld
from textgen.tokenizer import Tokenizer

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


@pytest.fixture
def unseen(monkeypatch):
    """The experiment as a module."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import unseen

    return unseen


def words(stories):
    """Every word of these stories."""
    return {word for story in stories for word in re.findall(r"\w+", story.text)}


def test_the_bits_of_every_world_are_exact(unseen):
    """The recogniser reads each story back with the bits it was written with; no other world could have written it."""
    worlds = unseen.worlds()
    for name, world in worlds.items():
        for story in storyworld.stories(40, split="test", world=world):
            assert storyworld.recognise(story.text, world=world).bits == pytest.approx(story.bits), story.text
            assert "  " not in story.text
            if name != unseen.HOME:
                assert storyworld.recognise(story.text, world=worlds[unseen.HOME]).bits is None, story.text


def test_the_pairs_are_held_out_and_their_words_are_not(unseen):
    """A fifth of the pairs; every colour and every object stays in both worlds."""
    worlds = unseen.worlds()
    home, other = worlds[unseen.HOME].pairs, worlds["colour and object"].pairs
    assert (len(home), len(other)) == (192, 48) and not home & other
    for side in (0, 1):
        assert {pair[side] for pair in home} == {pair[side] for pair in other}


def test_only_the_names_are_new_words(unseen):
    """The other worlds say what was said in training, in another order or number."""
    worlds = unseen.worlds()
    known = words(storyworld.stories(6000, world=worlds[unseen.HOME]))
    for name, world in worlds.items():
        new = words(storyworld.stories(400, split="test", world=world)) - known
        assert new == ({name.split("/")[0] for name in unseen.NAMES.split()} if name == "names" else set())


def test_the_same_sentences_stand_in_another_order(unseen):
    """Retold, a story begins with its plot; a longer one tells two."""
    worlds = unseen.worlds()
    plots = {storyworld.stories(1, seed, world=worlds["order"])[0].facts["plot"] for seed in range(60)}
    assert plots == set(unseen.PLOTS)
    for story in storyworld.stories(60, world=worlds["order"]):
        first = story.text.split(". ")[0]
        assert not re.search("Once there was|lived|^[A-Z][a-z]+ was", first), first
    lengths = {name: [len(s.text) for s in storyworld.stories(60, world=worlds[name])] for name in worlds}
    assert min(lengths["longer"]) > max(lengths[unseen.HOME])


def test_the_excess_is_what_the_model_pays_above_the_truth(unseen):
    """A model that knows nothing pays the log of its vocabulary for each token; the truth is subtracted."""
    stories = storyworld.stories(30, split="test", world=unseen.worlds()[unseen.HOME])
    tokenizer = Tokenizer.word([story.text for story in stories])
    found = unseen.measure(Bigram(BigramConfig(vocab_size=len(tokenizer))), tokenizer, stories)
    tokens = sum(len(ids) + 1 for ids in tokenizer.encode_batch([story.text for story in stories]))
    bits = tokens * float(torch.tensor(len(tokenizer)).log2())
    characters, true = sum(len(s.text) + 1 for s in stories), sum(s.bits for s in stories)
    assert found["bits"] == pytest.approx(bits / characters, abs=1e-4)
    assert found["excess"] == pytest.approx((bits - true) / characters, abs=1e-4)
    assert found["ratio"] == pytest.approx(bits / true, abs=1e-3)
    assert found["interval"][0] < found["excess"] < found["interval"][1]
    repeated = sum(len({(m.start, m.end) for m in story.mentions}) for story in stories)
    assert found["repeats"] == pytest.approx(bits / tokens * repeated / characters, rel=1e-3)


def test_the_record_holds_what_chapter_07_says(unseen):
    """The best model at home is the worst in three worlds, and would not be had it been trained there."""
    record = textgen.results("unseen")
    models, worlds = record["models"], list(record["worlds"])
    assert set(models) == set(unseen.RUNGS) and all(len(runs) == 3 for runs in models.values())

    def ends(rung, world):
        found = [run[world]["interval"] for run in models[rung].values()]
        return min(low for low, _ in found), max(high for _, high in found)

    assert ends("GPT", unseen.HOME)[1] < ends("LSTM", unseen.HOME)[0]
    for world in ("longer", "second grammar"):
        assert ends("GPT", world)[0] > max(ends("LSTM", world)[1], ends("WindowMLP", world)[1])
    assert ends("GPT", "colour and object")[1] < 0.04
    assert all(record["controls"][world]["0"][world]["excess"] < 0.02 for world in worlds[1:])
    assert all(run["names"]["recall"]["name"] == 0 for runs in models.values() for run in runs.values())


def test_the_pages_true_bits_add_up_to_those_of_the_whole_story():
    """A word may be read in several choices of the grammar, of which one can begin as another does."""
    cells = json.loads((ROOT / "book/07-unseen.ipynb").read_text(encoding="utf-8"))["cells"]
    page = {}
    for cell in cells:
        if cell["id"] in ("unseen-03", "unseen-05", "unseen-07"):
            exec("".join(cell["source"]), page)  # noqa: S102 (the book's own code)
    for world in page["WORLDS"].values():
        for story in storyworld.stories(3, split="test", world=world):
            read = [(story.text[: m.start()], m[0]) for m in re.finditer(r" ?\S+", story.text)]
            bits = sum(page["true_bits"](*one, world) for one in read)
            assert bits == pytest.approx(storyworld.recognise(story.text, world=world).bits)
