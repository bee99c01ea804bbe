"""The Makefile: an environment that works or is made anew, and a server that says why it cannot start."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import venv

import pytest
from conftest import ROOT
from serve import POLICY


def make(folder, *arguments):
    """Run make in `folder` with the Python of these tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "ONLY"))}
    command = ["make", "--no-print-directory", f"PYTHON={sys.executable}", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def pip_runs(folder):
    """Say whether the scripts of the folder's environment find their Python."""
    try:
        return not subprocess.run(
            [folder / ".venv/bin/pip", "--version"], capture_output=True, check=False
        ).returncode
    except FileNotFoundError:
        return False


@pytest.fixture
def checkout(tmp_path):
    """Return a folder with the Makefile and an empty list of requirements."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.txt").touch()
    return folder


def test_an_old_python_is_refused_in_one_sentence(checkout):
    old = checkout / "old-python"
    code = "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[-1])"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$2"\n')
    old.chmod(0o755)
    result = make(checkout, "book", f"PYTHON={old}")
    assert result.returncode
    assert result.stderr.splitlines()[0].startswith("The book needs Python 3.11 or newer, and ")
    assert "is 3.9" in result.stderr
    assert not (checkout / ".venv").exists()


def test_an_environment_without_pip_is_made_anew(checkout):
    venv.create(checkout / ".venv", with_pip=False)
    (checkout / ".venv/.installed").touch()  # as after a `pip uninstall pip`
    result = make(checkout, ".venv/.installed")
    assert result.returncode == 0, result.stderr
    assert pip_runs(checkout)


def test_an_environment_whose_folder_was_renamed_is_made_anew(checkout):
    assert make(checkout, ".venv/.installed").returncode == 0
    assert "up to date" in make(checkout, ".venv/.installed").stdout
    moved = checkout.rename(checkout.with_name("moved"))
    assert not pip_runs(moved)
    result = make(moved, ".venv/.installed")
    assert result.returncode == 0, result.stderr
    assert pip_runs(moved)


@pytest.fixture
def site(checkout):
    """Return a checkout with a page to serve."""
    (checkout / "tools").mkdir()
    shutil.copy(ROOT / "tools/serve.py", checkout / "tools")
    (checkout / "_build/html").mkdir(parents=True)
    (checkout / "_build/html/index.html").write_text("the book")
    return checkout


def test_a_taken_port_is_said_in_one_sentence(site):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = make(site, "serve", f"PORT={port}")
    sentence, stopped = result.stderr.splitlines()
    assert sentence == f"Port {port} is taken: make serve PORT={port % 65535 + 1}"
    assert result.returncode and stopped.startswith("make: ***")


@pytest.mark.parametrize("port", ["eighty", "0", "65536", "-1"])
def test_what_is_no_port_is_said(site, port):
    result = make(site, "serve", f"PORT={port}")
    assert result.stderr.startswith(f"PORT must be a number from 1 to 65535, not '{port}'")


def test_without_a_book_there_is_nothing_to_serve(site):
    shutil.rmtree(site / "_build")
    assert make(site, "serve").stderr.startswith("There is no book yet: run make book first.")


def test_the_book_is_served_until_ctrl_c(site):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "tools/serve.py", str(port)]
    with subprocess.Popen(
        command, cwd=site, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout.readline() == f"http://localhost:{port} (Ctrl-C stops it)\n"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
                assert page.read() == b"the book"
                assert page.headers["Content-Security-Policy"] == POLICY
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0 and "Traceback" not in server.stderr.read()


def test_the_policy_lets_a_page_ask_for_nothing_elsewhere():
    rules = dict(rule.strip().split(" ", 1) for rule in POLICY.split(";"))
    allowed = {source for sources in rules.values() for source in sources.split()}
    assert allowed == {"'none'", "'self'", "'unsafe-inline'", "data:"}  # no other host, no eval
    assert rules["default-src"] == rules["base-uri"] == "'none'"
    assert [name for name in rules if "'unsafe-inline'" in rules[name]] == ["script-src", "style-src"]
