"""Models by name: checked files, and one sentence when something is missing, damaged or out of reach."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import pytest
import textgen
import torch
from textgen import GPT, GPTConfig, hub
from textgen.files import download, sha256, write_sums
from textgen.page.pack import pack
from textgen.tokenizer import Tokenizer
from transformers import AutoTokenizer, pipeline

BOOK = Path(textgen.__file__).parents[1]
TEXTS = ["Once there was a fox, and the fox had a red kite.", "El niño vio una estrella 🙂."]


@pytest.fixture
def folder(tmp_path):
    """A tiny model with its tokenizer, written as experiments/pocket_gpt.py writes pocket-gpt."""
    folder = tmp_path / "tiny"
    tokenizer = Tokenizer.bpe(TEXTS, vocab_size=300)
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=len(tokenizer), block_size=64, n_layer=2, n_head=2, n_embd=16))
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_sums(folder, hub.FILES)
    return folder


def one_sentence(error) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and ". " not in text, text
    return text


def test_a_folder_is_loaded_ready_to_use(folder):
    for name in (folder, str(folder)):
        model, tokenizer = textgen.load(name)
        assert not model.training
        assert textgen.generate(model, tokenizer, "Once", 10).startswith("Once")


def test_the_pipeline_of_transformers_writes_the_same(folder):
    model, tokenizer = textgen.load(folder)
    pipe = pipeline("text-generation", model=str(folder))
    for prompt in ("Once there", "<|qa|>Once", "El niño 🙂"):
        [out] = pipe(prompt, max_new_tokens=40, do_sample=False)
        assert out["generated_text"] == textgen.generate(model, tokenizer, prompt, 40, temperature=0)


def test_auto_tokenizer_begins_prompts_as_training_did_with_a_model_beside_it(folder):
    auto, ours = AutoTokenizer.from_pretrained(folder), Tokenizer.from_file(folder / "tokenizer.json")
    assert auto("Once 日本 🙂").input_ids == [0, *ours.encode("Once 日本 🙂")]
    assert auto.decode(auto("Once 日本 🙂").input_ids, skip_special_tokens=True) == "Once 日本 🙂"


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "missing"])
def test_what_is_not_as_recorded_is_refused(folder, file, damage):
    path = folder / file
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(content[:-1])
    else:
        content[-3] ^= 1
        path.write_bytes(content)
    with pytest.raises(FileNotFoundError if damage == "missing" else ValueError) as error:
        textgen.load(folder)
    message = one_sentence(error)
    assert file in message and ("missing" if damage == "missing" else "SHA-256") in message


def test_a_folder_without_sums_is_read_too_and_its_damage_found(folder):
    (folder / "SHA256SUMS").unlink()
    textgen.load(folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="truncated or altered"):
        textgen.load(folder)


def test_sums_are_those_of_sha256sum(folder):
    if shutil.which("sha256sum") is None:
        pytest.skip("This system has no sha256sum to compare with.")
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True)


def test_model_and_tokenizer_must_fit(folder):
    Tokenizer.bpe(TEXTS * 9, vocab_size=306).save_pretrained(folder)
    write_sums(folder, hub.FILES)
    with pytest.raises(ValueError) as error:
        textgen.load(folder)
    assert "306 tokens" in one_sentence(error)


def test_an_unknown_name_is_refused():
    with pytest.raises(FileNotFoundError) as error:
        textgen.load("gpt5")
    assert '"pocket-chat", "gpt2" or a folder' in one_sentence(error) and "gpt5" in str(error.value)


def test_gpt2_comes_from_the_hub_and_is_checked(folder, monkeypatch):
    asked = []

    def download(repo, file, revision, etag_timeout):
        asked.append((repo, file, revision))
        return str(folder / file)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, timeout: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(hub, "GPT2_WEIGHTS", sha256(folder / "model.safetensors"))
    model, tokenizer = textgen.load("gpt2")
    assert model.config.n_embd == 16 and len(tokenizer) == model.config.vocab_size
    assert asked == [(hub.GPT2, file, hub.REVISION) for file in hub.FILES]
    mend = f'delete the folder {folder.parents[1]}, then load("gpt2") fetches it again'
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError) as error:
        textgen.load("gpt2")
    assert one_sentence(error).startswith(f"{folder}/config.json is truncated") and mend in str(error.value)
    monkeypatch.setattr(hub, "GPT2_WEIGHTS", "0" * 64)
    with pytest.raises(ValueError) as error:
        textgen.load("gpt2")
    weights = f"{folder}/model.safetensors is truncated or altered (its SHA-256 is not as recorded)"
    assert one_sentence(error) == f"{weights}: {mend}."


def test_without_the_hub_it_says_soon_what_still_works(tmp_path):
    """In a new process, with an empty cache and an address where nobody answers."""
    code = "import textgen, time\nt = time.time()\ntry: textgen.load('gpt2')\n"
    code += "except ConnectionError as e: print(e)\nprint(time.time() - t)"
    env = os.environ | {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": str(BOOK),
    }
    env.pop("HF_HUB_OFFLINE", None)
    out = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert out.returncode == 0, out.stderr
    message, seconds = out.stdout.strip().splitlines()
    assert "could not be fetched" in message and 'load("pocket-gpt")' in message and message.endswith("it.")
    assert float(seconds) < 30


def test_a_cached_gpt2_needs_no_network(folder, tmp_path):
    """A cache as huggingface_hub lays it out, and an address where nobody answers."""
    snapshot = tmp_path / "hub" / "models--openai-community--gpt2" / "snapshots" / hub.REVISION
    shutil.copytree(folder, snapshot)
    code = f"from textgen import hub\nhub.GPT2_WEIGHTS = '{sha256(folder / 'model.safetensors')}'\n"
    code += "print(hub.load('gpt2')[0].config.n_embd)"
    env = os.environ | {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": str(BOOK),
    }
    env.pop("HF_HUB_CACHE", None)
    out = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert out.stdout.strip() == "16", out.stderr


def test_a_damaged_cache_is_whole_again_once_its_folder_is_deleted(folder, tmp_path, monkeypatch):
    """The hub's layout: a file of a snapshot is a link to its bytes, so that deleting the file alone mends nothing."""
    cache = tmp_path / "models--openai-community--gpt2"
    snapshot, blobs = cache / "snapshots" / hub.REVISION, cache / "blobs"

    def download(repo, file, **_):
        snapshot.mkdir(parents=True, exist_ok=True)
        blobs.mkdir(exist_ok=True)
        if not (blobs / file).exists():
            shutil.copy(folder / file, blobs / file)
        if not (snapshot / file).exists():
            (snapshot / file).symlink_to(blobs / file)
        return str(snapshot / file)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda _, file, **__: str(snapshot / file))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(hub, "GPT2_WEIGHTS", sha256(folder / "model.safetensors"))
    assert textgen.load("gpt2")
    for file in hub.FILES:
        whole = (blobs / file).read_bytes()
        (blobs / file).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError) as error:
            textgen.load("gpt2")
        assert file in one_sentence(error)
        (named,) = re.findall(r"delete the folder (\S+), then", str(error.value))
        assert Path(named) == cache
        shutil.rmtree(named)
        assert textgen.load("gpt2")


def test_a_pointer_of_git_lfs_is_told_from_damage(folder):
    point = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
    (folder / "model.safetensors").write_text(point)
    with pytest.raises(ValueError) as error:
        textgen.load(folder)
    assert one_sentence(error) == (
        f"{folder}/model.safetensors is a pointer of Git LFS, not the file itself; run git lfs pull there."
    )


def test_pocket_gpt_ships_with_the_course():
    started = time.time()
    model, tokenizer = textgen.load("pocket-gpt")
    assert time.time() - started < 10
    assert model.config.block_size == 256 and len(tokenizer) == model.config.vocab_size == 1024
    assert 0.5e6 < model.num_parameters() < 1.5e6
    assert sum(p.stat().st_size for p in (hub.WEIGHTS / "pocket-gpt").iterdir()) < 5e6
    config = json.loads((hub.WEIGHTS / "pocket-gpt" / "config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"]
    model.double()
    given = ["Once there was", "My name is Ada and I like to", "Q: What is my name?"] * 8
    texts = textgen.generate(model, tokenizer, given, temperature=0.8, seed=[3] * len(given))
    assert texts == [textgen.generate(model, tokenizer, p, temperature=0.8, seed=3) for p in given]
    [out] = pipeline("text-generation", model=str(hub.WEIGHTS / "pocket-gpt"))(
        "Once there was", max_new_tokens=30, do_sample=False
    )
    assert out["generated_text"] == textgen.generate(model, tokenizer, "Once there was", 30, temperature=0)


@pytest.mark.parametrize("name", ["pocket-chat-sft", "pocket-chat"])
def test_the_assistants_ship_with_the_course(name):
    """Both talk through a pipeline as through `reply`, and lie on the int8 grid."""
    model, tokenizer = textgen.load(name)
    messages = [{"role": "user", "content": "My name is Rosa. I have a red kite. What is my name?"}]
    answer = textgen.reply(model, tokenizer, messages, 40, temperature=0)
    assert answer == "Your name is Rosa."
    pipe = pipeline("text-generation", model=str(hub.WEIGHTS / name), device="cpu")
    written = pipe(messages, max_new_tokens=40, do_sample=False)[0]["generated_text"][-1]
    assert written["role"] == "assistant" and written["content"].strip() == answer
    assert sum(p.stat().st_size for p in (hub.WEIGHTS / name).iterdir()) < 5e6
    assert len(pack(model, tokenizer)) < 1.2e6


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            r"cannot be written \(Permission denied\): set HF_HOME",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            r"cannot be written \(No space left on device\): set HF_HOME",
        ),
        (huggingface_hub.errors.OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE keeps the hub's client"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "check the network"),
    ],
)
def test_what_keeps_gpt2_away_is_named(error, words, monkeypatch):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *a, **k: None)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *a, **k: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(OSError, match=words) as told:
        textgen.load("gpt2")
    assert "all chapters work without it" in str(told.value)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TEXTGEN_CACHE", str(tmp_path / "file/below"))
    source = tmp_path / "source.txt"
    source.write_bytes(b"text")
    with pytest.raises(
        OSError, match=r"cannot be written \(Not a directory\): set TEXTGEN_CACHE .*; all else works\.$"
    ):
        download(source.as_uri(), "s.txt", sha256(source), "all else works")


def test_what_is_no_name_at_all():
    with pytest.raises(FileNotFoundError, match="but there is no None"):
        textgen.load(None)
