"""Requests to an assistant: right answers are judged right and wrong ones wrong, and nothing but reading tells which are known."""

import random
import re
from itertools import pairwise

import numpy as np
import pytest
import textgen
from textgen import corpus, storyworld
from textgen.dialogue import chat_ids
from textgen.storyworld import REQUESTS, fulfils, requests, unknown
from textgen.storyworld.asking import UNKNOWN, happened, holds, world_of
from textgen.storyworld.generator import SPLITS
from textgen.storyworld.grammar import load
from textgen.storyworld.judge import facts, values

ASKING = ("question", "person", "dialogue")


@pytest.fixture(scope="module")
def made():
    """500 requests of each kind to learn from, and fewer of each other split."""
    counts = {"train": 500, "valid": 60, "test": 60}
    return {split: {kind: requests(n, kind, 3, split) for kind in REQUESTS} for split, n in counts.items()}


@pytest.fixture(scope="module")
def tokenizer():
    return textgen.load("pocket-gpt")[1]


@pytest.mark.parametrize("kind", REQUESTS)
def test_the_answers_are_right(made, kind):
    for request in made["train"][kind] + made["test"][kind]:
        assert fulfils(request, request.answer) and fulfils(request, f" {request.answer}\n"), request
        assert unknown(request.answer) == (not request.known)


def words(kind):
    return [entry["text"] for entry in load().classes[kind]]


def another(kind, word, rng):
    return rng.choice([other for other in words(kind) if other != word])


def spoilt(request, others, rng):
    """Answers to a request that are wrong, each in its own way."""
    answer = request.answer
    yield from ("", answer[: len(answer) // 2], answer + " " + answer)
    yield UNKNOWN if request.known else rng.choice(["blue.", "Ada.", "You are a baker.", "No.", "I know."])
    if request.kind == "story":
        for name, kind in (("hero", "name"), ("animal", "animal")):
            if name in request.asked:  # another one, all through a story that is right otherwise
                yield re.sub(
                    rf"\b{request.asked[name]}\b", another(kind, request.asked[name], rng), answer, count=1
                )
        colour, noun = request.asked["thing"].split()
        yield answer.replace(colour, another("colour", colour, rng))
        yield re.sub(rf"\b{noun}\b", another("object", noun, rng), answer)
        yield answer.replace(". ", " ", 1)
        yield next(o.answer for o in others if o.asked and o.asked["animal"] != request.asked["animal"])
    elif request.kind == "code":
        yield re.sub(r"\d+(?!.*\d)", lambda m: str(int(m[0]) + 1), answer)
        yield from (f"{answer} + 1", f"print({answer})", answer.replace("x", "y"), f"{answer} +")
    else:
        yield from {other.answer for other in rng.sample(others, 5)} - {answer}


@pytest.mark.parametrize("kind", REQUESTS)
def test_wrong_answers_are_wrong(made, kind):
    rng, rows = random.Random(0), made["train"]
    for request in rows[kind][:150]:
        for wrong in spoilt(request, rows[kind if kind != "dialogue" else request.kind], rng):
            if request.kind != "code" or values(wrong) != values(request.answer):
                assert not fulfils(request, wrong), (request, wrong)


def test_a_story_must_end_as_asked(made):
    asked = [request for request in made["train"]["story"] if "ending" in request.asked]
    assert 0.5 < len(asked) / 500 < 0.8
    for request in asked:
        told = {"joy": "sorrow", "sorrow": "joy"}[request.asked["ending"]]
        assert not fulfils(request._replace(asked=request.asked | {"ending": told}), request.answer)
        feelings = [w for w in re.findall(r"\w+", request.answer) if w in words("joy") + words("sorrow")]
        assert feelings[-1] in words(request.asked["ending"])
    assert {request.asked["ending"] for request in asked} == {"joy", "sorrow"}


def test_a_story_says_what_the_generator_meant():
    for story in storyworld.stories(300, seed=5):
        text, wanted = story.text.split(" Q: ")[0], story.facts
        found = facts(text)
        assert all(found[name] == wanted[name] for name in ("hero", "animal", "thing", "friend", "mood"))
        assert found["ending"] == ("joy" if "joy" in wanted else "sorrow")
        assert facts(story.text) is None and facts(text[:-1]) is None


def test_what_is_mixed_up_later_is_forgiven_and_a_sentence_out_of_place_is_not(made):
    """As by the listener of chapter 06: the small model writes whole outlines, and slips in what it says again."""
    for request in made["train"]["story"][:100]:
        hero = facts(request.answer)["hero"]
        start = request.answer.index(hero) + len(hero)
        later = re.sub(rf"\b{hero}\b", another("name", hero, random.Random(0)), request.answer[start:])
        assert fulfils(request, request.answer[:start] + later)
        sentences = request.answer.split(". ")
        assert not fulfils(request, ". ".join([sentences[1], sentences[0], *sentences[2:]]))


def test_a_request_says_what_it_asks_for(made):
    for request in made["train"]["story"]:
        (message,) = request.messages
        assert all(word in message["content"] for key, word in request.asked.items() if key != "ending")
    held = {tuple(sorted(request.asked)) for request in made["train"]["story"]}
    assert held == {
        ("animal", "thing"), ("animal", "hero", "thing"),
        ("animal", "ending", "thing"), ("animal", "ending", "hero", "thing"),
    }  # fmt: skip


def test_code_counts_by_its_value_and_is_never_run():
    (request,) = requests(1, "code")
    for same, other in (("(x + 3) * 2", "x * 2 + 6"), ("x ** 2", "x*x"), ("x - 4", "-4 + x")):
        right = request._replace(answer=same)
        assert fulfils(right, other) and not fulfils(right, f"{other} + x")
    for code in (
        "",
        "x y",
        "lambda: x",
        "__import__('os')",
        "x / 2",
        "x ** x",
        "x ** -1",
        "x ** 1.0",
        "True",
        "f(x)",
    ):
        assert values(code) is None
    assert values("((x ** 99) ** 99) ** 99")  # no number grows beyond the modulus
    assert values("(" * 150 + "x" + ")" * 150) is None and values("x" + "+1" * 5000) is None


def question(request):
    """The question alone: the last sentence."""
    return re.search(r"[^.?!\"]+\?$", request.messages[-1]["content"])[0].strip()


@pytest.mark.parametrize("kind", ASKING)
def test_half_of_the_questions_cannot_be_answered(kind):
    known = [r.known for r in requests(1000, kind) if r.kind in ("question", "person")]
    assert abs(np.mean(known) - 0.5) < 0.06


@pytest.mark.parametrize("kind", ("question", "person"))
@pytest.mark.parametrize("split", ("train", "test"))
def test_the_words_of_a_question_do_not_say_whether_it_is_known(kind, split):
    """A logistic regression on the words of questions, and on pairs of them, is right half of the time on others."""
    made = [requests(700, kind, seed, split) for seed in (0, 1)]
    bags = [[features(question(request)) for request in part] for part in made]
    names = {name: i for i, name in enumerate(sorted({word for bag in bags[0] for word in bag}))}
    x, x_test = (
        np.array([[name in bag for name in names] + [True] for bag in part], dtype=float) for part in bags
    )
    y, y_test = (np.array([request.known for request in part], dtype=float) for part in made)
    w = np.zeros(x.shape[1])
    for _ in range(300):
        p = 1 / (1 + np.exp(-x @ w))
        w += 1.0 * (x.T @ (y - p) / len(y) - 0.003 * w)
    right = np.mean((x_test @ w > 0) == y_test)
    assert abs(right - 0.5) < 0.075, right  # four standard errors of 700


def features(text):
    """Its words and its pairs of words."""
    found = re.findall(r"\w+", text)
    return {*found, *map(" ".join, pairwise(found))}


def test_what_is_unknown_is_not_in_the_text(made):
    for request in made["train"]["question"]:
        text, asked = request.messages[0]["content"], question(request)
        pointed = [
            w for w in re.findall(r"\w+", asked) if w in words("name") + words("object") + words("animal")
        ]
        told = text.removesuffix(asked)
        if request.known:
            assert request.answer.rstrip(".").split()[-1] in told or request.answer == "Nobody."
        elif not pointed:  # then the plot decides, and these three have a word of their own
            assert not [word for word in ("prize", "riddle", "letter") if word in asked and word in told]
    for request in made["train"]["person"]:
        text, asked = request.messages[0]["content"], question(request)
        told, answer = text.removesuffix(asked), request.answer.rstrip(".").split()[-1]
        marks = {"What is my name?": "My name", "Who is my best friend?": "friend is"}
        marks |= {"What do I have?": "I have", "What do I like to do?": "I like"}
        mark = marks.get(asked) or re.search(r"my (\w+)\?", asked)[1]
        assert bool(re.search(rf"\b{mark}\b", told)) == request.known
        assert not request.known or re.search(rf"\b{answer}\b", told)


def test_a_trap_asks_about_what_is_not_there_and_a_detail_about_what_is(made):
    nameable = words("object") + words("animal") + words("name")
    for kind in ("trap", "detail"):
        for request in made["train"][kind] + made["test"][kind]:
            asked = question(request)
            told = request.messages[0]["content"].removesuffix(asked)
            pointed = [word for word in re.findall(r"\w+", asked) if word in nameable]
            assert request.known == (kind == "detail") == all(re.search(rf"\b{w}\b", told) for w in pointed)


def test_no_demonstration_has_a_trap(made):
    """Whoever is asked for a colour that nobody can know was told of no thing that has one, and no detail is unknown."""
    things = re.compile(rf"\b({'|'.join(words('colour'))}) ({'|'.join(words('object'))})\b")
    unknowns = 0
    for kind in set(REQUESTS) - {"trap"}:
        for request in made["train"][kind]:
            for i in range(0, len(request.dialogue), 2):
                heard = " ".join(message["content"] for message in request.dialogue[: i + 1])
                asked = re.split(r'(?<=[.?!"]) ', request.dialogue[i]["content"])[-1]
                if unknown(request.dialogue[i + 1]["content"]):
                    unknowns += 1
                    assert happened(asked) or " my " in asked or " I " in asked, asked
                    assert "colour" not in asked or not things.search(heard), heard
    assert unknowns > 500


def test_a_question_is_left_open_by_who_or_by_what_happened():
    """Some texts name whoever is asked about, so that looking for the name is not enough."""
    near = 0
    for request in requests(400, "question"):
        asked = question(request)
        text = request.messages[0]["content"].removesuffix(asked)
        names = [word for word in re.findall(r"\w+", asked) if word in words("name")]
        near += not request.known and any(name in text for name in names)
    assert near >= 10
    story = next(s for s in storyworld.stories(200) if s.facts["plot"] == "race")
    hero = story.facts["hero"]
    assert not holds(story, f"What did {hero} lose?") and holds(story, f"What did {hero} want?")
    assert holds(story, "What was the prize?") and not holds(story, "Who had no roof?")


def test_the_splits_share_no_first_message_and_no_thing(made):
    for kind in REQUESTS:
        first = {s: {r.messages[0]["content"] for r in rows[kind]} for s, rows in made.items()}
        assert not first["train"] & first["valid"] and not first["test"] & (first["train"] | first["valid"])
    pairs = [world_of(split).pairs for split in SPLITS]
    assert sum(map(len, pairs)) == len(frozenset.union(*pairs)) == len(words("colour")) * len(words("object"))
    for split, rows in made.items():
        for request in rows["story"]:
            assert tuple(request.asked["thing"].split()) in world_of(split).pairs
        for request in rows["person"] + rows["dialogue"]:
            for colour, noun in re.findall(r"I have an? (\w+) (\w+)\.", str(request.messages)):
                assert (colour, noun) in world_of(split).pairs


def test_dialogues_have_two_to_five_exchanges_and_right_answers(made):
    turns = set()
    for request in made["train"]["dialogue"]:
        roles = [message["role"] for message in request.dialogue]
        turns.add(len(roles) // 2)
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        for i in range(1, len(roles), 2):
            heard = " ".join(message["content"] for message in request.dialogue[:i])
            said, asked = request.dialogue[i]["content"], request.dialogue[i - 1]["content"]
            check_answer(said, asked, heard)
    assert turns == {2, 3, 4, 5}


def check_answer(said, asked, heard):
    """An answer within a dialogue, by what was heard before it."""
    if said in (UNKNOWN, "I see.", "Nobody."):
        assert said != "I see." or "My name" not in asked
    elif "Spanish" in asked:
        assert re.fullmatch(r"[a-záéíóúñ ]+\.", said)
    elif "take x" in asked.lower():
        assert values(said)
    elif asked.endswith("?"):
        answer = re.sub(r"^(Your name is|You are an?|You live by the|You have an?|You like to) ", "", said)
        answer = re.sub(r"^(Your best friend is|The) ", "", answer)
        assert answer.rstrip(".") in heard, (said, asked, heard)
    elif said.startswith("Hello"):
        assert f"My name is {said[7:]}" in asked
    else:
        assert facts(said)["thing"] in asked


def test_all_rows_fit_into_pocket_gpt_and_count_its_answers(made, tokenizer):
    rows = [r.dialogue for split in made.values() for kind in split.values() for r in kind]
    assert max(len(chat_ids(row, tokenizer)) for row in rows) < 256
    some = rows[::40]
    data = corpus.dialogues(some, some[:1], tokenizer)
    for row, (ids, targets) in zip(some, data._rows["train"]):
        assert ids.tolist() == [*chat_ids(row, tokenizer), tokenizer.bos]
        answers = [f" {message['content']}" for message in row[1::2]]
        counted = tokenizer.backend.decode(targets[targets != -100].tolist(), skip_special_tokens=False)
        assert counted == "".join(answer + "<|endoftext|>" for answer in answers)


def test_the_same_seed_gives_the_same_requests():
    for kind in REQUESTS:
        assert requests(5, kind, 4) == requests(5, kind, 4) != requests(5, kind, 5)
        assert requests(0, kind) == []


def test_what_cannot_be_asked_for_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"kind must be one of story, .*; got 'poem'\."):
        requests(1, "poem")
    with pytest.raises(ValueError, match=r"split must be one of train, .*; got 'dev'\."):
        requests(1, "story", split="dev")
    with pytest.raises(ValueError, match=r"n must be 0 or more; got -1\."):
        requests(-1, "code")
