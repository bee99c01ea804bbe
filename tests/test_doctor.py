"""The doctor's findings are right, and each problem comes with one sentence on what to do."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import types
from importlib import metadata
from pathlib import Path

import pytest
import torch
from matplotlib import font_manager
from textgen import doctor, recorded
from textgen.page import live_widget

ROOT = Path(__file__).parents[1]
HEALTHY = {
    "python": doctor.Finding("Python", "3.11.0"),
    "package": doctor.Finding("a package", "1.0"),
    "widgets": doctor.Finding("widgets", "ipywidgets 8.1"),
    "device": doctor.Finding("device", "CPU"),
    "memory": doctor.Finding("memory", "8 GiB free"),
    "disk": doctor.Finding("disk", "9 GiB free"),
    "weights": doctor.Finding("weights", "pocket-gpt"),
    "results": doctor.Finding("results", "11 records"),
    "fonts": doctor.Finding("fonts", "DejaVu Sans"),
    "scripts": doctor.Finding("scripts", "23 files"),
    "network": doctor.Finding("network", "there"),
}


@pytest.fixture
def healthy(monkeypatch):
    """A machine where all is well, with the true checks beside it to put back."""
    true = {name: getattr(doctor, name) for name in HEALTHY}
    for name, finding in HEALTHY.items():
        monkeypatch.setattr(doctor, name, lambda *args, finding=finding: finding)
    return true


def report(capsys):
    code = doctor.main()
    table, advice = capsys.readouterr().out.strip().split("\n\n")
    return code, table.splitlines(), advice.splitlines()


def test_a_healthy_machine(healthy, capsys):
    code, table, advice = report(capsys)
    assert code == 0
    assert len(table) == 10 + len(doctor.NEEDED.split(","))
    assert all(line.split()[-3:] != [] and " ok " in line for line in table)
    assert advice == ["The chapters can run here."]


def test_this_machine_has_what_the_tests_have(capsys):
    code, table, advice = report(capsys)
    found = {finding.name: finding for finding in doctor.examine()}
    assert found["torch"].found == metadata.version("torch")
    for name in ("Python", "torch", "widgets", "weights", "results", "fonts", "scripts"):
        assert found[name].state == "ok", found[name]
    assert f"on {doctor.os.cpu_count()} cores" in found["device"].found
    assert float(found["memory"].found.split()[0]) > 0 and float(found["disk"].found.split()[0]) > 0
    assert len(table) == len(found)
    assert all(re.match(r"(Note|Problem): .*\.$", line) for line in advice[:-1])
    assert code == any(line.startswith("Problem") for line in advice)


def test_an_old_python(healthy, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "python", healthy["python"])
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    code, table, advice = report(capsys)
    assert code == 1 and table[0].split() == ["Python", "problem", "3.9.18"]
    assert advice[0] == "Problem: This is Python 3.9.18: make the environment with Python 3.11 or newer."


def test_packages_missing_and_old(monkeypatch):
    def version(name):
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return {"tokenizers": "0.9.4", "numpy": "2.0.0rc1", "accelerate": "1.10.0+local"}[name]

    monkeypatch.setattr(metadata, "version", version)
    missing, old = doctor.package("torch", "2.6"), doctor.package("tokenizers", "0.22")
    assert (missing.state, missing.found) == ("problem", "missing")
    assert missing.advice == 'torch is missing: run pip install "torch>=2.6".'
    assert old.advice == 'tokenizers 0.9.4 is too old: run pip install "tokenizers>=0.22".'  # 9 is below 22
    assert doctor.package("numpy", "2.0").state == doctor.package("accelerate", "1.9").state == "ok"


def test_without_widgets_the_chapters_still_run(healthy, monkeypatch, capsys):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "package", healthy["package"])
    monkeypatch.setattr(metadata, "version", version)
    finding = healthy["widgets"]()
    assert finding.state == "note" and "figures stand still" in finding.advice
    monkeypatch.setattr(doctor, "package", lambda *args: HEALTHY["package"])
    monkeypatch.setattr(doctor, "widgets", lambda: finding)
    code, _, advice = report(capsys)
    assert code == 0 and len(advice) == 2 and advice[0].startswith("Note: Without sliders")


def test_without_network_the_chapters_still_run(healthy, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "network", healthy["network"])
    monkeypatch.setattr(doctor, "NETWORK", "http://127.0.0.1:1/")  # nothing listens there
    monkeypatch.setenv("no_proxy", "*")
    code, table, advice = report(capsys)
    assert code == 0 and table[-1].split() == ["network", "note", "none"]
    assert advice[0].startswith("Note: Without a network GPT-2 and Shakespeare")


def test_the_network_is_given_up_in_time(monkeypatch):
    def urlopen(url, timeout):
        time.sleep(3)
        raise OSError("no answer")

    monkeypatch.setattr(doctor.urllib.request, "urlopen", urlopen)
    began = time.monotonic()
    assert doctor.network(timeout=0.2).state == "note"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("error", [None, 404])
def test_any_answer_is_a_network(monkeypatch, error):
    def urlopen(url, timeout):
        assert timeout == 2
        if error:
            raise doctor.urllib.error.HTTPError(url, error, "", {}, None)
        return types.SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(doctor.urllib.request, "urlopen", urlopen)
    assert doctor.network() == doctor.Finding("network", "there", True, doctor.network().advice, False)


def test_little_memory_little_disk_and_no_weights(monkeypatch, tmp_path):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=2**29))
    assert (doctor.memory().state, doctor.memory().found) == ("problem", "0.5 GiB free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=2**29))
    assert (doctor.disk().state, doctor.disk().found) == ("note", "0.5 GiB free")
    monkeypatch.setattr(doctor, "WEIGHTS", tmp_path)
    assert (doctor.weights().state, doctor.weights().found) == ("problem", "missing")
    assert doctor.weights().advice.startswith("pocket-gpt's weights are missing: clone the repository")


def test_the_weights_are_held_against_their_checksums(monkeypatch, tmp_path):
    assert doctor.weights().state == "ok"
    shipped = sorted(folder.name for folder in doctor.WEIGHTS.iterdir())
    assert doctor.weights().found == ", ".join(shipped) and sorted(doctor.MODELS) == shipped
    monkeypatch.setattr(doctor, "WEIGHTS", shutil.copytree(doctor.WEIGHTS, tmp_path / "weights"))
    config = doctor.WEIGHTS / "pocket-gpt/config.json"
    whole = config.read_bytes()
    config.write_bytes(whole.replace(b"\n", b"\r\n"))
    damaged = doctor.weights()
    assert (damaged.state, damaged.found) == ("problem", "damaged")
    assert damaged.advice == (
        f"{config} is truncated or altered (its SHA-256 is not as recorded): "
        "clone the repository or install the package again."
    )
    config.write_bytes(whole)
    (doctor.WEIGHTS / "translator/model.safetensors").unlink()
    assert "translator/model.safetensors is missing: clone" in doctor.weights().advice
    shutil.rmtree(doctor.WEIGHTS / "translator")
    assert doctor.weights().advice == f"translator's weights are missing: {doctor.AGAIN}."


def test_every_record_is_read(monkeypatch, tmp_path):
    assert doctor.results().found == f"{len(list(recorded.RESULTS.glob('*.json')))} records"
    monkeypatch.setattr(recorded, "RESULTS", shutil.copytree(recorded.RESULTS, tmp_path / "results"))
    ladder = recorded.RESULTS / "ladder.json"
    ladder.write_bytes(ladder.read_bytes()[:-100])
    damaged = doctor.results()
    assert (damaged.state, damaged.found) == ("problem", "damaged")
    assert damaged.advice.startswith(f"{ladder} is truncated or altered (")
    assert damaged.advice.endswith(f"): {doctor.AGAIN}.")
    with pytest.raises(ValueError, match=r"ladder\.json is truncated or altered .*\.$"):
        recorded.results("ladder")
    shutil.rmtree(recorded.RESULTS)
    assert doctor.results().advice == f"The recorded figures are missing: {doctor.AGAIN}."


def test_every_script_is_there_and_whole(monkeypatch, tmp_path):
    there = [path for path in live_widget.HERE.rglob("*") if path.suffix in (".js", ".css")]
    assert doctor.scripts().found == f"{len(there)} files"  # none is forgotten
    monkeypatch.setattr(live_widget, "HERE", shutil.copytree(live_widget.HERE, tmp_path / "page"))
    part = live_widget.HERE / "live/run.js"
    part.write_text(part.read_text(encoding="utf-8")[:1000].rstrip(), encoding="utf-8")
    assert doctor.scripts() == doctor.Finding(
        "scripts", "damaged", False, f"{part} is damaged: {doctor.AGAIN}."
    )
    part.unlink()
    assert doctor.scripts().advice == f"{part} is missing: {doctor.AGAIN}."


@pytest.mark.parametrize("damage", ["unknown", "gone", "cut"])
def test_the_font_of_the_figures_is_read(monkeypatch, tmp_path, damage):
    assert doctor.fonts() == doctor.Finding("fonts", "DejaVu Sans")

    def find(family, fallback_to_default):
        assert (family, fallback_to_default) == ("DejaVu Sans", False)
        if damage == "unknown":
            raise ValueError("Failed to find font DejaVu Sans")
        return str(tmp_path / "font.ttf")

    if damage == "cut":
        (tmp_path / "font.ttf").write_bytes(b"no font")
    monkeypatch.setattr(font_manager, "findfont", find)
    finding = doctor.fonts()
    assert (finding.state, finding.found) == ("note", "missing")
    assert finding.advice.startswith("The font DejaVu Sans cannot be read: delete ")
    assert finding.advice.endswith(" and run pip install --force-reinstall matplotlib.")


def test_a_gpu_is_named(monkeypatch):
    card = types.SimpleNamespace(name="Tesla T4", total_memory=15 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: card)
    assert doctor.device().found.startswith("CUDA: Tesla T4, 15 GiB; CPU, ")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert doctor.device().found.startswith("MPS")


def test_a_check_that_fails_is_a_note(healthy, monkeypatch, capsys):
    def memory():
        raise ImportError("No module named 'psutil'")

    monkeypatch.setattr(doctor, "memory", memory)
    code, _, advice = report(capsys)
    assert code == 0
    assert advice[0] == "Note: The memory could not be examined: No module named 'psutil'."


def test_the_least_versions_are_those_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [">=".join(pair.split()) for pair in doctor.NEEDED.split(",")] + [
        f"ipywidgets>={doctor.WIDGETS}"
    ]
    assert sorted(needed) == sorted(project["dependencies"])
    assert project["requires-python"] == ">=" + ".".join(map(str, doctor.PYTHON))


@pytest.mark.parametrize("name", ["random.py", "torch.py", "http.py"])
def test_a_file_that_stands_in_the_way_of_a_module_is_named_first(tmp_path, name):
    (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    done = subprocess.run(
        [sys.executable, "-m", "textgen.doctor"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "book")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.endswith(f"{name} is imported in place of the module of that name: rename it.\n")
