"""Every page on a GPU, or on the stand-in where there is none: "Run all" reaches its end, whatever the figures say."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from toc import notebooks

ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
# Before a page's own cells: a pretend GPU, and trainings of two steps, since where tensors are does not depend on more.
PRETEND = f"""import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
import pretend_device
pretend_device.install()
pretend_device.shorten()
"""


def run(path: Path, first: str) -> None:
    """Run a page as a reader's kernel does, with a cell of ours in front; raises CellExecutionError."""
    nb = nbformat.read(path, as_version=4)
    nb.cells.insert(0, nbformat.v4.new_code_cell(first))
    reader = {name: value for name, value in ONE_THREAD.items() if name != "TEXTGEN_STRICT"}
    client = NotebookClient(
        nb, timeout=300, startup_timeout=300, resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute(env=reader)


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_page_reaches_its_end_on_a_gpu(path):
    run(path, PRETEND)


# One cell of each page that raised on a real GPU when `fit` left its model there.
FORGETFUL = {
    "a batch of ids": "model(data.batch('valid', 2)[0])",
    "a matrix by hand": "model.head.weight @ torch.ones(model.config.n_hidden)",
    "numbers for numpy": "model.wte.weight.detach().numpy()",
    "a table indexed": "torch.zeros(len(tokenizer))[model.wte(torch.tensor([3], device=model.wte.weight.device)).argmax(-1) * 0]",
}
TRAIN = """import textgen, torch
from textgen import corpus
tokenizer = textgen.Tokenizer.char(["abc "])
data = corpus.stories(["abc cab"] * 4, ["cab abc"], tokenizer)
model = textgen.LSTM(textgen.LSTMConfig(vocab_size=len(tokenizer), n_embd=8, n_hidden=8))
for _ in range(2):  # a model may be trained again
    textgen.fit(model, data, steps=2, batch_size=2)
"""


@pytest.mark.parametrize("stays", [False, True], ids=["given back", "left there"])
def test_the_stand_in_sees_a_model_that_was_left_on_the_device(stays):
    code = PRETEND.replace("shorten()", f"shorten(stays={stays})") + TRAIN
    for cell in FORGETFUL.values():
        code += f"try:\n    {cell}\n    print('fine')\nexcept (RuntimeError, TypeError) as error:\n    print(error)\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=ONE_THREAD,
        cwd=ROOT / "book",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == len(FORGETFUL)
    for line in said:
        assert ("same device" in line or "cuda:0 device type" in line) if stays else line == "fine"
