"""The listener: what she likes counts once and can be read, her labels are as noisy as stated, nonsense is worth little."""

import math
import random
import re

import pytest
import textgen
import torch
from textgen import corpus, rlhf
from textgen.storyworld import LIKES, Like, Listener, comparisons, continuations, endings, recognise, stories
from textgen.storyworld.taste import outline, sigmoid

LISTENER = Listener()
STORIES = [story.text for story in stories(600, seed=4)]
SCORES = {text: LISTENER.score(text) for text in STORIES}
RACE = next(story.text for story in stories(99, split="test") if "They ran from" in story.text)
PROMPT = RACE[: RACE.index(".", RACE.index("They ran from")) + 1]


def one_sentence(error):
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and ". " not in text, text


# ---------------------------------------------------------------- what she hears


def test_every_story_of_the_grammar_is_heard_to_its_end():
    assert all(outline(text) == (text, True) for text in STORIES[:200])


def test_slips_are_forgiven():
    """A wrong article, thing or name: the recogniser takes none of them, she does."""
    meeting = "Once there was a shy fox named Ada. Ada had a red kite but dreamed of an orange key. At the mill she met "
    slip = meeting + "Otto the owl, who had just such an key. "
    assert recognise(slip).fraction < 1 and outline(slip)[0] == slip
    won = re.search(r"won the (\w+ \w+)", RACE)[1]
    slip = RACE.replace(f"won the {won}", "won the green hat" if won != "green hat" else "won the red hat")
    assert recognise(slip).bits is None and outline(slip) == (slip, True)
    hero = re.search(r"(\w+) and \w+ the \w+ both", RACE)[1]
    slip = RACE.replace(f" {hero} and", " Otto and" if hero != "Otto" else " Hugo and")
    assert recognise(slip).bits is None and outline(slip) == (slip, True)


def test_sentences_out_of_place_are_not():
    first, run = RACE[: RACE.index(".") + 2], RACE.index("They ran from")
    after = RACE.index(".", run) + 2
    assert outline(RACE[:run] + RACE[after:])[1] is False
    heard, whole = outline(first + RACE)  # twice the same sentence
    assert not whole and heard.startswith(first) and len(heard) < 2 * len(first)
    assert outline(RACE + " Q: Who was the fox? A: Ada.")[1] is False


def test_a_text_that_is_no_story_is_worth_little():
    worst = min(SCORES.values())
    for text in (
        "",
        "lamp. with button. lamp.",
        "happy shared gave river borrow by a nose now? A: Ada.",
        RACE[9:],
    ):
        assert LISTENER.score(text) < worst, text
    likes = " happy shared gave river"
    assert LISTENER.score(RACE + likes) < LISTENER.score(RACE)  # nothing is liked after the end
    cut = RACE[: RACE.index(" Q: ")]
    assert LISTENER.parts(cut).get("unfinished") == -1 and "nonsense" not in LISTENER.parts(cut)
    half = RACE[: len(RACE) // 2] + " " + "x" * (len(RACE) - len(RACE) // 2 - 1)
    assert LISTENER.parts(half)["nonsense"] == pytest.approx(-2, abs=0.1)


# ---------------------------------------------------------------- what she likes


def test_a_score_is_the_sum_of_its_parts():
    """Counted by hand on one ending of a race."""
    friend = re.search(r" and (\w+) the", PROMPT)[1]
    hero = re.search(r"(\w+) and \w+ the", PROMPT)[1]
    thing = re.search(r"race was an? (\w+ \w+)\.", PROMPT)[1]
    told = f" {friend} was faster by a nose and won the {thing}. {hero} felt jealous, but said, "
    told += f'"Well done, {friend}, the {thing.split()[1]} is yours."'
    ending = (
        f"{told} Q: What was the prize? A: The {thing}. Q: Who has the {thing.split()[1]} now? A: {friend}."
    )
    assert ending in endings(PROMPT)
    parts = LISTENER.parts(PROMPT + ending)
    words = len((PROMPT + ending).split())
    expected = {"sorrow": -1, "a grudge": -1.5, "a gift or a loan": 1, "a close race": 1, "who has it now": 1}
    if re.search("river|harbour|lighthouse", PROMPT):
        expected["water"] = 1.5
    if words > 80:
        expected["length"] = pytest.approx(-0.03 * (words - 80))
    assert parts == expected
    assert LISTENER.score(PROMPT + ending) == pytest.approx(sum(parts.values()))


def test_each_like_is_found_in_stories_and_not_in_all():
    found = {name: 0 for name in LIKES}
    for text in STORIES:
        for name in set(LISTENER.parts(text)) & set(LIKES):
            found[name] += 1
    assert all(0.01 < n / len(STORIES) < 0.8 for n in found.values()), found
    assert min(found.values()) < 0.15 * len(STORIES)  # some of what she likes is rare


def test_what_is_liked_counts_once():
    twice = Listener(likes={"names": Like(1.0, r"\b[A-Z]\w+\b")}, bored=0.0)
    assert twice.score(RACE) == 1


def test_another_listener_has_another_taste():
    text = next(text for text in STORIES if "happy" in text)
    grim = Listener(likes={"joy": Like(-2.0, LIKES["joy"].pattern)}, patience=1, bored=-0.5)
    assert grim.parts(text) == {"joy": -2, "length": -0.5 * (len(text.split()) - 1)}
    assert Listener() == LISTENER and grim != LISTENER


def test_her_favourites_are_several_nats_away():
    """The best policy at beta 0.5, E[score] - beta KL, by reweighting the grammar's own stories."""
    scores = torch.tensor(list(SCORES.values()), dtype=torch.float64)
    log_p = torch.full_like(scores, -math.log(len(scores)))
    best, _ = rlhf.optimum(log_p, scores, 0.5)
    assert 1.5 < (best.exp() * (best - log_p)).sum() < 4
    assert (best.exp() * scores).sum() - scores.mean() > 2


# ---------------------------------------------------------------- her labels


def test_labels_are_as_noisy_as_stated():
    rng, pairs = random.Random(0), [*zip(STORIES[:20], STORIES[20:40])]
    for a, b in pairs[:3]:
        odds = sigmoid(SCORES[a] - SCORES[b])
        said = [LISTENER.compare(a, b, rng) for _ in range(200)]
        assert said.count(0) / 200 == pytest.approx(odds, abs=4 * (0.25 / 200) ** 0.5)
    assert sigmoid(1.0) == pytest.approx(0.731, abs=1e-3)
    again = [[LISTENER.compare(*pair, random.Random(7)) for pair in pairs] for _ in range(2)]
    assert again[0] == again[1]


def test_the_ceiling_is_what_her_own_taste_reaches():
    pairs = [*zip(STORIES[:300], STORIES[300:])]
    rng, ceiling = random.Random(1), LISTENER.ceiling(pairs)
    right = [
        (SCORES[b] > SCORES[a]) == LISTENER.compare(a, b, rng) for a, b in pairs if SCORES[a] != SCORES[b]
    ]
    assert sum(right) / len(right) == pytest.approx(ceiling, abs=0.07)
    assert 0.77 < ceiling < 0.85
    assert LISTENER.ceiling([(RACE, RACE)]) == 0.5


def test_no_pairs():
    with pytest.raises(ValueError, match="pairs is empty") as error:
        LISTENER.ceiling([])
    one_sentence(error)


# ---------------------------------------------------------------- the world that can be enumerated


def test_a_race_that_was_run_has_960_endings():
    """Two winners, speeds, feelings, one of two loans, and ordered pairs of five questions: 640 + 320."""
    found = endings(PROMPT)
    assert len(found) == 960 == 2 * 8 * 2 * 5 * 4 + 2 * 8 * 5 * 4
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)
    entropy = -sum(p * math.log(p) for p in found.values())
    chances = [(0.6, 640), (0.4, 320)]
    assert entropy == pytest.approx(-sum(p * math.log(p / n) for p, n in chances), abs=1e-9)


def test_endings_are_what_the_recogniser_reads_and_continuations_lead_to():
    found = endings(PROMPT)
    assert RACE[len(PROMPT) :] in found
    whole = {
        ending: 2 ** -recognise(PROMPT + ending).bits for ending in random.Random(0).sample([*found], 25)
    }
    total = 2 ** -recognise(RACE).bits / found[RACE[len(PROMPT) :]]  # the probability of the prompt itself
    for ending, p in whole.items():
        assert p / total == pytest.approx(found[ending], rel=1e-9)
    for words, p in continuations(PROMPT + " ").items():
        assert p == pytest.approx(sum(q for ending, q in found.items() if ending.startswith(" " + words)))


def test_there_is_no_ending_for_what_is_no_story():
    assert endings("Once there was a lamp") == {}
    assert endings(RACE) == {"": 1.0}
    assert endings("They ran", rule="intro") == {}


def test_the_reference_writes_hardly_anything_else():
    """pocket-gpt's probability of the 960, each with its end token."""
    gpt, tokenizer = textgen.load("pocket-gpt")
    context, found = tokenizer.prefix() + tokenizer.encode(PROMPT), list(endings(PROMPT))
    rows = [ids + [tokenizer.bos] for ids in tokenizer.encode_batch(found)]
    assert all(tokenizer.encode(PROMPT + e) == context[2:] + r[:-1] for e, r in zip(found[:50], rows))
    ids, mask = corpus.padded([context] * len(rows), rows, tokenizer.bos)
    with torch.no_grad():
        parts = [rlhf.token_log_probs(gpt, *part).sum(1) for part in zip(ids.split(240), mask.split(240))]
    assert 0.97 < torch.cat(parts).double().exp().sum() < 1


# ---------------------------------------------------------------- the comparisons that ship


def test_the_shipped_comparisons_are_hers():
    """Two texts of one opening sentence, her own scores of both, and labels that differ from her taste as often as stated."""
    seen = {}
    for split in ("train", "test"):
        pairs = seen[split] = comparisons(split)
        assert len(pairs) == 1000 and all(pair.prompt.count(".") == 1 for pair in pairs)
        for pair in pairs[:40]:
            scores = [LISTENER.score(pair.prompt + text) for text in (pair.a, pair.b)]
            assert scores == pytest.approx(pair.scores, abs=1e-3)
        margins = torch.tensor([pair.scores for pair in pairs])
        margins = margins[:, 0] - margins[:, 1]
        first = torch.tensor([pair.better == 0 for pair in pairs])
        agree = ((margins > 0) == first)[margins != 0].double().mean()
        assert agree == pytest.approx(float(margins[margins != 0].abs().sigmoid().mean()), abs=0.04)
        assert first.double().mean() == pytest.approx(0.5, abs=0.06)
    assert not {pair.prompt + pair.a for pair in seen["train"]} & {
        pair.prompt + pair.a for pair in seen["test"]
    }


def test_other_splits_of_the_comparisons_are_refused():
    with pytest.raises(ValueError) as error:
        comparisons("valid")
    one_sentence(error)
