"""The setup cell in a checkout: it takes the package that lies there, from whichever folder the kernel started in."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT
from execute import setup_cell
from project import repository, version

SHOW = "\nimport textgen\nprint(textgen.__file__)"


def run(source, folder, **variables):
    """Run `source` in `folder` on a machine whose network is gone."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    return subprocess.run(
        [sys.executable, "-c", source],
        cwd=folder,
        env=kept | offline | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def another(tmp_path):
    """Return a folder with another version of the package, as pip would have installed it."""
    package = tmp_path / "site/textgen"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "storyworld.py").touch()
    return package.parent


@pytest.mark.parametrize("folder", ["", "book", "book/textgen", "tests"])
def test_it_finds_the_checkout_from_any_folder(folder, another):
    done = run(setup_cell() + SHOW, ROOT / folder, PYTHONPATH=str(another))
    assert done.stdout.strip() == str(ROOT / "book/textgen/__init__.py"), done.stderr


def test_elsewhere_it_takes_what_is_installed(tmp_path, another):
    done = run(setup_cell() + SHOW, tmp_path, PYTHONPATH=str(another))
    assert done.stdout.strip() == str(another / "textgen/__init__.py"), done.stderr


def test_its_tag_is_the_projects_version():
    assert f'github.com/{repository()}@v{version()}"' in setup_cell()


def test_on_an_old_python(tmp_path):
    old = "import sys; sys.version_info, sys.version = (3, 10, 4), '3.10.4 (main)'\n"
    done = run(old + setup_cell(), tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "This course needs Python 3.11 or newer, not 3.10.4.\n"


def test_another_package_of_the_same_name_is_not_taken_for_the_course(tmp_path, another):
    (another / "textgen/storyworld.py").unlink()
    done = run(setup_cell() + SHOW, tmp_path, PYTHONPATH=str(another))
    assert done.returncode == 1 and done.stderr.startswith(
        "Connect to the network and run this again (pip install git+"
    )
