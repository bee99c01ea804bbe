"""A conversation as ids, and `reply`: the format to the letter, whole exchanges dropped, one sentence for what is wrong."""

import functools

import pytest
import textgen
import torch
from textgen import dialogue
from textgen.sample import generate_ids
from textgen.tokenizer import Tokenizer
from transformers import AutoTokenizer, pipeline

torch.set_num_threads(1)
NAMES, THINGS = ("Ada", "Omar", "Rosa", "Jürgen"), ("kite", "boat", "drum")
PAIRS = [(f"What has {name}?", f"{name} has a red {thing}.") for name in NAMES for thing in THINGS]
PAIRS += [
    (f"Where is the {t}?", f"The {t} is with {n}, not far from the lake.") for n in NAMES for t in THINGS
]
QUESTIONS = ("What has Ada?", "Where is the boat?", "Where is the kite?", "What has Rosa?")


@functools.cache
def talker(seed=0):
    """A small GPT that has learned to answer, and its tokenizer; about three exchanges fit into its block."""
    tokenizer = Tokenizer.bpe([f"User: {q} Assistant: {a}" for q, a in PAIRS], vocab_size=330)
    torch.manual_seed(seed)
    sizes = {"block_size": 72, "n_layer": 2, "n_head": 2, "n_embd": 32}
    model = textgen.GPT(textgen.GPTConfig(len(tokenizer), **sizes))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    order = torch.randperm(4 * len(PAIRS), generator=torch.Generator().manual_seed(0)).tolist()
    talk = said(*(text for i in order for text in PAIRS[i % len(PAIRS)]))
    ids = torch.tensor(dialogue.chat_ids(talk, tokenizer))  # exchange after exchange
    starts = (ids == tokenizer.bos).nonzero()[:-5, 0]
    rows = ids[starts[:, None] + torch.arange(73)]  # (91, 73)
    for step in range(90):
        batch = rows[step % 4 :: 4]
        optimizer.zero_grad()
        model(batch[:, :-1], batch[:, 1:])[1].backward()
        optimizer.step()
    return model.eval(), tokenizer


def said(*contents):
    """These texts, by user and assistant in turn."""
    return [{"role": dialogue.ROLES[i % 2], "content": text} for i, text in enumerate(contents)]


def talk(questions, answer):
    """Ask one question after another; `answer` gets the messages so far. Returns all messages."""
    messages = []
    for question in questions:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer(messages)})
    return messages


def test_the_format_is_the_one_that_the_model_learns():
    _, tokenizer = talker()
    ids = dialogue.chat_ids(said("Hello", "Good day.", " Ada?\n"), tokenizer)
    parts = ["User: Hello Assistant:", " Good day.", "User:  Ada?\n Assistant:"]
    first, answer, second = map(tokenizer.encode, parts)
    assert ids == [tokenizer.bos, *first, *answer, tokenizer.bos, *second]
    assert dialogue.chat_ids([], tokenizer) == []


def test_the_chat_template_writes_the_same_format(tmp_path):
    """A folder saved with it: Hugging Face's tokenizer makes the same ids, and a pipeline the same answer."""
    model, tokenizer = talker()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path, dialogue.CHAT_TEMPLATE)
    messages = said(QUESTIONS[0], "Ada has a red kite.", QUESTIONS[1])
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ids = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert ids == dialogue.chat_ids(messages, tokenizer)
    pipe = pipeline("text-generation", model=str(tmp_path), device="cpu")
    answer = textgen.reply(model, tokenizer, messages, 20, temperature=0)
    written = pipe(messages, max_new_tokens=20, do_sample=False)[0]["generated_text"][-1]
    assert written["role"] == "assistant" and written["content"].strip() == answer.strip() != ""


def test_an_answer_is_what_generate_ids_writes_and_ends_at_the_end_token():
    model, tokenizer = talker()
    messages = said("What has Ada?")
    (ids,) = generate_ids(model, [dialogue.chat_ids(messages, tokenizer)], 40, 0.5, end=tokenizer.bos, seed=3)
    answer = textgen.reply(model, tokenizer, messages, 40, 0.5, seed=3)
    assert ids[-1] == tokenizer.bos and " " + answer == tokenizer.decode(ids)
    assert answer.endswith(".")


def test_a_conversation_repeats_and_a_question_asked_twice_has_two_draws(monkeypatch):
    seeds = []
    monkeypatch.setattr(
        dialogue, "generate_ids", lambda *a, end: (seeds.append(a[-1]), generate_ids(*a, end=end))[1]
    )

    def ask(messages):
        return textgen.reply(*talker(), messages, 20, 1.0, top_k=50, top_p=0.95, seed=7) or "x"

    assert talk(QUESTIONS[:1] * 4, ask) == talk(QUESTIONS[:1] * 4, ask)
    assert seeds == [7, 8, 9, 10] * 2


def test_the_oldest_exchanges_are_dropped_whole(monkeypatch):
    model, tokenizer = talker()
    read = []
    monkeypatch.setattr(dialogue, "generate_ids", lambda _, rows, *a, end: (read.append(rows[0]), [[end]])[1])
    messages = said("What has Ada?", "Ada has a red kite.", "Where is it?", "Not far.", "And the boat?")
    whole = dialogue.chat_ids(messages, tokenizer)
    exchange = len(dialogue.chat_ids(messages[:2], tokenizer))
    room = 72 - len(whole)
    for max_new_tokens, start in ((room, 0), (room + 1, exchange), (room + exchange, exchange)):
        assert textgen.reply(model, tokenizer, messages, max_new_tokens) == ""
        assert read.pop() == whole[start:]
    last = dialogue.chat_ids(messages[-1:], tokenizer)
    textgen.reply(model, tokenizer, messages, 72 - len(last))
    assert read.pop() == last
    with pytest.raises(
        ValueError, match=rf"^The last message takes {len(last)} tokens, .*=\d+ .* 72 .*: shorten it.*\.$"
    ):
        textgen.reply(model, tokenizer, messages, 73 - len(last))


def test_a_model_without_a_block_reads_all():
    _, tokenizer = talker()
    model = textgen.LSTM(textgen.LSTMConfig(len(tokenizer), n_hidden=8))
    assert isinstance(textgen.reply(model, tokenizer, said(*["Hello"] * 41), 5), str)


@pytest.mark.parametrize(
    "messages, words",
    [
        (said("Hi", " \n"), r"messages\[1\] must have a text as its content, but ' \\n' came\."),
        ([{"role": "user", "content": None}], r"messages\[0\] must have a text .*, but None came\."),
        ([{"role": "user"}], r"messages\[0\] must have a text .*, but None came\."),
        (said("Hi")[:1] * 2, r'messages\[1\] must have the role "assistant", since .*, but \'user\' came\.'),
        (
            [{"role": "system", "content": "x"}],
            r'messages\[0\] must have the role "user", .*\'system\' came\.',
        ),
        ("Hello", r'messages\[0\] must have the role "user", since .*, but \'H\' came\.'),
        (
            said("Hi", "Ho"),
            r"messages must end with one of the user, .*, but the last one is the assistant's\.",
        ),
        ([], r"messages must end with one of the user, to be answered, but there are none\."),
    ],
)
def test_what_is_no_conversation_is_one_sentence(messages, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        textgen.reply(*talker(), messages, 5)


def test_settings_out_of_range_and_another_tokenizer_are_refused():
    model, tokenizer = talker()
    for wrong, words in (
        ({"temperature": -1}, "temperature must be"),
        ({"top_p": 2}, "top_p must be"),
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number from 1 to 1,000,000, not 0"),
    ):
        with pytest.raises(ValueError, match=words):
            textgen.reply(model, tokenizer, said("Hi"), **({"max_new_tokens": 5} | wrong))
    with pytest.raises(ValueError, match=r"tokenizer has 1024 tokens, but the model has \d+; give"):
        textgen.reply(model, textgen.load("pocket-gpt")[1], said("Hi"), 5)
