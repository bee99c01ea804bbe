"""Batches hold what they say; files and downloads that cannot be used say so in one sentence."""

import hashlib
import http.server
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from textgen import corpus, files
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
    cut = len(text) * 9 // 10
    assert data.texts == {"train": [text[:cut]], "valid": [text[cut:]]}
    for split in ("train", "valid"):
        ids, targets = data.batch(split, 5, 16, seeded())
        assert ids.shape == targets.shape == (5, 16)
        assert (ids[:, 0] == data.tokenizer.bos).all() and (targets[:, 0] == -100).all()
        assert torch.equal(ids[:, 2:], targets[:, 1:-1])
        for row, target in zip(ids, targets):
            window = data.tokenizer.decode([*row[1:].tolist(), int(target[-1])])
            assert len(window) >= 16 and window in data.texts[split][0]


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_reading_line_by_line_changes_no_token(kind):
    text = "\n\n  One, two.\n\nThree \n\n\n four's\t\n five \n\u00a0\n\nsix\n" * 20
    tokenizer = getattr(Tokenizer, kind)([text])
    assert "".join(corpus.lines(text)) == text and len(corpus.lines(text)) > 30
    assert [i for row in tokenizer.encode_batch(corpus.lines(text)) for i in row] == tokenizer.encode(text)
    data = corpus.Windows({"train": [text], "valid": [text]}, tokenizer, "lines")
    _, targets = data.batch("train", 1, len(tokenizer.encode(text)), seeded())
    assert targets[0, 1:].tolist() == tokenizer.encode(text)[1:]


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
    assert corpus.shakespeare(tokenizer="word").texts == data.texts
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
