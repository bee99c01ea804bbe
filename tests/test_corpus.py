"""Batches hold what they say; files and downloads that cannot be used say so in one sentence."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from textgen import corpus, files, pieces
from textgen.tokenizer import Tokenizer

TEXTS = ["Ada has a red hat.", "Bob sat.", "The hat of Ada was red, and Bob liked it."]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def tokenizer():
    return Tokenizer.char(TEXTS, specials=["<|story|>", "<|qa|>"])


def test_story_rows_score_the_text_and_its_end_and_nothing_else(tokenizer):
    data = corpus.stories(TEXTS, TEXTS[:1], tokenizer)
    ids, targets = data.batch("train", 40, None, seeded())
    assert ids.dtype == targets.dtype == torch.int64
    assert ids.shape == targets.shape == (40, 2 + len(TEXTS[2]))
    seen = set()
    for row, target in zip(ids, targets):
        assert row[:2].tolist() == [tokenizer.bos, tokenizer.kind("story")]
        assert target[0] == -100  # the kind is given
        scored = target[target != -100].tolist()
        assert scored[-1] == tokenizer.bos  # the end is a target
        text = tokenizer.decode(scored[:-1])
        seen.add(text)
        first_pad = 1 + len(scored)
        assert (target[first_pad:] == -100).all()
        assert (row[first_pad + 1 :] == tokenizer.bos).all()
        assert tokenizer.decode(row[2:first_pad].tolist()) == text[: first_pad - 2]
    assert seen == set(TEXTS)


def test_story_rows_are_padded_to_the_longest_of_the_batch_only(tokenizer):
    data = corpus.stories([TEXTS[1]] * 50, TEXTS, tokenizer)
    ids, _ = data.batch("train", 8, 256, seeded())
    assert ids.shape == (8, 2 + len(TEXTS[1]))


def test_story_rows_are_cut_at_the_block(tokenizer):
    data = corpus.stories(TEXTS[2:], TEXTS, tokenizer)
    with pytest.warns(UserWarning, match="longer than block_size=10 tokens lose their end"):
        ids, targets = data.batch("train", 1, 10, seeded())
    assert ids.shape == (1, 10)
    assert tokenizer.decode(targets[0, 1:].tolist()) == TEXTS[2][:9]


def test_kinds_of_documents_set_the_first_token(tokenizer):
    documents = [SimpleNamespace(text="Q: hat. A: red.".replace("Q", "A"), kind="qa")]
    texts = [document.text for document in documents]
    tokenizer = Tokenizer.char(texts, specials=["<|story|>", "<|qa|>"])
    ids, _ = corpus.stories(documents, texts, tokenizer, kind="nothing known").batch(
        "train", 1, None, seeded()
    )
    assert ids[0, :2].tolist() == [tokenizer.bos, tokenizer.kind("qa")]
    ids, targets = corpus.stories(documents, texts, tokenizer, kind="none").batch("valid", 1, None, seeded())
    assert (
        ids[0, 0] == tokenizer.bos and targets[0, 0] == ids[0, 1]
    )  # without a kind token the text starts at once


def test_the_generator_fixes_the_batch(tokenizer):
    data = corpus.stories(TEXTS * 9, TEXTS, tokenizer)
    first, again, other = (data.batch("train", 20, 64, seeded(s))[0] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


def test_story_data_that_cannot_be_used(tokenizer):
    with pytest.raises(ValueError, match="valid is an empty list"):
        corpus.stories(TEXTS, [], tokenizer)
    with pytest.raises(ValueError, match="split must be"):
        corpus.stories(TEXTS, TEXTS, tokenizer).batch("test", 1)


@pytest.fixture
def written(tmp_path):
    text = "".join(f"Line {i}: the hat is {'red' if i % 3 else 'blue'}.\n" for i in range(200))
    path = tmp_path / "book.txt"
    path.write_text(text, encoding="utf-8")
    return path, text


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_windows_come_from_the_text_and_predict_the_next_token(written, kind):
    path, text = written
    data = corpus.text_file(path, kind)
    cut = len(text) * 9 // 10 if kind != "word" else len(data.texts["train"][0])
    assert data.texts == {"train": [text[:cut]], "valid": [text[cut:]]}
    for split in ("train", "valid"):
        ids, targets = data.batch(split, 5, 16, seeded())
        assert ids.shape == targets.shape == (5, 16)
        assert (ids[:, 0] == data.tokenizer.bos).all() and (targets[:, 0] == -100).all()
        assert torch.equal(ids[:, 2:], targets[:, 1:-1])
        for row, target in zip(ids, targets):
            window = data.tokenizer.decode([*row[1:].tolist(), int(target[-1])])
            assert len(window) >= 16 and window in data.texts[split][0]


@pytest.mark.parametrize("cut", [*range(36, 52)])
def test_words_are_cut_before_their_space_and_all_known(tmp_path, cut):
    text = "Ada saw the river and then a hippopotamus in it, and a hippopotamus saw Ada."
    text = text[: cut * 10 // 9]
    path = tmp_path / "zoo.txt"
    path.write_text(text)
    data = corpus.text_file(path, "word")
    (train,), (valid,) = data.texts.values()
    assert train + valid == text and valid[0] == " " and len(train) > len(text) // 2
    for words in (text, " hippopotamus"[: len(text) - 28]):
        assert data.tokenizer.decode(data.tokenizer.encode(words)) == words


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_reading_in_pieces_changes_no_token(kind, monkeypatch):
    text = "\n\n  One, two.\n\nThree \n\n\n four's\t\n five <|endoftext|>\n \u00a0\n\nsix seven, eight\n" * 20
    tokenizer = getattr(Tokenizer, kind)([text])
    whole = tokenizer.encode(text)
    for size in (60, 24):  # lines fit into the first, words into the second
        monkeypatch.setattr(pieces, "PIECE", size)
        monkeypatch.setattr(pieces, "GROUP", 100)
        found = list(pieces.pieces(text))
        assert "".join(found) == text and len(found) > len(text) // size and max(map(len, found)) <= size
        if size == 60:
            assert tokenizer.encode(text) == whole
            data = corpus.Windows({"train": [text], "valid": [text]}, tokenizer, "lines")
            _, targets = data.batch("train", 1, len(whole), seeded())
            assert targets[0, 1:].tolist() == whole[1:]
        again = getattr(Tokenizer, kind)([text])
        assert again.decode(again.encode(text)) == text.replace("<|endoftext|>", "")


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_a_text_is_kept_in_two_bytes_a_token_and_read_with_little_memory(tmp_path, kind):
    path = tmp_path / "long.txt"
    path.write_text("".join(f"Line {i}: the hat is {'red' if i % 3 else 'blue'}.\n" for i in range(30_000)))
    code = f"import cost, json; print(json.dumps(cost.reading({str(path)!r}, {kind!r})))"
    folders = [str(Path(corpus.__file__).parents[1]), str(Path(__file__).parents[1] / "bench")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert found["characters"] > 8e5 and found["megabytes"] * 1e6 < 40e6 + 16 * found["characters"]
    assert corpus.text_file(path, kind)._rows["train"].dtype == torch.int16


def test_a_large_vocabulary_has_larger_tokens(tokenizer):
    many = Tokenizer.char([chr(i) for i in range(0x4E00, 0x4E00 + 40_000) if not 0xD800 <= i < 0xE000])
    text = "".join(chr(i) for i in range(0x4E00 + 33_000, 0x4E00 + 33_100))
    data = corpus.Windows({"train": [text], "valid": [text]}, many, "many")
    assert data._rows["train"].dtype == torch.int32
    ids, targets = data.batch("train", 2, 50, seeded())
    assert ids.dtype == targets.dtype == torch.int64 and many.decode(targets[0, 1:].tolist()) in text


def test_byte_pairs_are_learnt_from_a_sample_of_a_long_text(monkeypatch):
    text = "".join(f"line {i}\n" for i in range(5000))
    assert "".join(pieces.sample(text)) == text
    monkeypatch.setattr(pieces, "SAMPLE", len(text) // 4)
    monkeypatch.setattr(pieces, "PIECE", 400)
    some = pieces.sample(text)
    assert all(piece in text for piece in some)
    assert (
        0.2 < sum(map(len, some)) / len(text) < 0.3
        and "line 49" in some[-1]
        and "line 400\n" in "".join(some)
    )


def test_a_bar_shows_what_takes_long_to_someone_who_watches(written, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, **options):
            self.total, self.done, self.options = total, 0, options
            bars.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, n):
            self.done += n

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    corpus.text_file(written[0], "word")
    n = len(written[1])
    assert [bar.done for bar in bars] == [bar.total for bar in bars] and sum(
        bar.total for bar in bars
    ) == 2 * n
    assert all(bar.options["delay"] == 1 and bar.options["disable"] for bar in bars)  # nobody watches a test
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    corpus.text_file(written[0], "bpe")
    assert not bars[-1].options["disable"]


def test_a_checksum_knows_every_row(tokenizer):
    rows = TEXTS * 3
    changed = [*rows[:-1], rows[-1][:-2] + "d."]
    pair, other = (
        [("Ada has", " a red hat."), ("Bob", " sat.")],
        [("Ada has", " a red hat."), ("Bob", " had.")],
    )
    labels = [(*pair[0], " it.", 0), (*pair[1], " it.", 1)]
    makers = [
        (lambda texts: corpus.stories(rows, texts, tokenizer), rows, changed),
        (lambda texts: corpus.answers(texts, pair, tokenizer), pair, other),
        (
            lambda texts: corpus.pairs(texts, labels, tokenizer),
            labels,
            [labels[0], (*labels[1][:2], " at.", 1)],
        ),
        (lambda text: corpus.Windows({"train": text, "valid": TEXTS}, tokenizer, "x"), TEXTS[2:], TEXTS[:1]),
    ]
    for make, one, another in makers:
        assert make(one).fingerprint == make(one).fingerprint != make(another).fingerprint


def test_windows_reach_both_ends(tmp_path):
    path = tmp_path / "abc.txt"
    path.write_text("abcdefghijklmnopqrstuvwxyz0123")
    data = corpus.text_file(path)
    ids, targets = data.batch("train", 500, 25, seeded())
    starts = {data.tokenizer.decode([int(row[1])]) for row in ids}
    assert starts == {"a", "b", "c"}  # 27 characters hold three windows of 25
    assert "0" in {data.tokenizer.decode([int(row[-1])]) for row in targets}


def test_a_trained_tokenizer_serves_for_a_file(written):
    path, _ = written
    tokenizer = Tokenizer.bpe(TEXTS, vocab_size=300, specials=[])
    assert corpus.text_file(path, tokenizer).tokenizer is tokenizer


def test_a_byte_order_mark_and_windows_line_ends_are_dropped(tmp_path):
    path = tmp_path / "notepad.txt"
    path.write_bytes(b"\xef\xbb\xbf" + b"One line.\r\n" * 30)
    assert corpus.text_file(path).texts["train"][0].startswith("One line.\nOne")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\n ", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not UTF-8 text .byte 0"),
        ("Zoë".encode("latin-1"), "is not UTF-8 text"),
    ],
)
def test_files_that_hold_no_text(tmp_path, content, says):
    path = tmp_path / "book.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=says) as caught:
        corpus.text_file(path)
    assert one_sentence(caught.value)


def test_a_file_shorter_than_a_block(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("A short text, no more than this. " * 4)
    data = corpus.text_file(path)
    data.batch("train", 1, 64, seeded())
    with pytest.raises(ValueError, match="The valid part of 'short.txt' has 14 tokens") as caught:
        data.batch("valid", 1, 64, seeded())
    assert one_sentence(caught.value)


def test_paths_and_tokenizers_that_are_not_there(tmp_path, written):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        corpus.text_file(tmp_path / "no.txt")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        corpus.text_file(tmp_path)
    with pytest.raises(ValueError, match="tokenizer must be"):
        corpus.text_file(written[0], tokenizer="letters")


def one_sentence(error):
    return "\n" not in str(error) and str(error).endswith(".")


PLAY = b"To be, or not to be: that is the question.\n" * 50


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A place on this machine to download PLAY from; `.content` and `.delay` change what it gives."""
    given = SimpleNamespace(content=PLAY, delay=0, missing=0, asked=0)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            given.asked += 1
            time.sleep(given.delay)
            self.send_response(200)
            self.send_header("Content-Length", str(len(given.content) + given.missing))
            self.end_headers()
            self.wfile.write(given.content)

        def log_message(self, *args):
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    monkeypatch.setenv("TEXTGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(corpus, "SHAKESPEARE", f"http://127.0.0.1:{web.server_port}/input.txt")
    monkeypatch.setattr(corpus, "SHAKESPEARE_SHA256", hashlib.sha256(PLAY).hexdigest())
    yield given
    web.shutdown()
    web.server_close()


def test_shakespeare_comes_once_and_is_kept(server):
    data = corpus.shakespeare()
    assert "".join(data.texts["train"] + data.texts["valid"]).encode() == PLAY
    assert corpus.shakespeare(tokenizer="bpe").texts == data.texts
    assert server.asked == 1
    assert [path.name for path in files.cache_folder().iterdir()] == ["shakespeare.txt"]


def test_a_damaged_copy_is_fetched_again(server):
    corpus.shakespeare()
    (files.cache_folder() / "shakespeare.txt").write_bytes(PLAY[:-1])
    corpus.shakespeare()
    assert server.asked == 2


def test_altered_bytes_are_refused_and_not_kept(server):
    server.content = PLAY.replace(b"question", b"Question")
    with pytest.raises(ValueError, match="wrong SHA-256.*text_file on a file of your own") as caught:
        corpus.shakespeare()
    assert one_sentence(caught.value)
    assert not (files.cache_folder() / "shakespeare.txt").exists()


def test_a_download_that_breaks_off(server):
    server.missing = 100
    with pytest.raises(ConnectionError, match="could not be downloaded .*100 more expected"):
        corpus.shakespeare()
    assert not (files.cache_folder() / "shakespeare.txt").exists()


def test_no_network_says_what_still_works(server, monkeypatch):
    monkeypatch.setattr(corpus, "SHAKESPEARE", "http://127.0.0.1:1/input.txt")  # nothing listens there
    with pytest.raises(ConnectionError, match="could not be downloaded .*Storyworld, pocket-gpt") as caught:
        corpus.shakespeare()
    assert one_sentence(caught.value)


def test_a_silent_server_is_left_after_the_time_out(server):
    server.delay = 3
    began = time.monotonic()
    with pytest.raises(ConnectionError, match="timed out"):
        corpus.shakespeare(timeout=0.2)
    assert time.monotonic() - began < 2


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("TEXTGEN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert files.cache_folder() == tmp_path / "textgen"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert files.cache_folder().parts[-2:] == (".cache", "textgen")


def test_answers_are_counted_and_prompts_are_not(tokenizer):
    pairs = [("Ada has", " a red hat."), ("Bob", " sat.")]
    data = corpus.answers(pairs, pairs[1:], tokenizer)
    for split, rows in (("train", pairs), ("valid", pairs[1:])):
        ids, targets = data.batch(split, 40, None, seeded())
        assert ids.shape == targets.shape == (40, 1 + max(len(p + a) for p, a in rows))
        seen = {
            (tokenizer.decode(row), tokenizer.decode([i for i in target if i > 0]))
            for row, target in zip(ids.tolist(), targets.tolist())
        }
        assert {answer for _, answer in seen} == {answer for _, answer in rows}
        ends = [target[target >= 0][-1] for target in targets]
        assert all(end == tokenizer.bos for end in ends)
    with pytest.raises(ValueError, match="valid is an empty list"):
        corpus.answers(pairs, [], tokenizer)


def said(*texts):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def test_every_answer_of_a_dialogue_is_counted_and_what_ends_it():
    tokenizer = Tokenizer.char([*TEXTS, "User: Assistant: Is the hat red? Who?"])
    rows = [said("Is the hat red?", "the hat"), said("Who?", "Bob sat.", "Ada?", "Ada has a hat.")]
    data = corpus.dialogues(rows, rows[:1], tokenizer)
    prompts = ["User: Who? Assistant:", "User: Ada? Assistant:"]
    whole, counted = [], []
    for prompt, answer in zip(prompts, (" Bob sat.", " Ada has a hat.")):
        whole += [tokenizer.bos, *tokenizer.encode(prompt), *tokenizer.encode(answer)]
        counted += [-100] * (1 + len(prompt)) + tokenizer.encode(answer)
    whole.append(tokenizer.bos)
    counted.append(tokenizer.bos)
    counted[1 + len(prompts[0] + " Bob sat.")] = (
        tokenizer.bos
    )  # the next exchange begins: the end of the answer
    ids, targets = data.batch("train", 40, None, seeded())
    long = [i for i, row in enumerate(targets) if row[-1] != -100]
    assert 0 < len(long) < 40 and ids.dtype == targets.dtype == torch.int64
    for i in long:
        assert ids[i].tolist() == whole[:-1] and targets[i].tolist() == counted[1:]
    short = next(i for i in range(40) if i not in long)
    answer = [*tokenizer.encode(" the hat"), tokenizer.bos]
    start = len("User: Is the hat red? Assistant:")
    assert targets[short].tolist() == [-100] * start + answer + [-100] * (ids.size(1) - start - len(answer))
    assert (ids[short, start + len(answer) :] == tokenizer.bos).all()


@pytest.mark.parametrize("texts", [(), ("Who?",), ("Who?", "Bob.", "Ada?")])
def test_a_dialogue_ends_with_an_answer(tokenizer, texts):
    with pytest.raises(ValueError, match="user and assistant in turn") as caught:
        corpus.dialogues([said(*texts)], [said("a", "b")], tokenizer)
    assert one_sentence(caught.value)
    with pytest.raises(ValueError, match="train is an empty list"):
        corpus.dialogues([], [], tokenizer)


def test_a_tokenizer_learnt_from_a_file_of_ones_own_reserves_one_token(written):
    tokenizer = corpus.text_file(written[0], tokenizer="bpe").tokenizer
    assert list(tokenizer.backend.get_added_tokens_decoder()) == [tokenizer.bos]
