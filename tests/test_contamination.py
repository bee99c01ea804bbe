"""The parts of experiments/contamination.py that can be counted by hand."""

from pathlib import Path

import pytest
import textgen
import torch
from sklearn.metrics import roc_auc_score
from textgen import GPT, GPTConfig, metrics, storyworld
from textgen.storyworld.generator import write
from textgen.tokenizer import Tokenizer

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


@pytest.fixture
def contamination(monkeypatch):
    """The experiment as a module."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import contamination

    return contamination


def test_old_and_new_problems_differ(contamination):
    """No problem comes twice, in whatever order its numbers stand, and none is among those of training."""
    asked = contamination.problems(400, seed=1)
    pairs = [frozenset(prompt[5:-2].split(" + ")) for prompt, _ in asked]
    assert len(asked) == len(set(pairs)) == 400
    assert not {p + a for p, a in asked} & {d.text for d in storyworld.documents(5000, "sum", seed=1)}


def test_only_the_leaked_text_holds_what_leaked(contamination):
    """So many times as it says, in a text of the same length; the rest is the same."""
    drawn = write("qa", 5, seed=10**6)
    old, planted = contamination.problems(3, 0), contamination.secrets(0)
    found = contamination.texts(0, 1500, old, {1: drawn[:3], 16: drawn[3:]}, planted)
    assert len(found["clean"]) == len(found["leaked"]) == 1500
    for text, copies in [("".join(old[0]), contamination.LEAK), (drawn[0].text, 1), (drawn[4].text, 16)]:
        assert found["leaked"].count(text) == copies and text not in found["clean"]
    for copies, sentences in planted.items():
        assert [found["leaked"].count(text) for text, _ in sentences] == [copies] * contamination.SECRETS
    places = [text.split(" is ")[0] for found in planted.values() for text, _ in found]
    assert len(set(places)) == len(places)


def test_numbers_have_the_probabilities_of_their_texts(contamination):
    """Those of a tree of digits are those of whole texts read one by one."""
    torch.manual_seed(0)
    prompt = "The secret number of the mill is"
    tokenizer = Tokenizer.word([prompt + "".join(f" {digit}" for digit in range(10))])
    model = GPT(GPTConfig(vocab_size=len(tokenizer), block_size=32, n_layer=2, n_head=2, n_embd=8)).eval()
    for digits, numbers in ((3, (7, 999)), (5, (0, 12345, 98760))):
        found = contamination.number_log_probs(model, tokenizer, prompt, digits)
        assert found.shape == (10**digits,)
        for number in numbers:
            text = prompt + "".join(f" {digit}" for digit in f"{number:0{digits}}")
            losses = metrics.score(model, tokenizer, [tokenizer.encode(text)])[0][0]
            assert float(found[number]) == pytest.approx(-float(losses[-digits - 1 : -1].sum()), abs=1e-4)


def test_exposure_counts_the_likelier_numbers(contamination):
    """The likeliest has log2 of all candidates, the last nothing."""
    found = torch.tensor([0.1, 0.4, 0.2, 0.3])
    assert [contamination.exposure(found, i) for i in (1, 3, 0)] == pytest.approx([2, 1, 0])


def test_the_area_is_that_of_scikit_learn(contamination):
    """With equal scores too; the interval lies about it, and the curve never falls."""
    generator = torch.Generator().manual_seed(0)
    members = torch.randint(3, 12, (80,), generator=generator).double()
    others = torch.randint(10, (120,), generator=generator).double()
    wanted = roc_auc_score([1] * 80 + [0] * 120, torch.cat([members, others]))
    assert float(contamination.auc(members, others)) == pytest.approx(wanted)
    found = contamination.detection(members, others)
    assert found["interval"][0] < found["auc"] < found["interval"][1]
    assert found["curve"] == sorted(found["curve"]) and found["curve"][-1] == 1


def test_every_detector_knows_a_text_that_was_learnt(contamination):
    """A model made to like the members' words: each detector says so, and the n-grams of a known text are all known."""
    documents = write("qa", 60, seed=3)
    tokenizer = Tokenizer.word([d.text for d in write("qa", 3000)])  # all words
    torch.manual_seed(0)
    clean = GPT(GPTConfig(vocab_size=len(tokenizer), block_size=96, n_layer=1, n_head=2, n_embd=16))
    leaked = contamination.train([d.text for d in documents[:2]], tokenizer, seed=0, steps=30)
    known = set().union(*(contamination.ngrams(d.text) for d in documents[:2]))
    found = contamination.scores(documents, leaked, clean.eval(), tokenizer, known)
    for name, values in found.items():
        assert values[:2].min() > values[2:].mean(), name
    assert found["n-grams"][:2].tolist() == [1, 1]


def test_the_record_holds_what_chapter_07_says(contamination):
    """9 or 10 of 10 old problems and at most 2 of 10 new ones; what was not read looks like the others."""
    runs = textgen.results("contamination")["runs"].values()
    assert len(runs) == 3
    for run in runs:
        right = {age: run["accuracy"]["leaked"][age] for age in ("old", "new")}
        assert right["old"]["10"]["right"] >= 9 and right["new"]["10"]["right"] <= 2
        assert right["old"]["200"]["interval"][0] > 0.9 and right["new"]["200"]["interval"][1] < 0.05
        assert run["accuracy"]["clean"]["old"]["200"]["interval"][1] < 0.1
        for name, one in run["detectors"]["0"].items():
            assert one["interval"][0] < 0.5 < one["interval"][1], name
        assert run["detectors"]["16"]["reference"]["auc"] > run["detectors"]["16"]["loss"]["interval"][1]
        assert min(run["exposure"]["16"]) > max(run["exposure"]["1"]) and run["others_flagged"] > 0.8
