"""The attacks of experiments/attacks.py on a victim whose harm is known exactly."""

import sys

import pytest
import textgen
import torch
from conftest import ROOT
from textgen import storyworld
from textgen.tokenizer import Tokenizer

sys.path.insert(0, str(ROOT / "experiments"))

import attacks


class Linear:
    """Harm is a sum over places, so the first-order estimate is exact. The first two places are protected."""

    def __init__(self, n=20, T=10, V=40, width=6):
        generator = torch.Generator().manual_seed(0)
        self.wte = torch.randn(V, width, generator=generator)
        self.weights = torch.randn(T, width, generator=generator)
        self.ids = torch.randint(V, (n, T), generator=generator)
        self.allowed = torch.arange(V) >= 10
        self.free = (torch.arange(T) >= 2).repeat(n, 1)

    def harm(self, embeddings, rows):
        return (embeddings * self.weights).sum((1, 2)) - 20

    def holds(self, ids, row):
        return row > 0


@pytest.fixture
def victim():
    """Return a fresh one."""
    return Linear()


def test_the_estimate_is_the_change_where_harm_is_linear(victim):
    every = torch.arange(len(victim.ids))
    found = attacks.estimate(victim, victim.ids, every)
    new = victim.ids.clone()
    new[:, 5] = torch.where(new[:, 5] == 15, 16, 15)
    change = attacks.harms(victim, new, every) - attacks.harms(victim, victim.ids, every)
    assert torch.allclose(found[every, 5, new[:, 5]], change, atol=1e-4)
    barred = ~attacks.possible(victim, victim.ids, every)
    assert torch.equal(found == -torch.inf, barred) and barred[:, :2].all() and barred[..., :10].all()


def test_a_guided_swap_is_the_best_there_is_and_a_random_one_is_not(victim):
    (start, before), (ids, after) = attacks.attack(victim, 1)
    every = torch.arange(len(ids))
    best = attacks.estimate(victim, start, every).flatten(1).amax(1)
    assert torch.allclose(after - before, best, atol=1e-4)
    *_, (_, guided) = attacks.attack(victim, 4)
    *_, (_, drawn) = attacks.attack(victim, 4, seed=0)
    assert (guided > drawn).all()


@pytest.mark.parametrize("seed", [None, 3])
def test_no_attack_swaps_more_than_it_may_or_where_it_may_not(victim, seed):
    for k, (ids, harm) in enumerate(attacks.attack(victim, 3, seed=seed)):
        changed = ids != victim.ids
        assert (
            changed.sum(1).max() <= k
            and not (changed & ~victim.free).any()
            and victim.allowed[ids[changed]].all()
        )
        assert torch.allclose(harm, attacks.harms(victim, ids, torch.arange(len(ids))), atol=1e-4)


def test_a_success_needs_harm_and_the_truth_and_is_never_lost_again(victim):
    n = len(victim.ids)
    up, down = torch.full((n,), 1.0), torch.full((n,), -1.0)
    found = [(victim.ids, harm) for harm in (down, torch.where(torch.arange(n) < 5, up, down), down)]
    rates = attacks.successes(victim, found)
    assert rates["1"][0] == rates["2"][0] == 4 / n  # row 0 does not hold
    assert rates["1"][1] < 4 / n < rates["1"][2]


def test_only_words_that_question_and_answer_do_not_name_may_be_swapped():
    """Within the text before the question; each question is one that pocket-gpt answers rightly."""
    gpt, tokenizer = textgen.load("pocket-gpt")
    victim = attacks.Answered(
        gpt.requires_grad_(False), tokenizer, storyworld.documents(40, "qa", split="test"), 6
    )
    assert len(victim.ids) == 6 and (attacks.harms(victim, victim.ids, torch.arange(6)) < 0).all()
    for ids, free in zip(victim.ids, victim.free):
        text = tokenizer.decode(ids.tolist())
        asked = text[text.rindex("Q: ") :]
        assert (
            free.any() and max(free.nonzero()[:, 0]) < len(tokenizer.encode(text[: text.rindex("Q: ")])) + 2
        )
        assert not {tokenizer.piece(i).strip() for i in ids[free].tolist()} & set(
            asked.replace("?", " ").split()
        )


def test_words_are_read_again_as_they_are():
    tokenizer = Tokenizer.word(["Ada had a red key. 3 keys"])
    known = [tokenizer.piece(i) for i in attacks.words(tokenizer, {"red"}).nonzero()[:, 0]]
    assert sorted(known) == [" a", " had", " key", " keys"]


def test_a_suffix_fills_the_free_places(victim):
    victim.free = torch.zeros_like(victim.free)
    victim.free[:10, 4:9], victim.free[10:, 5:10] = True, True
    ids = attacks.with_suffix(victim, torch.arange(5))
    assert ids[0, 4:9].tolist() == ids[-1, 5:].tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(ids[~victim.free], victim.ids[~victim.free])


def test_the_record_holds_what_chapter_07_says():
    """The gradient beats as much random work; training closes the suffix it has seen, and a fresh one opens it again."""
    victims = textgen.results("attacks")["victims"]
    for victim in attacks.VICTIMS:
        assert len(victims[victim]) == 3
        for run in victims[victim].values():
            for swaps in ("2", "4", "8"):
                assert run["guided"][swaps][0] > run["random"][swaps][0]
            assert run["guided"]["4"][1] > run["random"]["4"][2]
    for run in victims["reward"].values():
        assert run["suffix"]["success"][1] > run["suffix, any words"]["success"][2]
        assert (
            run["hardened, the same suffix"]["success"][0]
            == 0
            < run["hardened, a fresh suffix"]["success"][1]
        )
        assert run["hardened, guided"]["8"][1] > 0.4 and abs(run["accuracy"]["change"][0]) < 0.02
        assert run["suffix"]["listener"][2] < -1
