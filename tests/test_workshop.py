"""The room for a class: who comes in, what a learner may take, and, where JupyterHub is installed, two learners in it."""

import json
import os
import re
import runpy
import subprocess
import sys
import types

import pytest
import yaml
from conftest import ROOT
from project import version
from traitlets.config import Config

ROOM = ROOT / "workshop"
README = (ROOM / "README.md").read_text()


@pytest.fixture
def room(monkeypatch, tmp_path):
    """Return the configuration and the names in its file, read as JupyterHub would, whether or not it is installed."""

    class Process:
        mem_limit = 2 << 30

        def make_preexec_fn(self, name):
            return lambda: None

    spawner = types.SimpleNamespace(LocalProcessSpawner=Process)
    monkeypatch.setitem(sys.modules, "jupyterhub", types.SimpleNamespace(spawner=spawner))
    monkeypatch.setitem(sys.modules, "jupyterhub.spawner", spawner)
    for name in ("BIND_URL", "CERTIFICATE", "CERTIFICATE_KEY", "NOTEBOOKS", "MEMORY", "LEARNERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    config = Config()
    names = runpy.run_path(str(ROOM / "jupyterhub_config.py"), {"get_config": lambda: config})
    return config, names


def test_nobody_comes_in_without_a_login(room):
    config, _ = room
    assert config.JupyterHub.authenticator_class == "pam"
    assert config.PAMAuthenticator.allowed_groups == {"learners", "instructors"}
    assert not re.search("allow_all|any_allow_config|allow_existing_users", str(config))
    assert config.JupyterHub.bind_url.startswith("http://127.0.0.1:")  # in the clear on this machine alone


def test_what_is_left_alone_is_stopped_and_no_more(room):
    config, _ = room
    (service,), (role,) = config.JupyterHub.services, config.JupyterHub.load_roles
    assert service["command"][-1] == "--timeout=3600" and role["services"] == [service["name"]]
    assert not [scope for scope in role["scopes"] if scope.startswith(("admin", "access"))]
    assert config.JupyterHub.cleanup_servers is False


@pytest.mark.skipif(sys.platform != "linux", reason="a room is a Linux server")
def test_a_learner_has_limits(room):
    config, names = room
    assert config.Spawner.mem_limit == "2G" and config.JupyterHub.active_server_limit == 40
    assert config.JupyterHub.spawner_class is names["RoomSpawner"]
    code = """import os, resource
print(resource.getrlimit(resource.RLIMIT_DATA)[1], resource.getrlimit(resource.RLIMIT_NPROC)[1], os.umask(0))
try:
    bytearray(3 << 30)
except MemoryError:
    print("refused")"""
    prepare = names["RoomSpawner"]().make_preexec_fn("ada")
    run = subprocess.run(
        [sys.executable, "-c", code], preexec_fn=prepare, capture_output=True, text=True, check=True
    )
    assert run.stdout == f"{2 << 30} {names['PROCESSES']} {0o077}\nrefused\n"


def test_notebooks_are_handed_out_and_never_written_over(room, tmp_path):
    _, names = room
    home = tmp_path / "home/text-generation"
    pages = sorted((ROOT / "book").glob("*.ipynb"))
    for _ in range(2):
        subprocess.run(["sh", "-c", names["COPY"], home, *pages], check=True)
        assert {path.name for path in home.iterdir()} == {path.name for path in pages}
        (home / pages[1].name).write_text("mine")
        (home / pages[0].name).unlink(missing_ok=True)
    subprocess.run(["sh", "-c", names["COPY"], home, *pages], check=True)
    assert (home / pages[1].name).read_text() == "mine"
    assert (home / pages[0].name).read_bytes() == pages[0].read_bytes()


def test_no_file_of_the_room_knows_a_machine():
    for path in ROOM.glob("*"):
        if path.is_file() and path.name != "README.md":
            assert not re.search("hostPath|/root/|/tmp/|/Users/", path.read_text()), path.name
    config = (ROOM / "jupyterhub_config.py").read_text()
    assert not re.search(r"""["']/\w""", config)


def test_everything_is_pinned():
    ours, book = (
        [line.split("#")[0].strip() for line in (folder / "requirements.txt").read_text().splitlines()]
        for folder in (ROOM, ROOT)
    )
    assert "-r ../requirements.txt" in ours
    ours = [line for line in ours if line and not line.startswith("-r")]
    assert [line for line in ours if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    twice = {line.split("==")[0] for line in ours} & {line.split("==")[0] for line in book}
    assert not twice
    wanted = json.loads((ROOM / "package.json").read_text())["dependencies"]
    lock = json.loads((ROOM / "package-lock.json").read_text())["packages"]
    assert lock[""]["dependencies"] == wanted
    assert {name: lock[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert not [name for name, one in lock.items() if "resolved" in one]


def test_a_container_holds_what_it_copies():
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", (ROOM / "Dockerfile").read_text(), re.MULTILINE)
    assert copied
    assert [name for line in copied for name in line.split() if not (ROOT / name).exists()] == []


def test_a_pod_has_limits_and_takes_known_learners_only():
    values = yaml.safe_load((ROOM / "values.yaml").read_text())
    config, server = values["hub"]["config"], values["singleuser"]
    assert config["JupyterHub"]["authenticator_class"] == "github"
    assert config["GitHubOAuthenticator"]["allowed_users"] == ["LEARNER"]
    assert "client_secret" not in config["GitHubOAuthenticator"]
    assert server["image"]["tag"] == version()
    assert server["memory"]["limit"] == "2G" and server["networkPolicy"]["enabled"]
    assert values["cull"]["enabled"] and values["proxy"]["https"]["enabled"]


def test_binder_installs_the_lock():
    assert (ROOT / ".binder/requirements.txt").read_text() == "-r ../requirements.txt\n"
    assert (ROOT / ".binder/runtime.txt").read_text() == "python-3.12\n"


def test_the_readme_tells_what_was_measured():
    measured = json.loads((ROOM / "results.json").read_text())
    assert measured["learners"] == 12
    memory, start = measured["memory a learner, MB"]["largest"], measured["start, seconds"]["slowest"]
    text = " ".join(README.split())
    assert f"{memory} MB" in text and f"{measured['memory of the hub, MB']} MB for the hub" in text
    assert f"{start:.0f} seconds" in text and f"{measured['processors']} processors" in text


def test_the_readme_names_what_is_there():
    (table,) = re.findall(r"^\| variable .*?\n\n", README, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([A-Z_]+)`", table))
    assert named == set(
        re.findall(r'environ\.get\("(?!STATE)(\w+)"', (ROOM / "jupyterhub_config.py").read_text())
    )
    for name in re.findall(r"\bworkshop/([\w.]+)", README):
        assert (ROOM / name).exists(), name


def test_two_learners_find_the_room_as_promised(tmp_path):
    """Kernels, limits, closed homes, a kernel and a hub that die: workshop/load_test.py has what is tried."""
    pytest.importorskip("jupyterhub")
    if os.geteuid() or not (ROOM / "node_modules").exists():
        pytest.skip("A room takes root's rights, and `npm ci --ignore-scripts --prefix workshop`.")
    command = [sys.executable, str(ROOM / "load_test.py"), "--learners", "2", "--cells", "4"]
    run = subprocess.run(
        [*command, "--results", tmp_path / "results.json"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    measured = json.loads((tmp_path / "results.json").read_text())
    assert measured["memory a learner, MB"]["largest"] < 2 * (2 << 30) / 1e6  # of a server and a kernel
