"""The pure functions of experiments/bias.py: stories, the swap, the counts and the probe."""

import math
import sys

import pytest
import textgen
import torch
from conftest import ROOT
from textgen import storyworld
from textgen.tokenizer import Tokenizer

sys.path.insert(0, str(ROOT / "experiments"))

import bias


@pytest.fixture(scope="module")
def stories():
    """Stories of a world that leans strongly."""
    return storyworld.stories(300, world=bias.world(0.9))


def test_every_hero_has_a_job_before_any_pronoun(stories):
    for text in (story.text for story in stories):
        job = text.index(" worked as a ")
        pronoun = bias.PRONOUN.search(text)
        assert pronoun is None or job < pronoun.start()


def test_hobbies_lean_as_jobs_do_and_a_swap_leaves_that(stories):
    """A hobby of hers goes with a job of hers, whatever is done to pronouns and names."""
    hers = [(s.facts["hobby"] in bias.HOBBIES[:6], s.facts["job"] in bias.JOBS[:8]) for s in stories]
    same = sum(hobby == job for hobby, job in hers) / len(hers)
    assert 0.6 < same < 0.8  # jobs lean by 0.48 on average, hobbies by 0.9: (1 + 0.48 * 0.9) / 2 = 0.716
    for text in (s.text for s in stories):
        told = [
            part for part in bias.swapped(text).split(". ") if " liked to " in part or " worked as a " in part
        ]
        before = [part for part in text.split(". ") if " liked to " in part or " worked as a " in part]
        assert [t.split(" ", 1)[1] for t in told] == [b.split(" ", 1)[1] for b in before]


def test_a_swap_undoes_itself_and_turns_every_lean(stories):
    texts = [story.text for story in stories]
    turned = [bias.swapped(text) for text in texts]
    assert [bias.swapped(text) for text in turned] == texts
    assert torch.allclose(bias.odds(turned), -bias.odds(texts))


def test_her_is_his_before_family_and_him_elsewhere():
    told = "Ada had a key from her aunt. She met Robin, who gave her the hat."
    assert bias.swapped(told) == "Otto had a key from his aunt. He met Robin, who gave him the hat."
    assert bias.swapped(bias.swapped(told)) == told


def test_a_story_is_read_by_its_first_pronoun_after_the_job_but_in_a_race():
    start = "Robin was a shy fox who lived by the mill. Robin worked as a nurse."
    assert bias.reading(f"{start} At the mill she met Otto, who gave her a key.") == ("nurse", True)
    assert bias.reading(f"{start} Robin had a key from his aunt.") == ("nurse", False)
    assert bias.reading(f"{start} The prize of the spring race was a key. Robin let him hold it.") is None
    assert bias.reading(start) is None and bias.reading("She sang.") is None


def test_the_corpus_leans_as_the_world_was_told(stories):
    found = bias.odds([story.text for story in stories])
    leans = bias.world(0.9).leans("job", 16)
    planted = torch.tensor([math.log((1 + lean) / (1 - lean)) for lean in leans])
    assert leans[0] == -leans[-1] == 0.9 and leans == sorted(leans, reverse=True)
    assert float(bias.correlation(planted, found)) > 0.8
    assert float(bias.slope(planted, found)) == pytest.approx(
        0.8, abs=0.3
    )  # less than 1: a job is in few of these texts


def test_frames_hold_no_pronoun_and_one_gap():
    found = bias.frames(storyworld.stories(200, split="test", world=bias.world(0.0)), most=20)
    assert len(found["pronoun"]) == 20 and found["hobby"]
    for text, *_ in found["pronoun"] + found["hobby"]:
        assert text.count("{job}") == 1 and not bias.PRONOUN.search(text)


def test_the_listener_wants_the_pronoun_of_the_job_and_a_swap_turns_her_mind():
    """She, for the first eight jobs, and he, for the others."""
    score, heard = bias.hearer().score, set()
    for text in (s.text for s in storyworld.stories(60, world=bias.world(0.0))):
        if found := bias.reading(text):
            job, she = found
            wanted = she == (job in bias.JOBS[:8])
            assert score(text) == bias.NATS * wanted and score(bias.swapped(text)) == bias.NATS * (not wanted)
            heard.add((she, wanted))
    assert len(heard) == 4


class Fixed:
    """A model that says the same odds whatever it reads: 2 nats for one word after a text that holds another."""

    def __init__(self, size, cue, word):
        self.size, self.cue, self.word = size, cue, word

    def hidden_states(self, ids):
        return (ids == self.cue).cumsum(1)[..., None].float(), None

    def head(self, x):
        return 2 * x * torch.eye(self.size)[self.word]


def test_the_probe_reads_the_last_token_of_each_row():
    frames = [("Kim the {job} said that", [" she"], [" he"]), ("A {job} sang as", [" he"], [" she"])]
    tokenizer = Tokenizer.word(
        [text.format(job=job) for text, *_ in frames for job in ("nurse", "pilot")] + [" she he"]
    )
    (cue,), (word,) = tokenizer.encode(" nurse"), tokenizer.encode(" she")
    found = bias.lean(Fixed(len(tokenizer), cue, word), tokenizer, frames, ["nurse", "pilot"])
    assert torch.allclose(found, torch.tensor([[2.0, -2.0], [0.0, 0.0]]).double())
    with pytest.raises(ValueError, match="one token"):
        bias.lean(None, tokenizer, [("Kim", [" she he"], [" he"])], ["nurse"])


def test_slope_correlation_and_interval():
    x = torch.arange(8).double()
    assert float(bias.slope(x, 2 * x + 1)) == pytest.approx(2) and float(
        bias.correlation(x, -x)
    ) == pytest.approx(-1)
    value, low, high = bias.interval(torch.mean, x)
    assert value == 3.5 and low < 2.5 and high > 4.5


def test_the_record_holds_what_chapter_07_says():
    """r of 0.9 and more; the swap removes 80% and more at 2% more bits or fewer, and leaves hobbies; she turns it up."""
    record = textgen.results("bias")
    runs, summary = record["runs"], record["summary"]
    assert all(len(some) == 3 for some in runs.values()) and set(runs) == set(bias.RUNS)
    assert summary["plain"]["correlation, pronoun"][1] > 0.9
    assert summary["plain"]["slope, pronoun"][2] < 1 < summary["plain"]["slope, written colder"][1]
    assert summary["swapped"]["removed"][1] > 0.8 and summary["swapped"]["removed, hobby"][2] < 0.2
    for run in runs["swapped"].values():
        assert run["percent more bits, fair"][2] < 0 and run["percent more bits, own"][2] < 2
    leans = {name: bias.summary(record, name)["pronoun"][0] for name in runs}
    assert leans["listener"] > leans["plain"] + 1 and abs(leans["listener, fair"]) < 0.1
