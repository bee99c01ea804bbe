"""Text goes in and comes back whole, here and in ``transformers``."""

import _thread
import json
import os
import random
import time

import pytest
import tokenizers
from textgen import files, storyworld
from textgen.tokenizer import Tokenizer, write_atomically
from transformers import AutoTokenizer

TEXTS = [
    "Once there was a fox, and the fox had a red kite.",
    'The owl\'s friend said: "Is it 7 already?"  Nobody knew...\n\tThe end.',
    "El niño vio una estrella; Zoë laughed, naïve as ever 🙂.",
]
MAKERS = {
    "char": Tokenizer.char,
    "word": Tokenizer.word,
    "bpe": lambda texts: Tokenizer.bpe(texts, vocab_size=300, specials=["<|story|>"]),
    "char with unk": lambda texts: Tokenizer.char(texts, unk=True, specials=["<|story|>"]),
    "word with unk": lambda texts: Tokenizer.word(texts, unk=True),
}


def unicode_noise(seed: int, length: int = 40) -> str:
    """Any characters at all, but for the surrogates, which no UTF-8 text holds."""
    r = random.Random(seed)
    limits = [0x80, 0x250, 0x3000, 0xD800, 0x110000]
    codes = (r.randrange(r.choice(limits)) for _ in range(length))
    return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)


@pytest.mark.parametrize("kind", MAKERS)
def test_round_trip(kind):
    tokenizer = MAKERS[kind](TEXTS)
    assert tokenizer.bos == 0
    for text in [*TEXTS, "", TEXTS[0] + "\n" + TEXTS[2]]:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert all(0 < i < len(tokenizer) for i in ids)
    assert tokenizer.encode_batch(TEXTS) == [tokenizer.encode(text) for text in TEXTS]


def test_what_a_token_is():
    assert [Tokenizer.char(["ab é"]).piece(i) for i in range(5)] == ["<|endoftext|>", " ", "a", "b", "é"]
    words = Tokenizer.word(["The owl's den, it said: go on."])
    pieces = [words.piece(i) for i in words.encode("The owl's den, it said: go on.")]
    assert pieces == ["The", " owl's", " den", ",", " it", " said", ":", " go", " on", "."]
    frequent = Tokenizer.bpe(["the fox the fox the fox"], vocab_size=270, specials=[])
    assert [frequent.piece(i) for i in frequent.encode("the fox")] == ["the", " fox"]


@pytest.mark.parametrize("seed", range(50))
def test_bpe_gives_back_any_unicode(seed):
    tokenizer = Tokenizer.bpe(TEXTS, vocab_size=300, specials=[])
    text = unicode_noise(seed)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("letters", ["acgt", " ", "-", "日本語中文"])
def test_one_word_of_a_long_text_is_linear_in_time(letters):
    def seconds(n):
        text = "".join(random.Random(n).choices(letters, k=n))
        start = time.process_time()
        tokenizer = Tokenizer.bpe(text, vocab_size=300)
        ids = tokenizer.encode(text)
        used = time.process_time() - start
        assert tokenizer.decode(ids) == text
        return used

    seconds(1000)
    assert seconds(80_000) < 4 * 8 * max(seconds(10_000), 0.01)  # the square would be 64 times


@pytest.mark.parametrize("kind", MAKERS)
def test_a_text_longer_than_a_piece_comes_back_whole(kind):
    texts = ["hippopotamus" * 2000, " ".join(TEXTS * 200), "\n".join(TEXTS * 200)]
    tokenizer = MAKERS[kind]([*TEXTS, *texts])
    for text in texts:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert tokenizer.encode_batch([TEXTS[0], text, ""]) == [tokenizer.encode(TEXTS[0]), ids, []]


@pytest.mark.parametrize("unk", [False, True])
def test_letters_looked_up_are_those_of_the_backend(unk):
    tokenizer = Tokenizer.char(TEXTS, unk=unk, specials=["<|story|>", "<|storyteller|>"])
    text = (
        "<|story|>Once<|storyteller|><|endoftext|> <|stor a fox.<|unk|>"
        if unk
        else "<|story|>Once <|endoftext|>a fox."
    )
    text += "日本" if unk else ""
    assert tokenizer.encode(text) == tokenizer.backend.encode(text, add_special_tokens=False).ids


def test_learning_byte_pairs_can_be_interrupted():
    def texts():
        for _ in range(30):
            yield "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=8000))
        _thread.interrupt_main()
        while True:
            time.sleep(0.001)
            yield "and so on, for ever"

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Tokenizer.bpe(texts())
    assert time.monotonic() - start < 30  # it would not come back at all
    assert len(Tokenizer.bpe(TEXTS, vocab_size=300)) == 300  # which waits where the other still learns


def test_special_tokens():
    specials = [f"<|{kind}|>" for kind in storyworld.KINDS]
    tokenizer = Tokenizer.bpe(TEXTS, specials=specials)
    kinds = [tokenizer.kind(kind) for kind in storyworld.KINDS]
    assert kinds == list(range(1, len(storyworld.KINDS) + 1))
    assert tokenizer.encode("<|qa|>Once<|endoftext|>") == [
        tokenizer.kind("qa"),
        *tokenizer.encode("Once"),
        tokenizer.bos,
    ]
    assert tokenizer.decode(tokenizer.encode("<|qa|>Once<|endoftext|>")) == "Once"
    assert tokenizer.prefix() == [0, tokenizer.kind("story")]
    assert tokenizer.prefix("qa") == [0, tokenizer.kind("qa")]
    assert tokenizer.kind("poem") is None and tokenizer.prefix("poem") == [0]
    assert Tokenizer.char(TEXTS).prefix() == [0]


def test_bpe_reaches_its_size_and_no_less_than_the_bytes():
    stories = [story.text for story in storyworld.stories(200)]
    assert len(Tokenizer.bpe(stories, vocab_size=500)) == 500
    with pytest.raises(ValueError, match=r"^vocab_size must be 257 or more .* but 256 came\.$"):
        Tokenizer.bpe(TEXTS, vocab_size=256)
    assert len(Tokenizer.bpe(TEXTS, vocab_size=257)) == 257  # the bytes and <|endoftext|>, nothing else


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_texts_make_the_same_tokenizer(kind):
    assert MAKERS[kind](TEXTS).backend.to_str() == MAKERS[kind](TEXTS).backend.to_str()


def test_one_string_counts_as_one_text():
    assert Tokenizer.char("abc").encode("cab") == [3, 1, 2]


@pytest.mark.parametrize(
    "make, text, named",
    [
        (Tokenizer.char, "Once 日 and 本", ["'日'", "'本'"]),
        (Tokenizer.word, "Once a wolf", ["' wolf'"]),
    ],
)
def test_unknown_pieces_are_named_in_one_sentence(make, text, named):
    with pytest.raises(ValueError) as error:
        make(["<|story|>", *TEXTS]).encode(text)
    message = str(error.value)
    assert all(piece in message for piece in named)
    assert message.endswith("unk=True.") and "\n" not in message and ". " not in message


@pytest.mark.parametrize("kind", MAKERS)
def test_half_a_character_and_what_is_no_text_are_named(kind):
    tokenizer = MAKERS[kind](TEXTS)
    half = (
        r"^text holds '\\udc00', half of a character \(a lone surrogate\): leave it out, or write the whole"
    )
    with pytest.raises(ValueError, match=half):
        tokenizer.encode("Once \udc00")
    with pytest.raises(ValueError, match=half):
        tokenizer.encode_batch([TEXTS[0], "\udc00"])
    with pytest.raises(TypeError, match=r"^text must be a text, not 3\.$"):
        tokenizer.encode(3)


@pytest.mark.parametrize("kind", MAKERS)
def test_no_tokenizer_is_learnt_from_half_a_character_or_what_is_no_text(kind):
    for texts in ("Once \ud83d", [*TEXTS, "\ud83d"], iter(["\ud83d", *TEXTS])):
        with pytest.raises(
            ValueError, match=r"^texts holds '\\ud83d', half of a character \(a lone surrog"
        ) as e:
            MAKERS[kind](texts)
        assert ". " not in str(e.value) and "\n" not in str(e.value)
    for texts in (3, [*TEXTS, 3], None):
        with pytest.raises(TypeError, match=r"^texts must be a text, not (3|None)\.$"):
            MAKERS[kind](texts)


@pytest.mark.parametrize("make", [Tokenizer.char, Tokenizer.word])
def test_with_unk_the_rest_of_the_text_survives(make):
    tokenizer = make(TEXTS, unk=True)
    ids = tokenizer.encode("Once 日 the fox")
    assert ids.count(tokenizer.kind("unk")) == 1
    assert tokenizer.decode(ids).replace(" ", "") == "Oncethefox"


@pytest.mark.parametrize("kind", MAKERS)
def test_save_and_read(tmp_path, kind):
    tokenizer = MAKERS[kind](TEXTS)
    tokenizer.save(tmp_path / "sub" / "tokenizer.json")
    back = Tokenizer.from_file(tmp_path / "sub" / "tokenizer.json")
    assert back.bos == 0 and len(back) == len(tokenizer)
    assert back.encode(TEXTS[1]) == tokenizer.encode(TEXTS[1])
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize("kind", MAKERS)
def test_transformers_reads_the_folder(tmp_path, kind):
    tokenizer = MAKERS[kind](TEXTS)
    tokenizer.save_pretrained(tmp_path)
    auto = AutoTokenizer.from_pretrained(tmp_path)
    assert auto.bos_token_id == auto.eos_token_id == auto.pad_token_id == 0
    assert len(auto) == len(tokenizer)
    for text in TEXTS:
        ids = auto(text).input_ids
        assert ids == [0, *tokenizer.encode(text)]  # prompts begin as they did in training
        assert auto.decode(ids, skip_special_tokens=True) == text
    if kind == "bpe":
        for seed in range(50):
            text = unicode_noise(seed)
            assert auto(text).input_ids == [0, *tokenizer.encode(text)]
            assert auto.decode(auto(text).input_ids, skip_special_tokens=True) == text
        assert auto("<|story|>Once").input_ids == [0, 1, *tokenizer.encode("Once")]


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^There is no tokenizer\.json in .*\.$"):
        Tokenizer.from_file(tmp_path / "tokenizer.json")
    path = tmp_path / "tokenizer.json"
    Tokenizer.char(TEXTS).save(path)
    path.write_text(path.read_text()[:-200])
    with pytest.raises(ValueError, match="truncated or altered"):
        Tokenizer.from_file(path)
    tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, "a")).save(str(path))
    with pytest.raises(ValueError, match=r"<\|endoftext\|> in its vocabulary"):
        Tokenizer.from_file(path)


def test_write_atomically_keeps_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "settings.json"
    write_atomically(path, '{"a": 1}')

    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("textgen.files.os.replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, '{"a": 2}')
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]


def test_two_writers_of_one_file_both_write_it_whole(tmp_path):
    with files.replacing(tmp_path / "x") as slow:
        slow.write_bytes(b"one, sl")
        with files.replacing(tmp_path / "x") as fast:
            fast.write_bytes(b"two")
        assert (tmp_path / "x").read_bytes() == b"two"
        with open(slow, "ab") as file:
            file.write(b"ow")
    assert (tmp_path / "x").read_bytes() == b"one, slow" and os.listdir(tmp_path) == ["x"]


def test_a_file_of_another_version_is_told_from_damage_and_a_mark_at_its_beginning_is_none(tmp_path):
    path = tmp_path / "tokenizer.json"
    Tokenizer.char(["ab"]).save(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(Tokenizer.from_file(path)) == 3
    found = json.loads(path.read_text("utf-8-sig"))
    found["model"]["type"] = "WordLevel2"
    path.write_text(json.dumps(found))
    with pytest.raises(ValueError, match=r"cannot be read by tokenizers .* may come from a newer version"):
        Tokenizer.from_file(path)
