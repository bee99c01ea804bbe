"""`import textgen` is light, every public name is where it should be, and the wheel holds the package whole."""

import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import textgen
from bundle import build_wheel
from conftest import ROOT, copy_checkout, need
from retarget import source_files

BOOK = Path(textgen.__file__).parents[1]
HEAVY = ["torch", "transformers", "tokenizers", "matplotlib", "sklearn", "ipywidgets", "accelerate", "pandas"]


def python(code: str) -> str:
    env = os.environ | {"PYTHONPATH": str(BOOK)}
    out = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


def test_import_loads_nothing_heavy():
    assert python(f"import sys, textgen; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_import_costs_at_most_a_third_of_a_second_more_than_torch():
    code = "import time, torch; t = time.perf_counter(); import textgen; print(time.perf_counter() - t)"
    assert min(float(python(code)) for _ in range(3)) < 0.3


def test_loading_a_model_needs_neither_transformers_nor_matplotlib():
    code = "import sys, textgen; textgen.load, textgen.generate, textgen.GPT; "
    code += "print([m for m in ('transformers', 'matplotlib', 'sklearn') if m in sys.modules])"
    assert python(code) == "[]"


@pytest.mark.parametrize(
    "name", ["storyworld", "corpus", "tokenizer", "models", "train", "sample", "metrics"]
)
def test_modules_come_when_asked_for(name):
    assert getattr(textgen, name).__name__ == f"textgen.{name}"


def test_public_names_are_those_of_their_modules():
    assert textgen.load is textgen.hub.load
    assert textgen.generate is textgen.sample.generate
    assert textgen.fit is textgen.train.fit
    assert textgen.bits_per_char is textgen.metrics.bits_per_char
    assert textgen.explore is textgen.page.explore_widget.explore
    assert textgen.reply is textgen.dialogue.reply
    assert textgen.chat is textgen.page.chat_widget.chat
    for rung in ("Bigram", "WindowMLP", "RNN", "LSTM", "GPT"):
        module = textgen.gpt if rung == "GPT" else textgen.models
        assert getattr(textgen, rung) is getattr(module, rung)
        config = getattr(textgen, rung + "Config")()
        assert config.vocab_size and config.block_size
        assert getattr(textgen, rung)(config).config is config
    assert {"load", "fit", "GPTConfig", "plots", "check", "__version__"} <= set(dir(textgen))


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="textgen has no 'lod'; it offers load, generate"):
        textgen.lod  # noqa: B018


def test_version_is_that_of_the_project():
    project = tomllib.loads((BOOK.parent / "pyproject.toml").read_text())["project"]
    assert textgen.__version__ == project["version"]


@pytest.mark.parametrize("name", ["ladder", "variants", "translator", "finetune"])
def test_a_record_has_its_command(name):
    assert textgen.results(name)["command"].startswith("python experiments/")


def test_the_figures_of_a_shipped_model_are_a_record_too():
    assert textgen.results("pocket-gpt")["parameters"] == 957_184


def test_an_unknown_record_says_what_there_is():
    with pytest.raises(ValueError, match=r"name must be one of .*ladder.*pocket-gpt, not 'lader'\."):
        textgen.results("lader")


@pytest.mark.parametrize("name", ["seq2seq", "morse"])
def test_a_module_that_few_need_comes_after_a_bare_import(name):
    assert python(f"import textgen; print(textgen.{name}.__name__)") == f"textgen.{name}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the names in the wheel that pip builds of this checkout, without a network, and one more folder of scripts."""
    if not all(map(find_spec, ("setuptools", "wheel"))):
        need("A wheel is built with setuptools and wheel: run pip install setuptools wheel.")
    work, out = copy_checkout(tmp_path_factory.mktemp("work")), tmp_path_factory.mktemp("wheel")
    deep = work / "book/textgen/page/folder/inside/deep.js"  # a folder that is no package
    deep.parent.mkdir(parents=True)
    deep.touch()
    built = build_wheel(work, out)
    members = zipfile.ZipFile(built).infolist()
    assert {member.date_time[0] for member in members} == {1980}  # the same files give the same bytes
    return [member.filename for member in members]


def test_the_wheel_holds_the_package_whole(wheel):
    """A lone notebook has nothing else: every module, script, style, weight and record is in it."""
    inside = [path for path in source_files(ROOT) if path.is_relative_to(BOOK / "textgen")]
    files = {path.relative_to(BOOK).as_posix() for path in inside}
    kinds = {Path(name).suffix for name in files}
    assert {".py", ".js", ".css", ".json", ".safetensors", ".txt", ".mplstyle"} <= kinds
    assert files - set(wheel) == set()
    assert "textgen/page/folder/inside/deep.js" in wheel


def test_the_wheel_holds_nothing_else(wheel):
    assert {name.split("/")[0] for name in wheel} == {
        "textgen",
        f"text_generation_course-{textgen.__version__}.dist-info",
    }
