"""A clone holds the same bytes whatever git's settings are."""

import hashlib
import os
import subprocess
import sys

import pytest
from conftest import ROOT, copy_checkout, git
from retarget import source_files


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a clone of this checkout as git makes it where core.autocrlf is true, as on Windows."""
    work = copy_checkout(tmp_path_factory.mktemp("work"))
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "copy")
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "-q", "-c", "core.autocrlf=true", str(work), ".")
    return clone


def test_every_file_is_the_same(clone):
    paths = [path.relative_to(ROOT) for path in source_files(ROOT) if not path.is_symlink()]
    assert [path for path in paths if (clone / path).read_bytes() != (ROOT / path).read_bytes()] == []


def test_checksums_hold_and_the_model_loads(clone):
    sums = sorted(clone.glob("book/textgen/weights/*/SHA256SUMS"))
    assert len(sums) >= 2
    for file in sums:
        for line in file.read_text().splitlines():
            wanted, _, name = line.partition("  ")
            assert hashlib.sha256((file.parent / name).read_bytes()).hexdigest() == wanted, file.parent / name
    code = "import textgen; print(textgen.generate(*textgen.load('pocket-gpt'), 'Once', max_new_tokens=2))"
    environment = os.environ | {"PYTHONPATH": str(clone / "book")}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout.startswith("Once"), run.stderr
