"""The student edition: no solution is in it, and everything else is."""

import json

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_output
from small import SOLUTION, chapter
from student import without_solutions, write
from toc import notebooks


@pytest.fixture
def saved(tmp_path):
    """A small chapter in which every cell has printed something."""
    nb = chapter()
    nb.cells.insert(1, new_markdown_cell("Run the cell. Solutions are folded below.\n\n**1.** Count."))
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [new_output("stream", text="printed\n")], 1
    path = tmp_path / "09-sample.ipynb"
    nbformat.write(nb, path)
    return path


def test_solutions_go_with_what_their_stubs_printed(saved, tmp_path):
    assert write([saved], tmp_path / "student") == 3
    nb = nbformat.read(tmp_path / "student" / saved.name, as_version=4)
    nbformat.validate(nb)
    assert SOLUTION.strip() not in json.dumps([cell.source for cell in nb.cells])
    stubs = [cell for cell in nb.cells if "exercise" in cell.metadata.get("tags", [])]
    assert len(stubs) == 3 and all("..." in cell.source for cell in stubs)
    assert [(cell.outputs, cell.execution_count) for cell in stubs] == [([], None)] * 3
    assert nb.cells[1].source == "Run the cell.\n\n**1.** Count."


def test_everything_else_stays(saved, tmp_path):
    write([saved], tmp_path / "student")
    before = nbformat.read(saved, as_version=4).cells
    after = {cell.id: cell for cell in nbformat.read(tmp_path / "student" / saved.name, as_version=4).cells}
    gone = [cell for cell in before if cell.id not in after]
    assert all("hide-cell" in cell.metadata.tags for cell in gone)
    for cell in before:
        if cell.cell_type == "code" and not {"hide-cell", "exercise"} & set(cell.metadata.get("tags", [])):
            assert after[cell.id] == cell


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_no_page_keeps_a_solution_or_speaks_of_one(path):
    nb = nbformat.read(path, as_version=4)
    folded = sum("hide-cell" in cell.metadata.get("tags", []) for cell in nb.cells)
    first = next(cell for cell in nb.cells if cell.cell_type == "code")
    assert without_solutions(nb) == folded
    text = "\n".join(cell.source for cell in nb.cells)
    assert "# @title Solution" not in text and "olutions are" not in text and "The solution" not in text
    assert first in nb.cells  # the setup cell: tests/test_setup_cell.py says where it works
