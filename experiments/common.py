"""What the experiments share: the book's package on the path, their arguments, and their records."""

import json
import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))

from textgen.files import write_atomically
from textgen.recorded import RESULTS

HELP = {  # what the options mean that do not say it themselves
    "seeds": "trainings of each model",
    "steps": "steps of each training",
    "tokens": "tokens that each training reads",
    "stories": "stories to train on",
    "test": "held-out texts to measure on",
    "measure": "held-out texts of each kind to measure on",
}


def parser(name: str, doc: str, record: bool = True, **numbers: int | None) -> ArgumentParser:
    """The arguments of experiments/`name`.py: the whole numbers it takes with their defaults, and --record."""
    command, about = f"python experiments/{name}.py", doc.split("\n")[0]
    found = ArgumentParser(command, description=about, formatter_class=ArgumentDefaultsHelpFormatter)
    found.set_defaults(command=command)
    for option, default in numbers.items():
        text = HELP.get(option, " ")  # argparse shows the default only beside a help text
        found.add_argument(f"--{option.replace('_', '-')}", type=int, default=default, help=text)
    if record:
        path = RESULTS / f"{name}.json"
        found.add_argument("--record", type=Path, default=path, help="where the figures go")
    return found


def load(a: Namespace, key: str) -> dict:
    """The record as it is, so that figures which are not measured now stay; new ones go under `key`."""
    record = json.loads(a.record.read_text()) if a.record.exists() else {key: {}}
    return record | {"command": a.command}


def save(path: Path, record: dict) -> None:
    """Write the record; called after each figure, so that a run that is stopped keeps those it has."""
    write_atomically(path, json.dumps(record, indent=2) + "\n")
