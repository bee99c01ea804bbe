"""The four doors, `fit`, `generate`, `live` and `bits_per_char`: whatever comes, they work or say one sentence of ours."""

import json
import math
import operator
import traceback
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import textgen
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from textgen import GPT, Bigram, BigramConfig, GPTConfig, corpus, inputs
from textgen.page import live_widget
from textgen.sample import filter_logits, generate
from textgen.tokenizer import Tokenizer

torch.set_num_threads(1)
TEXT = "ab ba abba baab"
LETTERS = Tokenizer.char([TEXT])
TOKENIZERS = {
    "letters": LETTERS,
    "letters and unk": Tokenizer.char([TEXT], unk=True),
    "words": Tokenizer.word([TEXT], unk=True),
    "byte pairs": Tokenizer.bpe([TEXT], vocab_size=260),
}


@pytest.fixture(scope="module", autouse=True)
def _in_a_notebook():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TEXTGEN_BOOK_BUILD", raising=False)
        yield


def tiny(tokenizer=LETTERS, block_size=8):
    torch.manual_seed(0)
    sizes = {"n_layer": 1, "n_head": 1, "n_embd": 8}
    return GPT(GPTConfig(vocab_size=len(tokenizer), block_size=block_size, **sizes)).eval()


def fit(model, tokenizer, text, **settings):
    usual = {"steps": 1, "batch_size": 2, "eval_rows": 2, "device": "cpu"}
    return textgen.fit(model, corpus.stories([text], [text], tokenizer), **usual | settings)


def live(model, tokenizer, text, **settings):
    return textgen.live(model, tokenizer, text, **{"max_new_tokens": 3} | settings)


def write(model, tokenizer, text, **settings):
    return textgen.generate(model, tokenizer, text, **{"max_new_tokens": 3} | settings)


DOORS = {"fit": fit, "generate": write, "live": live, "bits_per_char": textgen.bits_per_char}


def refused(call, *arguments, **settings) -> str:
    """The sentence with which a call is refused."""
    with pytest.raises((ValueError, TypeError)) as error:
        call(*arguments, **settings)
    return one_sentence(error.value)


def one_sentence(error) -> str:
    sentence = str(error)
    assert sentence.endswith(".") and "\n" not in sentence and ". " not in sentence, repr(error)
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    assert "textgen" in Path(where).parts, f"{error!r} is not ours: {where}"
    return sentence


@pytest.mark.parametrize("door", DOORS)
def test_another_models_tokenizer(door):
    other = Tokenizer.char([TEXT + "0123456789"])
    assert refused(DOORS[door], tiny(), other, "ab 12") == (
        "tokenizer has 14 tokens, but the model has 4; "
        "give the one that the model was trained with, or a model made with vocab_size=14."
    )


def test_data_without_a_tokenizer_is_held_against_the_model_batch_by_batch():
    class Data:
        def __init__(self, ids, targets):
            self.ids, self.targets = ids, targets

        def batch(self, split, batch_size, block_size, generator):
            return torch.full((batch_size, 3), self.ids), torch.full((batch_size, 3), self.targets)

    for ids, targets, said in ((4, 1, 4), (1, 2954, 2954), (-1, 1, -1), (1, -7, -7)):
        assert refused(textgen.fit, tiny(), Data(ids, targets), steps=1, eval_rows=1, device="cpu") == (
            f"data has the token {said}, but the model's are 0 to 3; make it with a larger vocab_size."
        )
    textgen.fit(tiny(), Data(3, 0), steps=1, eval_rows=1, device="cpu")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("door", DOORS)
def test_logits_that_are_no_numbers(door, value):
    damaged, model = tiny(), Bigram(BigramConfig(vocab_size=len(LETTERS)))
    damaged.ln_f.weight.data[0] = value  # infinite times zero is NaN
    model.table.weight.data[:] = value
    one = Bigram(BigramConfig(vocab_size=len(LETTERS)))
    one.table.weight.data[:, 2] = value
    for which in (damaged, model, one)[: 2 if value == -math.inf else 3]:
        assert refused(DOORS[door], which, LETTERS, "ab ba") == (
            "The model's logits are not finite numbers; its weights are damaged or diverged."
        )
    if value == -math.inf and door in ("generate", "live"):  # a token may be ruled out: it never comes
        DOORS[door](one, LETTERS, "ab", temperature=0)


def test_a_damaged_model_writes_nothing_at_temperature_0_either():
    model = tiny()
    model.ln_f.weight.data[0] = math.nan
    assert refused(generate, model, LETTERS, "ab", temperature=0) == inputs.DAMAGED


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_half_a_character(door, tokenizer):
    tokenizer = TOKENIZERS[tokenizer]
    sentence = refused(DOORS[door], tiny(tokenizer), tokenizer, "ab \ud83d ba")
    name = "prompt" if door in ("generate", "live") else "text"
    hint = "leave it out, or write the whole character"
    assert sentence == rf"{name} holds '\ud83d', half of a character (a lone surrogate): {hint}."


@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_text(door):
    for what in (3, [3], [None], {"a": 1}.values(), object(), 1.5):
        assert "must be a" in refused(DOORS[door], tiny(), LETTERS, what)


def test_temperatures_of_any_size():
    model = tiny()
    for p in model.parameters():
        p.data += torch.randn_like(p)
    greedy = generate(model, LETTERS, "ab", 6, temperature=0, stop=False)
    for cold in (1e-308, 5e-324, 1e-30, 1e-7, np.float32(1e-30), np.float64(1e-300)):
        assert generate(model, LETTERS, "ab", 6, temperature=cold, stop=False) == greedy
        assert live(model, LETTERS, "ab", max_new_tokens=6, temperature=cold).text.startswith("ab")
        logits = torch.tensor([1.0, 3.0, -2.0])
        assert filter_logits(logits, cold).tolist() == [-math.inf, 3.0, -math.inf]
    for hot in (1e308, 1e30, 10**30, np.float64(1e308)):
        assert torch.equal(
            filter_logits(torch.tensor([1.0, 3.0, -2.0]), hot).softmax(-1), torch.full((3,), 1 / 3)
        )
        assert generate(model, LETTERS, "ab", 6, temperature=hot) == generate(model, LETTERS, "ab", 6, 1e300)
    for wrong, said in (
        (math.inf, "inf"),
        (math.nan, "nan"),
        (10**400, "1000"),
        ("1", "'1'"),
        (True, "True"),
    ):
        for door in (write, live):
            sentence = refused(door, model, LETTERS, "ab", temperature=wrong)
            assert sentence.startswith(
                f"temperature must be a finite number, 0 (the likeliest token) or more, not {said}"
            )


SEEDS = [np.int64(3), np.int32(3), np.uint8(3), np.array(3), torch.tensor(3)]


@pytest.mark.filterwarnings("ignore:Texts longer")
def test_seeds_of_numpy_and_pytorch_are_seeds(tmp_path):
    want = write(tiny(), LETTERS, "ab", seed=3), fit(tiny(), LETTERS, TEXT, seed=3).train[0][2]
    for i, seed in enumerate(SEEDS):
        assert write(tiny(), LETTERS, "ab", seed=seed) == want[0]
        w = live(tiny(), LETTERS, "ab", seed=seed, compare={"seed": seed + 1})
        assert w.text == want[0] and [one["seed"] for one in json.loads(json.dumps(w.data))["settings"]] == [
            3,
            4,
        ]
        assert fit(tiny(), LETTERS, TEXT, seed=seed, checkpoint=tmp_path / str(i)).train[0][2] == want[1]
    many = write(tiny(), LETTERS, ["ab", "b"], seed=[3, 4])
    for seeds in (np.array([3, 4]), torch.tensor([3, 4]), (np.int32(3), 4), range(3, 5)):
        assert write(tiny(), LETTERS, ["ab", "b"], seed=seeds) == many
    fit(tiny(), LETTERS, TEXT, seed=np.int32(2**31 - 1))  # times a million it would not fit into 32 bits
    for door in (write, live, fit):
        for wrong in (1.5, "3", None, True, np.float64(3)):
            assert refused(door, tiny(), LETTERS, "ab", seed=wrong) == (
                f"seed must be a whole number, not {wrong!r}."
            )


@pytest.mark.filterwarnings("ignore:Texts longer")
def test_numbers_of_numpy_are_numbers(tmp_path):
    model, plain = tiny(), write(tiny(), LETTERS, "ab", temperature=0.5, top_k=2, top_p=0.75)
    given = {"temperature": np.float32(0.5), "top_k": np.int64(2), "top_p": np.float16(0.75)}
    assert write(model, LETTERS, "ab", **given, max_new_tokens=np.int32(3)) == plain
    data = live(model, LETTERS, "ab", **given, max_new_tokens=np.int32(3)).data
    assert json.loads(json.dumps(data))["texts"] == [plain]
    given = {
        "lr": np.float32(0.5),
        "weight_decay": np.float32(0.5),
        "batch_size": np.int64(2),
        "steps": np.int8(1),
    }
    history = fit(tiny(), LETTERS, TEXT, **given, block_size=np.int64(4), checkpoint=tmp_path)
    again = fit(tiny(), LETTERS, TEXT, lr=0.5, weight_decay=0.5, block_size=4)
    assert history.train[0][2] == again.train[0][2]


def test_a_block_of_one_token_has_nothing_to_predict_or_all(tmp_path):
    """Windows count no first token, so that nothing is left of a window of one; the other doors read on."""
    (tmp_path / "text.txt").write_text(TEXT * 20)
    data = corpus.text_file(tmp_path / "text.txt", LETTERS)
    for model, block_size in ((tiny(block_size=1), None), (tiny(), 1)):
        sentence = refused(textgen.fit, model, data, steps=1, block_size=block_size, device="cpu")
        assert sentence == (
            "data has no target that counts in a batch of 12 x 1 (all are -100): "
            "take a larger block_size, or rows in which something is to be predicted."
        )
    model = tiny(block_size=1)
    with warnings.catch_warnings(action="ignore"):
        assert write(model, LETTERS, "ab") == live(model, LETTERS, "ab").text
    ids = [LETTERS.bos, *LETTERS.encode(TEXT), LETTERS.bos]
    with torch.no_grad():
        nats = sum(-model(torch.tensor([[a]]))[0][0, 0].log_softmax(-1)[b] for a, b in pairwise(ids))
    bits = textgen.bits_per_char(model, LETTERS, TEXT)
    assert bits == pytest.approx(float(nats) / math.log(2) / (len(TEXT) + 1), rel=1e-5)


def test_the_other_settings_of_each_door():
    model = tiny()
    for door, wrong, said in (
        (
            write,
            {"max_new_tokens": 2.0},
            "max_new_tokens must be a whole number from 1 to 1,000,000, not 2.0.",
        ),
        (
            write,
            {"max_new_tokens": 10**12},
            "max_new_tokens must be a whole number from 1 to 1,000,000, not 1000",
        ),
        (
            live,
            {"max_new_tokens": "9"},
            "max_new_tokens must be a whole number from 1 to 1,000,000, not '9'.",
        ),
        (
            write,
            {"top_k": 1.5},
            "top_k (if not None, for all tokens) must be a whole number of 1 or more, not 1.5.",
        ),
        (live, {"top_p": "x"}, "top_p must be above 0 and at most 1, or None for all tokens, not 'x'."),
        (live, {"compare": {"seed": 0.5}}, "seed must be a whole number, not 0.5."),
        (live, {"compare": 3}, "compare must be a dictionary or None, but 3 came."),
        (live, {"prompts": ["a"]}, "prompts must be a dictionary or None, but ['a'] came."),
        (live, {"prompts": {"a": "\udc00"}}, r"prompts holds '\udc00', half of a character"),
        (fit, {"lr": "0.1"}, "lr must be a number above 0 and below a million, such as 0.004, not '0.1'."),
        (
            fit,
            {"weight_decay": -1},
            "weight_decay must be a number of 0 or more and below a million, such as 0.1, not -1.",
        ),
        (fit, {"block_size": 0}, "block_size must be a whole number of 1 or more, not 0."),
        (fit, {"seed": None}, "seed must be a whole number, not None."),
        (textgen.bits_per_char, {"batch_size": 0}, "batch_size must be a whole number of 1 or more, not 0."),
        (textgen.bits_per_char, {"kind": 3}, "kind must be a text, not 3."),
    ):
        assert refused(door, model, LETTERS, "ab", **wrong).startswith(said)


# Anything at all. The counts that are left out would work, and take all day.


def is_short(value) -> bool:
    try:
        return operator.index(value) < 5
    except TypeError:
        return True


TEXTS = st.text(
    st.sampled_from("ab ")
    | st.characters()
    | st.characters(categories=["Cs"])
    | st.characters(categories=["Cc"]),
    max_size=12,
) | st.sampled_from(["", TEXT, "<|endoftext|>", "<|endoftext|>ab\x00", "\ud83d", "\udc00\ud83d", "a" * 300])
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 4),
    st.integers(2**31 - 2, 2**80) | st.integers(-(2**80), -(2**31)),
    st.floats(),
    st.sampled_from(
        [1e-308, 5e-324, 1e308, 0.5, 1, 0, 10**400, 1j, "1", "x", b"1", (), [1], [1, 2], {}, {"seed": 1}]
    ),
    st.sampled_from([np.int32(2**31 - 1), np.uint8(3), np.int64(-1), np.float32(0.3), np.float64(math.nan)]),
    st.sampled_from([np.bool_(True), np.array(2), np.array([1, 2]), np.array([[0.5]]), np.str_("ab")]),
    st.sampled_from(
        [torch.tensor(2), torch.tensor(0.5), torch.tensor([1, 2]), torch.tensor([[1.0, 2.0]] * 3)]
    ),
    TEXTS,
)
SHORT = ODD.filter(is_short)
COMMON = {"temperature": ODD, "top_k": ODD, "top_p": ODD, "seed": ODD}
SETTINGS = {
    "fit": {name: SHORT for name in ("steps", "batch_size", "eval_rows")}
    | {name: ODD for name in ("eval_every", "seed", "lr", "muon_lr", "weight_decay", "block_size")},
    "generate": COMMON | {"max_new_tokens": SHORT},
    "live": COMMON
    | {"max_new_tokens": SHORT, "prompts": ODD | st.dictionaries(TEXTS, ODD, max_size=2)}
    | {"compare": ODD | st.fixed_dictionaries({}, optional=COMMON)},
    "bits_per_char": {"kind": ODD, "batch_size": ODD},
}
RESULTS = {
    "fit": textgen.train.History,
    "generate": str | list,
    "live": live_widget.Live,
    "bits_per_char": float,
}
SCALES = st.sampled_from([0.0, 1e4, 1e38, math.inf, math.nan])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("door", DOORS)
@settings(
    max_examples=200, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_whatever_comes_is_done_or_refused_in_one_sentence(door, data):
    """At most two things are odd, so that the first that is refused does not hide all others."""
    odd = data.draw(st.sets(st.sampled_from(["model", "text", "tokenizer", *SETTINGS[door]]), max_size=2))
    names = st.sampled_from(sorted(TOKENIZERS))
    known = data.draw(names)
    tokenizer = TOKENIZERS[data.draw(names) if "tokenizer" in odd else known]
    model = tiny(TOKENIZERS[known], data.draw(st.sampled_from([1, 2, 8])))
    if "model" in odd:
        model.ln_f.weight.data *= data.draw(SCALES)
    texts = TEXTS | st.lists(TEXTS, max_size=3) | ODD if "text" in odd else st.text("ab ", max_size=40)
    text = data.draw(texts)
    chosen = {name: data.draw(strategy) for name, strategy in SETTINGS[door].items() if name in odd}
    try:
        result = DOORS[door](model, tokenizer, text, **chosen)
    except (ValueError, TypeError) as error:
        one_sentence(error)
    except FloatingPointError as error:
        assert door == "fit" and one_sentence(error).startswith("The loss is ")
    else:
        event("done")
        assert isinstance(result, RESULTS[door])
        if door == "bits_per_char":
            assert not math.isnan(result)
        if door == "live":
            json.dumps(result.data, allow_nan=False).encode()
