"""Sampling: Hugging Face's warpers, the same text by every road, and one sentence for what cannot be."""

import itertools
import random
import warnings

import pytest
import textgen
import torch
from textgen import GPT, LSTM, RNN, Bigram, BigramConfig, GPTConfig, WindowMLP
from textgen.models import LanguageModel
from textgen.sample import filter_logits, generate, generate_ids, sample, uniforms
from textgen.tokenizer import Tokenizer
from transformers import GPT2LMHeadModel, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

torch.set_num_threads(1)  # tiny models: a second thread costs more than it brings
RUNGS = [Bigram, WindowMLP, RNN, LSTM, GPT]
LETTERS = Tokenizer.char(["abcdefghijklmnop qrstuvwxyz"], specials=["<|story|>"])


def make(rung, block_size=64, seed=0):
    """A model of letters with strong, random opinions, in float64: roads that differ by rounding stay one."""
    config = getattr(textgen, rung.__name__ + "Config")(vocab_size=len(LETTERS), block_size=block_size)
    torch.manual_seed(seed)
    model = rung(config).double().eval()
    for p in model.parameters():
        p.data += 0.2 * torch.randn_like(p)
    return model


def prompts(n, longest, seed=0):
    r = random.Random(seed)
    return ["".join(r.choices("abc xyz", k=r.randint(0, longest))) for _ in range(n)]


def warped(logits, temperature, top_k, top_p):
    if temperature is not None:
        logits = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k is not None:
        logits = TopKLogitsWarper(top_k)(None, logits)
    if top_p is not None:
        logits = TopPLogitsWarper(top_p)(None, logits)
    return logits


SETTINGS = [
    *[(t, None, None) for t in (0.1, 0.7, 1.0, 2.5)],
    *[(1.0, k, None) for k in (1, 2, 39, 40, 41, 1000)],
    *[(1.0, None, p) for p in (1e-9, 0.01, 0.5, 0.9, 0.999999, 1.0)],
    *itertools.product((0.5, 1.3), (1, 5, 30), (0.05, 0.6, 0.95)),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature, top_k, top_p", SETTINGS)
def test_filters_equal_hugging_faces_warpers(temperature, top_k, top_p, dtype):
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 1, 5):
        logits = scale * torch.randn(50, 40, generator=generator, dtype=dtype)
        ours = filter_logits(logits, temperature, top_k, top_p)
        assert torch.equal(ours, warped(logits, temperature, top_k, top_p))
        assert torch.equal(ours[3], filter_logits(logits[3], temperature, top_k, top_p))  # (V,) as well


def test_filters_by_hand():
    logits = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()
    kept = {
        (2, None): [0, 1],
        (None, 0.5): [0],
        (None, 0.51): [0, 1],
        (None, 0.76): [0, 1, 2],
        (3, 0.95): [0, 1, 2],
        (None, None): [0, 1, 2, 3],
    }
    for (top_k, top_p), want in kept.items():
        assert filter_logits(logits, 1.0, top_k, top_p).isfinite().nonzero()[:, 0].tolist() == want
    assert torch.equal(filter_logits(logits, 2.0), logits / 2)
    tied = torch.tensor([1.0, 3.0, 3.0, 2.0])
    assert filter_logits(tied, top_k=1).isfinite().tolist() == [False, True, True, False]
    assert filter_logits(tied, temperature=0).isfinite().tolist() == [False, True, False, False]


def test_uniform_numbers_are_those_of_the_javascript():
    # mulberry32 in Node.js: the first four numbers times 2**32, and the hundred thousandth after them
    javascript = {
        0: ([1144304738, 1416247, 958946056, 627933444], 1616454511),
        1: ([2693262067, 11749833, 2265367787, 4213581821], 1928544426),
        42: ([2581720956, 1925393290, 3661312704, 2876485805], 633081858),
        -1: ([3850105811, 813802916, 3073704848, 4054706436], 3707917774),
        2**32 - 1: ([3850105811, 813802916, 3073704848, 4054706436], 3707917774),
    }
    for seed, (first, late) in javascript.items():
        numbers = uniforms(seed, 100_004)[0].tolist()
        assert [u * 2**32 for u in numbers[:4]] == first
        assert numbers[-1] * 2**32 == late
        assert abs(sum(numbers) / len(numbers) - 0.5) < 0.005 and 0 <= min(numbers) and max(numbers) < 1


def test_streams_of_rows_and_of_neighbouring_seeds_are_apart():
    streams = torch.cat([uniforms(seed, 8, rows=256) for seed in range(10)])
    assert len({tuple(row) for row in streams.tolist()}) == 2560
    assert torch.equal(uniforms(7, 8, rows=3)[0], uniforms(7, 8)[0])
    first = streams[:, 0]
    assert (
        abs(float(first.mean()) - 0.5) < 0.02 and float(torch.corrcoef(streams.T).triu(1).abs().max()) < 0.08
    )


def test_one_prompt_many_times_gives_independent_texts():
    model, many = make(GPT), ["fox"] * 256
    texts = [t for seed in range(10) for t in generate(model, LETTERS, many, 24, stop=False, seed=seed)]
    assert len(set(texts)) == 2560  # they were one text before each row had a stream of its own


def test_ids_are_to_be_had_with_the_end_where_a_text_ended():
    a, b, end = (*LETTERS.encode("ab"), LETTERS.bos)
    model = chain({"": a, "a": b, "b": end})
    contexts = [[end], [end, a], [end, b, a]]
    assert generate_ids(model, contexts, 9, end=end) == [[a, b, end], [b, end], [b, end]]
    assert generate_ids(model, contexts[:1], 2) == [[a, b]]
    assert generate_ids(model, [], 2) == []
    with pytest.raises(ValueError, match=r"^seed must be one number or one a prompt, 3, but 2 came\.$"):
        generate_ids(model, contexts, seed=[1, 2])


def test_a_batch_that_memory_refuses_is_halved(monkeypatch):
    """As on a GPU, where all prompts are tried at once."""
    model, tried = make(LSTM), []
    want = generate(model, LETTERS, ["a"] * 9, 12, seed=3)

    def scarce(self, ids, state=None):
        tried.append(len(ids))
        if len(ids) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return LanguageModel.next(self, ids, state)

    monkeypatch.setattr(LSTM, "next", scarce)
    assert generate(model, LETTERS, ["a"] * 9, 12, seed=3) == want
    assert tried[:3] == [9, 4, 2]
    monkeypatch.setattr(LSTM, "next", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("none at all")))
    with pytest.raises(torch.OutOfMemoryError):
        generate(model, LETTERS, "a", 12)


def test_a_draw_is_the_inverse_of_the_summed_probabilities():
    logits = torch.tensor([0.25, 0.0, 0.5, 0.25]).log().expand(6, 4)
    u = [0.0, 0.2499, 0.2501, 0.7499, 0.7501, 1 - 2**-32]
    u = torch.tensor(u, dtype=torch.float64)
    assert sample(logits, u).tolist() == [0, 0, 2, 2, 3, 3]
    assert sample(logits, u, temperature=0).tolist() == [2] * 6
    assert sample(logits, u, top_k=1).tolist() == [2] * 6
    logits = torch.randn(1, 50, generator=torch.Generator().manual_seed(0))
    n = 20_000
    drawn = sample(logits.expand(n, -1), uniforms(3, n)[0], 1.3, 20, 0.9)
    expected = filter_logits(logits, 1.3, 20, 0.9).softmax(-1)[0]
    counts = drawn.bincount(minlength=50) / n
    assert ((counts - expected).abs() <= 5 * (expected * (1 - expected) / n).sqrt()).all()


def by_the_long_road(model, prompt, n, settings, seed=0):
    """No cache, no batch: for each token the whole text, Hugging Face's warpers and one draw."""
    ids, limit, start = [LETTERS.bos, *LETTERS.encode(prompt)], model.max_positions or 10**9, 0
    if len(ids) > limit:
        start = len(ids) - limit // 2
    new = []
    for u in uniforms(seed, n)[0].tolist():
        if len(ids) - start > limit:
            start = len(ids) - limit // 2
        logits = model(torch.tensor([ids[start:]]))[0][:, -1]
        if settings[0] == 0:
            token = int(logits.argmax())
        else:
            token = int((warped(logits, *settings).softmax(-1)[0].cumsum(0) > u).nonzero()[0])
        if token == LETTERS.bos:
            break
        ids.append(token)
        new.append(token)
    return prompt + LETTERS.decode(new)


@pytest.mark.parametrize("settings", [(0, None, None), (1.0, None, None), (0.9, 20, 0.95)])
@pytest.mark.parametrize("rung", RUNGS)
def test_with_and_without_cache_token_by_token(rung, settings):
    model = make(rung)
    for seed, prompt in enumerate(["", "a", "fox on the moon", "zzz"]):
        want = by_the_long_road(model, prompt, 40, settings, seed)
        assert generate(model, LETTERS, prompt, 40, *settings, seed=seed) == want


@pytest.mark.parametrize("rung", RUNGS)
def test_a_list_with_seeds_gives_what_each_prompt_gives_alone(rung):
    model = make(rung)
    given = prompts(70, 30)  # more than fit into one batch, of differing length
    settings, seeds = {"temperature": 0.9, "top_k": 20, "top_p": 0.97}, list(range(5, 75))
    texts = generate(model, LETTERS, given, 30, **settings, seed=seeds)
    assert texts == [generate(model, LETTERS, p, 30, **settings, seed=s) for p, s in zip(given, seeds)]
    with_one = generate(model, LETTERS, given, 30, **settings, seed=5)
    assert with_one[0] == texts[0] and with_one[1:] != texts[1:]
    assert len(set(texts)) > 50
    assert all(text.startswith(p) for text, p in zip(texts, given))


@pytest.mark.filterwarnings("ignore:The prompt with its continuation")
@pytest.mark.parametrize("block_size", [1, 2, 7, 16])
def test_past_the_block_the_last_half_is_read_again(block_size):
    model = make(GPT, block_size)
    given = [*prompts(6, 4), *prompts(6, 40, seed=1)]  # some longer than the block from the start
    seeds = [2] * len(given)
    texts = generate(model, LETTERS, given, 35, stop=False, seed=seeds)
    assert texts == [generate(model, LETTERS, p, 35, stop=False, seed=2) for p in given]
    if block_size > 1:
        stopped = generate(model, LETTERS, given, 35, seed=seeds)
        assert stopped == [by_the_long_road(model, p, 35, (1.0, None, None), 2) for p in given]


def test_the_window_slides_with_one_warning_and_only_when_it_must():
    model = make(GPT, 16)
    for prompt, n in (("abcdefghijklmnopqrst", 1), (["a", "b"], 40), (["a", "abcdefghijklmnopqrst"], 40)):
        with pytest.warns(UserWarning, match=r"^The prompt .* 16 tokens; .* last 8 or more\.$") as caught:
            generate(model, LETTERS, prompt, n, stop=False)
        assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generate(model, LETTERS, "abcdefghijklmno", 1)  # with <|endoftext|>, 16 tokens: the block is full
        generate(model, LETTERS, "abcde", 11, stop=False)
        generate(make(LSTM, 16), LETTERS, "abcde", 100, stop=False)  # its memory has no end


def test_greedy_equals_transformers(tmp_path):
    model = make(GPT)
    model.save_pretrained(tmp_path)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path, dtype=torch.float64)
    ids = torch.tensor([[LETTERS.bos, *LETTERS.encode("fox")]])
    out = theirs.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=50, do_sample=False, pad_token_id=0
    )
    assert generate(model, LETTERS, "fox", 50, temperature=0) == LETTERS.decode(out[0].tolist())


def chain(links):
    """A bigram model that goes the given ways: {"a": "b"} writes b after a."""
    model = Bigram(BigramConfig(vocab_size=len(LETTERS)))
    for before, after in links.items():
        model.table.weight.data[LETTERS.encode(before or "<|endoftext|>")[0], after] = 50.0
    return model.eval()


def test_stops_at_the_end_of_a_text_or_goes_on_through_it():
    a, b, c, end = (*LETTERS.encode("abc"), LETTERS.bos)
    model = chain({"": a, "a": b, "b": c, "c": end})
    assert generate(model, LETTERS, "a") == "abc"
    assert generate(model, LETTERS, ["a", "xb", "c", ""]) == ["abc", "xbc", "c", "abc"]
    assert generate(model, LETTERS, "a", max_new_tokens=1) == "ab"
    assert generate(model, LETTERS, "a", max_new_tokens=8, stop=False) == "abcabcabc"[:7]


def test_an_empty_prompt_writes_a_text_from_its_start():
    a, b = LETTERS.encode("ab")
    assert generate(chain({"": a, "a": b, "b": LETTERS.bos}), LETTERS, "") == "ab"


def test_special_tokens_in_a_prompt_are_read_as_such_and_given_back():
    model = chain({"<|story|>": LETTERS.encode("a")[0], "a": LETTERS.bos})
    assert generate(model, LETTERS, "<|story|>") == "<|story|>a"


def test_seeds_and_lists():
    model = make(LSTM)
    assert generate(model, LETTERS, "fox", seed=1) == generate(model, LETTERS, "fox", seed=1)
    assert generate(model, LETTERS, "fox", seed=1) != generate(model, LETTERS, "fox", seed=2)
    assert generate(model, LETTERS, []) == []
    assert generate(model, LETTERS, ("fox",)) == [generate(model, LETTERS, "fox")]


BAD = {
    "temperature": ({"temperature": -0.1}, "temperature", "-0.1"),
    "temperature nan": ({"temperature": float("nan")}, "temperature", "nan"),
    "top_p 0": ({"top_p": 0}, "top_p", "0"),
    "top_p over 1": ({"top_p": 1.01}, "top_p", "1.01"),
    "top_k": ({"top_k": 0}, "top_k", "0"),
    "max_new_tokens": ({"max_new_tokens": 0}, "max_new_tokens", "0"),
    "characters": ({"prompt": "Fox 7"}, "'7'", "unk=True"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_are_refused_in_one_sentence(case):
    settings, name, came = BAD[case]
    with pytest.raises(ValueError) as error:
        generate(make(Bigram), LETTERS, **{"prompt": "fox"} | settings)
    message = str(error.value)
    assert name in message and came in message
    assert message.endswith(".") and "\n" not in message and ". " not in message
    if name in ("temperature", "top_p", "top_k"):
        with pytest.raises(ValueError, match=name):
            filter_logits(torch.zeros(3), **settings)


def test_a_prompt_must_be_text():
    with pytest.raises(TypeError, match=r"^prompt must be .* \[3\] came\.$"):
        generate(make(Bigram), LETTERS, [3])


def test_a_tokenizer_of_another_model_is_refused():
    other = Tokenizer.char(["abcdefghijklmnop qrstuvwxyz0123456789"])
    with pytest.raises(ValueError, match=r"^tokenizer has 38 tokens, but the model has 29; .*\.$"):
        generate(make(Bigram), other, "fox")


def test_damaged_weights_are_told_and_training_mode_is_put_back():
    model = make(GPT).train()
    generate(model, LETTERS, "fox", 3)
    assert model.training
    model.ln_f.weight.data[0] = float("nan")
    with pytest.raises(ValueError, match=r"^The model's logits .* diverged\.$"):
        generate(model, LETTERS, "fox", 3)
    assert model.training


def test_dropout_is_off_while_it_writes():
    model = GPT(GPTConfig(vocab_size=len(LETTERS), dropout=0.5)).train()
    assert generate(model, LETTERS, "fox", 30) == generate(model, LETTERS, "fox", 30)


@pytest.mark.parametrize("id", [-1, 7])
def test_ids_that_are_not_the_models_are_named(id):
    model = textgen.Bigram(textgen.BigramConfig(vocab_size=7))
    assert textgen.sample.generate_ids(model, [[0], [0, 6]], 1)
    with pytest.raises(ValueError, match=f"contexts has the token {id}, but the model's are 0 to 6"):
        textgen.sample.generate_ids(model, [[0], [0, id]], 1)
