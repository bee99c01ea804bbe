"""`make notebooks`: what it writes, what it leaves alone, and which notebooks it runs."""

import os
import subprocess
import sys

import execute
import nbformat
import pytest
from conftest import ROOT
from small import chapter
from toc import notebooks

pytestmark = pytest.mark.usefixtures("textgen_in_kernels")


def test_a_run_is_repeatable_and_leaves_no_widget_state(tmp_path):
    nb = chapter()
    source = "import ipywidgets\nfrom tqdm.auto import tqdm\nfor _ in tqdm(range(3)):\n    pass\nipywidgets.IntSlider()"
    nb.cells.append(nbformat.v4.new_code_cell(source))
    nb.cells.append(
        nbformat.v4.new_code_cell("import textgen\ntextgen.explore(lambda n=1: f'<b>{n}</b>', n=[1, 2])")
    )
    path = tmp_path / "09-sample.ipynb"
    nbformat.write(nb, path)
    execute.run(path)
    once = path.read_bytes()
    saved = nbformat.read(path, as_version=4)
    assert saved.cells[-2].outputs == []  # a slider and a progress bar have nothing to show at rest
    assert "<b>1</b>" in saved.cells[-1].outputs[0].data["text/html"]
    assert execute.WIDGET.encode() not in once and b'"widgets"' not in once
    assert [cell.id for cell in saved.cells] == [cell.id for cell in nb.cells]
    execute.run(path)
    assert path.read_bytes() == once


def test_a_cell_that_raises_leaves_the_notebook_as_it_was(tmp_path):
    nb = nbformat.v4.new_notebook(cells=chapter().cells[:3])
    nb.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    path = tmp_path / "sample.ipynb"
    nbformat.write(nb, path)
    before = path.read_bytes()
    with pytest.raises(execute.CellExecutionError, match="ZeroDivisionError"):
        execute.run(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_notebook_without_a_setup_cell_is_refused(tmp_path):
    path = tmp_path / "sample.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), path)
    with pytest.raises(ValueError, match="begin it with '# Setup'"):
        execute.run(path)


def test_a_notebook_of_ones_own_is_not_of_the_book(tmp_path):
    chapters = "- file: book/01-one\n    sections:\n    - file: book/two.ipynb\n"
    (tmp_path / "_toc.yml").write_text(f"root: book/index\nparts:\n- chapters:\n  {chapters}")
    (tmp_path / "book").mkdir()
    for name in ("index.md", "01-one.ipynb", "two.ipynb", "my-own.ipynb"):
        (tmp_path / "book" / name).touch()
    assert [path.name for path in notebooks(tmp_path)] == ["01-one.ipynb", "two.ipynb"]
    assert [path.name for path in notebooks(tmp_path, only="01")] == ["01-one.ipynb"]
    with pytest.raises(ValueError, match="in _toc.yml begins with 'my-own'"):
        notebooks(tmp_path, only="my-own")


def test_only_names_notebooks_of_the_book():
    environment = os.environ | {"ONLY": "my-own"}
    command = [sys.executable, ROOT / "tools/execute.py"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert (
        run.stderr == "No notebook in _toc.yml begins with 'my-own': list it there first, or name another.\n"
    )


def test_the_toc_is_printed_for_the_makefile():
    run = subprocess.run(
        [sys.executable, ROOT / "tools/toc.py"], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.splitlines() == [path.relative_to(ROOT).as_posix() for path in reversed(notebooks())]
