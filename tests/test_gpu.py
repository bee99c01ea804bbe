"""Every page on a GPU, or on the stand-in where there is none: "Run all" reaches its end, whatever the figures say."""

import os
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
# Before a page's own cells: a pretend GPU, and trainings of two steps, since where tensors are does not depend on more.
PRETEND = f"""import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
import pretend_device
pretend_device.install()
pretend_device.shorten()
"""
# What `fit` did once: it left the model where it was trained.
FORGETFUL = """import torch
torch.nn.Module.eval = lambda self: self.to("cuda").train(False) if hasattr(self, "trained") else self.train(False)
"""


def run(path: Path, first: str) -> None:
    """Run a page as a reader's kernel does, with a cell of ours in front; raises CellExecutionError."""
    nb = nbformat.read(path, as_version=4)
    nb.cells.insert(0, nbformat.v4.new_code_cell(first))
    reader = {name: value for name, value in os.environ.items() if name != "TEXTGEN_STRICT"}
    client = NotebookClient(nb, timeout=300, resources={"metadata": {"path": str(path.parent)}})
    client.execute(env=reader | {"OMP_NUM_THREADS": "1"})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_reaches_its_end_on_a_gpu(path):
    run(path, PRETEND)
