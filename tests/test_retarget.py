"""`make retarget REPO=owner/name` changes the address everywhere, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, copy_checkout
from project import repository
from retarget import retarget, source_files, spellings
from toc import notebooks

OWNER, NAME = "Ada-Lovelace", "stories.of-2"
NEW = f"{OWNER}/{NAME}"  # joined here, so that the way back does not find it in this file


@pytest.fixture
def copy(tmp_path):
    """A copy of this checkout as a repository of its own."""
    return copy_checkout(tmp_path)


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in source_files(root)}


def test_no_old_address_is_left_and_nothing_else_changes(copy):
    old, before = repository(copy), contents(copy)
    changed = {path.relative_to(copy) for path in retarget(copy, NEW)}
    after = contents(copy)
    assert repository(copy) == NEW
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == changed
    assert {Path("pyproject.toml"), Path("README.md"), Path("CITATION.cff")} <= changed
    assert {path.relative_to(ROOT) for path in notebooks()} <= changed
    owner = old.split("/")[0].encode()
    for name, text in after.items():
        assert not any(spelling.encode() in text for spelling in spellings(old)), name
        assert owner not in text, f"{name} names the old owner"
    back = {path.relative_to(copy) for path in retarget(copy, old)}
    assert back == changed and contents(copy) == before


def test_twice_is_once(copy):
    retarget(copy, NEW)
    assert retarget(copy, NEW) == []


def test_an_address_that_only_begins_alike_stays(copy):
    old = repository(copy)
    other = f"https://github.com/{old}-archive and https://github.com/{old}."
    (copy / "links.md").write_text(other)
    retarget(copy, NEW)
    assert (
        copy / "links.md"
    ).read_text() == f"https://github.com/{old}-archive and https://github.com/{NEW}."


@pytest.mark.parametrize(
    "wrong", ["", "stories", "ada/", "a b/c", "https://github.com/ada/stories", "-a/b", "a/b.git"]
)
def test_a_wrong_address_is_one_sentence_and_changes_nothing(wrong):
    before = contents(ROOT)
    run = subprocess.run(
        [sys.executable, ROOT / "tools/retarget.py", wrong], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr.startswith("REPO must be a GitHub address owner/name") and run.stderr.count("\n") == 1
    assert contents(ROOT) == before


def test_without_git_it_says_who_must_tell_the_files(tmp_path):
    with pytest.raises(
        SystemExit, match=r"git must tell which files are the book's \(.*\): clone the repository\."
    ):
        source_files(tmp_path)
