"""`python -m textgen.doctor`: can this machine run the course, and if not, what to do about it.

Written so that an old Python reads it too, and no package needs to be there.
"""

from __future__ import annotations

import os
import sys


def shadow() -> str:
    """A file of this folder that Python takes for the module of its name, and with it all that imports that; or ""."""
    ours = {*getattr(sys, "stdlib_module_names", ()), "numpy", "tokenizers", "torch", "transformers"}
    return next((name for name in sorted(os.listdir()) if name.endswith(".py") and name[:-3] in ours), "")


if __name__ == "__main__" and shadow():  # before the imports below, which it would spoil
    sys.exit(
        f"Problem: {os.path.abspath(shadow())} is imported in place of the module of that name: rename it."
    )

import http.client
import shutil
import threading
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

PYTHON = (3, 11)
# The least versions; a test holds them against pyproject.toml.
NEEDED = """accelerate 1.0, anywidget 0.9.13, huggingface-hub 0.30, matplotlib 3.9, numpy 2.0, pillow 10.3, safetensors 0.5,
scikit-learn 1.6, tokenizers 0.22, torch 2.9, tqdm 4.66, transformers 5.0"""
WIDGETS = "7.7.1"
WEIGHTS = Path(__file__).parent / "weights"
MODELS = (
    "pocket-gpt",
    "pocket-chat-sft",
    "pocket-chat",
    "translator",
)  # what lies there; a test holds this against the folder
AGAIN = "clone the repository or install the package again"
NETWORK = "https://huggingface.co/robots.txt"


class Finding(NamedTuple):
    """One line of the table, and one sentence on what to do when it is not good."""

    name: str
    found: str
    good: bool = True
    advice: str = ""
    vital: bool = True  # chapters cannot run without it

    @property
    def state(self) -> str:
        """Return "ok", "note" (the chapters run all the same) or "problem" (they do not)."""
        return "ok" if self.good else "problem" if self.vital else "note"


def examine() -> list[Finding]:
    """Look at everything a chapter needs; never raises."""
    findings = [python(), *(package(*pair.split()) for pair in NEEDED.split(","))]
    for check in (widgets, device, memory, disk, weights, results, fonts, scripts, network):
        try:
            findings.append(check())
        except Exception as error:  # noqa: BLE001 (a doctor who faints helps nobody)
            advice = f"The {check.__name__} could not be examined: {error}."
            findings.append(Finding(check.__name__, "unknown", False, advice, vital=False))
    return findings


def python() -> Finding:
    """Is Python new enough."""
    found, least = (".".join(map(str, version)) for version in (sys.version_info[:3], PYTHON))
    advice = f"This is Python {found}: make the environment with Python {least} or newer."
    return Finding("Python", found, tuple(sys.version_info[:2]) >= PYTHON, advice)


def package(name: str, least: str) -> Finding:
    """Is a package there, and new enough."""
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "missing", False, f'{name} is missing: run pip install "{name}>={least}".')
    advice = f'{name} {found} is too old: run pip install "{name}>={least}".'
    return Finding(name, found, numbers(found) >= numbers(least), advice)


def numbers(version: str) -> list[int]:
    """Return a version's leading numbers, to compare: "2.13.0+cpu" gives [2, 13, 0]."""
    return [int(part) for part in version.split("+")[0].split(".") if part.isdigit()]


def widgets() -> Finding:
    """Can sliders be shown."""
    found = package("ipywidgets", WIDGETS)
    advice = f'Without sliders figures stand still: run pip install "ipywidgets>={WIDGETS}".'
    return Finding("widgets", f"ipywidgets {found.found}", found.good, advice, vital=False)


def device() -> Finding:
    """What do models train on, and with how many threads."""
    import torch

    found = f"CPU, {torch.get_num_threads()} threads on {os.cpu_count()} cores"
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        found = f"CUDA: {card.name}, {card.total_memory / 2**30:.0f} GiB; {found}"
    elif torch.backends.mps.is_available():
        found = f"MPS (Apple GPU); {found}"
    return Finding("device", found)


def memory() -> Finding:
    """Is there memory for training: the chapters stay below 2 GiB."""
    import psutil  # comes with accelerate

    free = psutil.virtual_memory().available / 2**30
    advice = f"Close other programs: {free:.1f} GiB of memory are free, a chapter takes up to 2 GiB."
    return Finding("memory", f"{free:.1f} GiB free", free >= 2, advice)


def disk() -> Finding:
    """Is there room for downloads: GPT-2 takes 0.6 GB."""
    free = shutil.disk_usage(Path.home()).free / 2**30
    advice = f"Free some disk space: {free:.1f} GiB are left, downloads take up to 1 GiB."
    return Finding("disk", f"{free:.1f} GiB free", free >= 1, advice, vital=False)


def weights() -> Finding:
    """Did the course's models come along whole: their files are held against their checksums."""
    from .files import SUMS, mending, verify  # an old Python, which is told of above, cannot read that module

    folders = {path.parent.name: path.parent for path in sorted(WEIGHTS.glob(f"*/{SUMS}"))}
    if lost := [name for name in MODELS if name not in folders]:
        return Finding("weights", "missing", False, f"{lost[0]}'s weights are missing: {AGAIN}.")
    try:
        with mending(AGAIN):
            for folder in folders.values():
                verify(folder)
    except (OSError, ValueError) as error:
        return Finding("weights", "damaged", False, str(error))
    return Finding("weights", ", ".join(folders))


def results() -> Finding:
    """Can the figures be read that the chapters compare theirs with."""
    from . import recorded
    from .files import mending

    names = sorted(path.stem for path in recorded.RESULTS.glob("*.json"))
    if not names:
        return Finding("results", "missing", False, f"The recorded figures are missing: {AGAIN}.")
    try:
        with mending(AGAIN):
            for name in names:
                recorded.results(name)
    except (OSError, ValueError) as error:
        return Finding("results", "damaged", False, str(error))
    return Finding("results", f"{len(names)} records")


def fonts() -> Finding:
    """Is the font there in which figures are written."""
    from matplotlib import font_manager, get_cachedir, rc_params_from_file

    (family,) = rc_params_from_file(Path(__file__).with_name("textgen.mplstyle"))["font.sans-serif"]
    try:
        font_manager.get_font(font_manager.findfont(family, fallback_to_default=False)).set_text("a")
    except (OSError, RuntimeError, ValueError):  # not known, known but gone, or damaged
        mend = f"delete {get_cachedir()} and run pip install --force-reinstall matplotlib"
        return Finding("fonts", "missing", False, f"The font {family} cannot be read: {mend}.", vital=False)
    return Finding("fonts", family)


def scripts() -> Finding:
    """Did the JavaScript and the styles come along whole that run in a page: each ends with the end of a line."""
    from .page import chat_widget, live_widget

    names = {*live_widget.MODEL, *live_widget.CONTROLS, *chat_widget.FILES, "explore.js", "label.js"}
    names |= {f"{name}.css" for name in ("chat", "explore", "guess", "label", "live", "shared_page")}
    for path in sorted(live_widget.HERE / name for name in names):
        content = path.read_bytes() if path.is_file() else None
        if content is None or not content.endswith(b"\n") or b"\0" in content:
            what = "missing" if content is None else "damaged"
            return Finding("scripts", what, False, f"{path} is {what}: {AGAIN}.")
    return Finding("scripts", f"{len(names)} files")


def network(timeout: float = 2) -> Finding:
    """Is the network there: two seconds to find out, the name look-up included."""
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(NETWORK, timeout=timeout).close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            if not isinstance(error, urllib.error.HTTPError):  # which is an answer, too
                return
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout)
    there = answered.is_set()
    advice = "Without a network GPT-2 and Shakespeare cannot be downloaded; all else comes with the course."
    return Finding("network", "there" if there else "none", there, advice, vital=False)


def main() -> int:
    """Print the table and the advice; return 0 if the chapters can run here, else 1."""
    findings = examine()
    for found in findings:
        print(f"{found.name:<16} {found.state:<8} {found.found}")
    print()
    for found in findings:
        if not found.good:
            print(f"{found.state.capitalize()}: {found.advice}")
    bad = any(found.state == "problem" for found in findings)
    print("Solve the problems first." if bad else "The chapters can run here.")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
