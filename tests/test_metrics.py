"""The figures mean what they say: each is held against a plain computation by another way."""

import math
import random
from types import SimpleNamespace

import pytest
import torch
from textgen import GPT, LSTM, Bigram, BigramConfig, GPTConfig, LSTMConfig, metrics, storyworld
from textgen.tokenizer import Tokenizer

TEXTS = ["Ada has a red hat.", "Bob sat.", "The hat of Ada was red, and Bob liked it."]


@pytest.fixture
def tokenizer():
    return Tokenizer.char(TEXTS, specials=["<|story|>", "<|qa|>"])


def random_gpt(tokenizer, block_size=64):
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=len(tokenizer), block_size=block_size, n_layer=2, n_head=2, n_embd=16))
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return model


def plain_nats(model, tokenizer, text, kind="story"):
    """One text, no batch, no padding, float64."""
    prefix = tokenizer.prefix(kind)
    row = [*prefix, *tokenizer.encode(text), tokenizer.bos]
    with torch.no_grad():
        log_probs = model.eval()(torch.tensor([row[:-1]]))[0][0].double().log_softmax(-1)
    return [-log_probs[i - 1, row[i]].item() for i in range(len(prefix), len(row))]


@pytest.mark.parametrize("make", [Tokenizer.char, Tokenizer.word])
def test_a_uniform_model_needs_log2_of_the_vocabulary_for_each_token(make):
    tokenizer = make(TEXTS)
    model = Bigram(BigramConfig(vocab_size=len(tokenizer)))  # all logits are zero
    tokens = sum(len(tokenizer.encode(text)) + 1 for text in TEXTS)
    characters = sum(len(text) + 1 for text in TEXTS)
    expected = math.log2(len(tokenizer)) * tokens / characters
    assert metrics.bits_per_char(model, tokenizer, TEXTS) == pytest.approx(expected, rel=1e-6)


def test_the_end_token_is_counted(tokenizer):
    model = Bigram(BigramConfig(vocab_size=len(tokenizer)))
    before = metrics.bits_per_char(model, tokenizer, TEXTS)
    stop = tokenizer.encode(".")[0]  # each text has one full stop, at its end
    with torch.no_grad():  # after a full stop the end is made as likely as all else together
        model.table.weight[stop, tokenizer.bos] = math.log(len(tokenizer) - 1)
    after = metrics.bits_per_char(model, tokenizer, TEXTS)
    saved = (math.log2(len(tokenizer)) - 1) * len(TEXTS) / sum(len(text) + 1 for text in TEXTS)
    assert before - after == pytest.approx(saved, rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_batches_and_padding_change_nothing(tokenizer, batch_size):
    model = random_gpt(tokenizer)
    nats = sum(sum(plain_nats(model, tokenizer, text, "qa")) for text in TEXTS)
    expected = nats / math.log(2) / sum(len(text) + 1 for text in TEXTS)
    found = metrics.bits_per_char(model, tokenizer, TEXTS, kind="qa", batch_size=batch_size)
    assert found == pytest.approx(expected, rel=1e-5)
    assert abs(metrics.bits_per_char(model, tokenizer, TEXTS) - expected) > 1e-4  # the kind matters


def test_few_logits_at_once_change_nothing(tokenizer, monkeypatch):
    model = random_gpt(tokenizer)
    expected = metrics.bits_per_char(model, tokenizer, TEXTS)
    monkeypatch.setattr(metrics, "LOGITS", 1)
    assert metrics.bits_per_char(model, tokenizer, TEXTS) == pytest.approx(expected, rel=1e-6)


def test_a_story_object_and_a_single_text_will_do(tokenizer):
    model = random_gpt(tokenizer)
    expected = metrics.bits_per_char(model, tokenizer, TEXTS[:1])
    assert metrics.bits_per_char(model, tokenizer, TEXTS[0]) == expected
    assert metrics.bits_per_char(model, tokenizer, [SimpleNamespace(text=TEXTS[0])]) == expected
    with pytest.raises(ValueError, match="texts is empty"):
        metrics.bits_per_char(model, tokenizer, [])


@pytest.mark.parametrize("block", [4, 7, 16, 41, 42, 43, 44])
def test_a_text_longer_than_the_block_is_read_in_pieces(tokenizer, block):
    model, text = random_gpt(tokenizer, block_size=block), TEXTS[2]
    row = [*tokenizer.prefix(), *tokenizer.encode(text), tokenizer.bos]
    (losses, _), other = metrics.score(
        model, tokenizer, [tokenizer.encode(text), tokenizer.encode("Bob sat.")]
    )
    assert len(losses) == len(text) + 1 and len(other[0]) == len("Bob sat.") + 1
    for i, loss in enumerate(losses.tolist(), start=2):  # row[i] given some context that ends before it
        allowed = []
        for start in range(max(0, i - block), i):
            seen = i - start
            if start == 0 or seen >= block // 2:
                with torch.no_grad():
                    logits = model(torch.tensor([row[start:i]]))[0][0, -1]
                allowed.append(-logits.log_softmax(-1)[row[i]].item())
        assert any(loss == pytest.approx(nats, abs=1e-4) for nats in allowed), (
            f"token {i} had too little context"
        )


def test_a_model_without_a_block_reads_the_whole_text(tokenizer):
    torch.manual_seed(0)
    config = LSTMConfig(vocab_size=len(tokenizer), block_size=8, n_embd=8, n_hidden=8)
    model = LSTM(config)
    nats = sum(plain_nats(model, tokenizer, TEXTS[2]))
    expected = nats / math.log(2) / (len(TEXTS[2]) + 1)
    assert metrics.bits_per_char(model, tokenizer, TEXTS[2:]) == pytest.approx(expected, rel=1e-5)


def test_the_mode_of_the_model_is_left_as_it_was(tokenizer):
    torch.manual_seed(0)
    model = GPT(
        GPTConfig(vocab_size=len(tokenizer), block_size=64, n_layer=1, n_head=2, n_embd=8, dropout=0.5)
    )
    model.train()
    first, again = (metrics.bits_per_char(model, tokenizer, TEXTS) for _ in range(2))
    assert first == again  # measured without dropout
    assert model.training


class Oracle(torch.nn.Module):
    """Knows every row by heart, except the tokens at the `wrong` places (row, token), which it gets wrong."""

    max_positions = None

    def __init__(self, rows, wrong, vocab_size):
        super().__init__()
        self.rows, self.wrong, self.vocab_size = rows, wrong, vocab_size
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, ids):
        logits = torch.zeros(*ids.shape, self.vocab_size)
        for b, given in enumerate(ids.tolist()):
            which = next(i for i, row in enumerate(self.rows) if given[: len(row) - 1] == row[:-1])
            for t, token in enumerate(self.rows[which][1 : len(given) + 1]):
                logits[b, t, (token + ((which, t + 1) in self.wrong)) % self.vocab_size] = 9
        return logits, None


def mention(text, word, kind, distance, nth=1):
    start = -1
    for _ in range(nth):
        start = text.index(word, start + 1)
    return SimpleNamespace(kind=kind, start=start, end=start + len(word), distance=distance)


@pytest.mark.parametrize(
    "make", [Tokenizer.char, Tokenizer.word, lambda t: Tokenizer.bpe(t, 270, specials=[])]
)
def test_recall_looks_at_the_tokens_of_a_mention_and_at_no_others(make):
    texts = ["Ada had a red hat. The hat was red.", "Zoë, a hat. Zoë."]
    tokenizer = make(texts)
    stories = [
        SimpleNamespace(
            text=texts[0],
            mentions=[
                mention(texts[0], "hat", "object", 2, nth=2),
                mention(texts[0], "red", "colour", 5, nth=2),
            ],
        ),
        SimpleNamespace(text=texts[1], mentions=[mention(texts[1], "Zoë", "name", 3, nth=2)]),
    ]
    rows = [[tokenizer.bos, *tokenizer.encode(text), tokenizer.bos] for text in texts]

    def recalled(wrong):
        return metrics.recall(Oracle(rows, wrong, len(tokenizer)), tokenizer, stories)

    assert recalled(set()) == [("object", 2, True), ("colour", 5, True), ("name", 3, True)]
    span = stories[0].mentions[1]
    for i in range(1, len(rows[0]) - 1):
        before, upto = (tokenizer.decode(rows[0][1:stop]) for stop in (i, i + 1))
        hit = len(before) < span.end and len(upto) > span.start
        assert recalled({(0, i)})[1] == ("colour", 5, not hit), f"token {i}: {upto[len(before) :]!r}"
    last = len(rows[1]) - 3  # the last token of the last name: a full stop and the end follow
    assert recalled({(1, last)}) == [("object", 2, True), ("colour", 5, True), ("name", 3, False)]
    assert recalled({(1, last + 1)}) == recalled(set())


def test_average_by_kind_and_distance():
    rows = [("name", 3, True), ("name", 12, False), ("name", 40, True), ("colour", 9, False)]
    assert metrics.average(rows) == {"colour": 0.0, "name": pytest.approx(2 / 3)}
    assert metrics.average(rows, edges=(0, 10, 40)) == {
        ("colour", 0): 0.0,
        ("name", 0): 1.0,
        ("name", 10): 0.0,
        ("name", 40): 1.0,
    }


def greedy(model, tokenizer, prompt, kind):
    """Generate by hand, the whole text again for each token."""
    ids = tokenizer.prefix(kind) + tokenizer.encode(prompt)
    start = len(ids)
    while len(ids) < start + 12:
        with torch.no_grad():
            token = int(model(torch.tensor([ids]))[0][0, -1].argmax())
        if token == tokenizer.bos:
            return tokenizer.decode(ids[start:])
        ids.append(token)
    return None


def test_exact_match_equals_greedy_generation():
    rng = random.Random(0)
    pairs = [(f"{a} + {b} =", f" {a + b}.") for a in range(6) for b in range(6)]
    known = rng.sample(pairs, 18)  # the model learns half of them, and with few steps not all
    tokenizer = Tokenizer.word([p + a for p, a in pairs], specials=["<|qa|>"])
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=len(tokenizer), block_size=16, n_layer=1, n_head=2, n_embd=32))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rows = torch.tensor(
        [tokenizer.prefix("qa") + tokenizer.encode(p + a) + [tokenizer.bos] for p, a in known]
    )
    for _ in range(60):
        optimizer.zero_grad()
        model(rows[:, :-1], rows[:, 1:])[1].backward()
        optimizer.step()
    right = [greedy(model, tokenizer, prompt, "qa") == answer for prompt, answer in pairs]
    assert 5 < sum(right) < len(pairs)  # some right and some wrong, or this would prove nothing
    assert metrics.exact_match(model, tokenizer, pairs, kind="qa") == sum(right) / len(pairs)
    spaced = [(prompt + " ", answer[1:]) for prompt, answer in pairs]  # the space may stand on either side
    assert metrics.exact_match(model, tokenizer, spaced, kind="qa") == sum(right) / len(pairs)


def test_exact_match_wants_the_end_too():
    text = "Q: hat? A: red."
    tokenizer = Tokenizer.char([text])
    row = [tokenizer.bos, *tokenizer.encode(text), tokenizer.bos]
    for wrong, expected in ((set(), 1), ({(0, 3)}, 1), ({(0, len(row) - 1)}, 0), ({(0, len(row) - 3)}, 0)):
        oracle = Oracle([row], wrong, len(tokenizer))
        assert metrics.exact_match(oracle, tokenizer, [("Q: hat? A:", " red.")]) == expected
    with pytest.raises(ValueError, match="pairs is empty"):
        metrics.exact_match(oracle, tokenizer, [])


def test_every_true_story_is_grammatical_and_so_are_its_sentences():
    assert metrics.grammatical(storyworld.stories(150, split="test")) == (1, 1)


STORY = "Zoe was a shy goat who lived by the mill. Zoe had a red hat from her uncle."
SENTENCES = {  # by itself: what must agree inside it, and what only the story before could tell
    " Ada had a red hat from her uncle.": True,
    " Ada had a red hat from his uncle.": False,
    " Ada had a red hat from.": False,
    " Ada had a red hat": False,
    " Ada had an red hat from her uncle.": False,
    ' "Have you seen my red hat?"': True,
    " he asked Ada the fox.": True,
    " he asked Ada the hat.": False,
    ' Tell me and the red hat is yours," said Otto.': True,
    " They searched the mill and found the red hat on top of the wall.": True,
    " Q: Who has the hat now? A: Nobody.": True,
    " Q: Who has the hat now? A: Otto.": True,
    " Q: Who has the hat now? A: red.": False,
    " Q: What colour was the hat? A: red.": True,
    " Q: What is my name? A: My name is Ada.": False,  # a question of another kind of document
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_counts_by_itself(sentence):
    assert metrics.grammatical(STORY + sentence)[1] == pytest.approx((2 + SENTENCES[sentence]) / 3)


def test_a_story_counts_when_it_is_right_to_its_end():
    story = next(s for s in storyworld.stories(50) if "What colour was the" in s.questions[1][0])
    wrong = story.text[: story.text.rindex(" A: ")] + " A: Nobody."
    assert metrics.grammatical([story.text, wrong, story.text[:-1], story.text[:60]])[0] == 0.25
    forgets = story.text.replace(
        story.facts["colour"], "red" if story.facts["colour"] != "red" else "blue", 1
    )
    assert metrics.grammatical(forgets) == (0, 1)  # each sentence is fine, and two of them disagree
    with pytest.raises(ValueError, match="texts holds no sentence"):
        metrics.grammatical([])


def test_the_mode_of_the_model_comes_back_when_reading_fails(tokenizer):
    class Broken(torch.nn.Linear):
        def forward(self, ids):
            raise RuntimeError("broken")

    model = Broken(1, 1).train()
    with pytest.raises(RuntimeError, match="broken"):
        metrics.score(model, tokenizer, [[1, 2]])
    assert model.training


def test_intervals_by_hand_and_their_coverage():
    assert metrics.wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-3)
    assert metrics.wilson(0, 20)[0] == 0 and metrics.wilson(20, 20)[1] == pytest.approx(1)
    assert metrics.wilson(0, 20)[1] == pytest.approx(0.1611, abs=1e-3)
    assert metrics.share([True] * 9 + [False]) == "0.900 (0.596 to 0.982, n = 10)"
    assert metrics.share([]) == "nothing to count"
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(400, 30, generator=generator) < 0.8
    shares = [metrics.wilson(int(row.sum()), 30) for row in rows]
    assert 0.91 <= sum(low <= 0.8 <= high for low, high in shares) / 400 <= 0.99
    means = [
        metrics.bootstrap(row, seed=i) for i, row in enumerate(torch.randn(200, 40, generator=generator))
    ]
    assert 0.89 <= sum(low <= 0 <= high for low, high in means) / 200 <= 0.98
    for wrong in (
        lambda: metrics.wilson(3, 2),
        lambda: metrics.wilson(0, 0),
        lambda: metrics.bootstrap([1.0]),
    ):
        with pytest.raises(ValueError, match="came"):
            wrong()


@pytest.mark.parametrize("kind", [LSTM, Bigram])
def test_a_long_text_of_a_model_without_a_block_is_read_on_from_state_to_state(kind, tokenizer, monkeypatch):
    torch.manual_seed(0)
    config = {LSTM: LSTMConfig, Bigram: BigramConfig}[kind]
    model = kind(config(vocab_size=len(tokenizer)))
    torch.nn.init.normal_(next(model.parameters()))
    text = " ".join(TEXTS * 5)
    whole = metrics.bits_per_char(model, tokenizer, [text])
    monkeypatch.setattr(metrics, "LOGITS", 7 * len(tokenizer))
    sizes = []
    model.head.register_forward_hook(lambda head, given, made: sizes.append(made.size(1)))
    assert metrics.bits_per_char(model, tokenizer, [text]) == pytest.approx(whole, rel=1e-5)
    assert max(sizes) == 7 and sum(sizes) == len(text) + 2


def test_at_places_reads_the_story_up_to_each_place():
    tokenizer = Tokenizer.word([metrics.STORY])
    assert storyworld.stories(6, seed=1, split="test")[5].text.startswith(metrics.STORY)
    torch.manual_seed(0)
    model = LSTM(LSTMConfig(vocab_size=len(tokenizer)))
    rows = metrics.at_places(model, tokenizer)
    ids = tokenizer.prefix() + tokenizer.encode(metrics.STORY)
    p = model(torch.tensor([ids]))[0][0].detach().softmax(-1)
    for (true, word, most), place in zip(rows, metrics.PLACES, strict=True):
        at = (
            len(tokenizer.prefix())
            + len(tokenizer.encode(metrics.STORY[: metrics.STORY.index(place) + len(place)]))
            - 1
        )
        assert tokenizer.piece(ids[at]).strip() == place.split()[-1]
        assert true == pytest.approx(float(p[at - 1, ids[at]]), rel=1e-5)
        assert most == pytest.approx(float(p[at - 1].max()), rel=1e-5)
        assert word == tokenizer.piece(int(p[at - 1].argmax())).strip()
