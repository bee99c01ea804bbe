"""The rules that every notebook of the book keeps: `make rules`, or `python tools/rules.py NOTEBOOK...`.

Prints each rule that is broken, one sentence each, in seconds: no cell is run. A chapter is a notebook whose name begins
with its number; the others (storyworld) need no learning goals, exercises or checked figures.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import execute
import nbformat
from nbformat import NotebookNode
from toc import notebooks

GOALS = "What you will be able to do"
CHECKED = "nbval-check-output"
GUESS = 'class="textgen-guess"'
FIGURE = re.compile(r": (\S+) \(on record: (\S+); they agree(?: within (\S+))?\)$", re.MULTILINE)
WIDEST = 88  # characters of a line of code
MYST = {
    r"\{[\w:.-]+\}`": "a MyST role",
    r"^\s*(`{3,}|:{3,})\s*\{": "a MyST directive",
    r"^\([\w-]+\)=\s*$": "a MyST label",
    r"\{\{": "a MyST substitution",
    r"<img(?![^>]*\balt=\"[^\"]+\")|!\[\]\(": "a picture without alt text",
}


def tags(cell: NotebookNode) -> list[str]:
    """Return a cell's tags."""
    return cell.metadata.get("tags", [])


def folded(cell: NotebookNode) -> bool:
    """Tell whether Colab and Jupyter fold the cell."""
    return cell.metadata.get("cellView") == "form" and cell.metadata.get("jupyter", {}).get(
        "source_hidden", False
    )


def text_of(cell: NotebookNode) -> str:
    """Return the text that nbval compares: what was printed and the last value."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text", "") + output.get("data", {}).get("text/plain", ""))
    return "".join(parts).strip()


def code_lines(cell: NotebookNode) -> int:
    """Count a cell's lines, blank ones and comments left out."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in cell.source.splitlines())


def head_faults(nb: NotebookNode, chapter: bool) -> Iterator[str]:
    """Yield what is wrong with the title, the promise, the setup cell and the learning goals."""
    first, *_ = nb.cells
    title, _, rest = first.source.partition("\n")
    if first.cell_type != "markdown" or not re.fullmatch(r"# \S.*", title):
        yield "the first cell must be Markdown and begin with the title, '# ...'"
    paragraphs = [p for p in re.split(r"\n\s*\n", rest.strip()) if not p.startswith(("[![", "<a "))]
    if not paragraphs or not re.fullmatch(r"[^.?!]+(?:[.?!](?! |\n)[^.?!]*)*[.?]", paragraphs[0]):
        yield "under the title stands one sentence that says what the page promises"
    setup = next((i for i, cell in enumerate(nb.cells) if cell.cell_type == "code"), len(nb.cells))
    if setup == len(nb.cells) or nb.cells[setup].source != execute.setup_cell():
        yield "the first code cell must be tools/execute.py's setup cell, unchanged: run `make notebooks`"
    if chapter and not any(
        re.search(rf"^#+ {GOALS}", c.source, re.IGNORECASE | re.MULTILINE) for c in nb.cells[:setup]
    ):
        yield f"before the setup cell stands a section '## {GOALS}'"


def cell_faults(number: int, cell: NotebookNode) -> Iterator[str]:
    """Yield what is wrong with one cell and its outputs."""
    for pattern, name in MYST.items():
        if cell.cell_type == "markdown" and re.search(pattern, cell.source, re.MULTILINE):
            yield f"cell {number} holds {name}: notebooks are plain Markdown"
    if cell.cell_type != "code":
        return
    if wide := [line for line in cell.source.splitlines() if len(line) > WIDEST]:
        yield f"cell {number} has a line of {len(wide[0])} characters, and the page shows {WIDEST}: {wide[0][:60]}..."
    if "hide-input" in tags(cell) and not (folded(cell) and cell.source.startswith("# @title ")):
        yield f"cell {number} is folded in the book alone: it needs '# @title' and what execute.FOLDED holds"
    if code_lines(cell) > 20:
        yield f"cell {number} has {code_lines(cell)} lines of code, and 20 are allowed"
    if (
        re.search(r"\bipywidgets\b|\binteract(ive)?\(|\bOutput\(", cell.source)
        and "# Setup" not in cell.source
    ):
        yield f"cell {number} uses ipywidgets: use textgen.explore, which works in the book too"
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "error" and "raises-exception" not in tags(cell):
            yield f"cell {number} raised {output.ename}"
        if output.get("name") == "stderr" or execute.WIDGET in data:
            yield f"cell {number} was saved with what cannot be shown later: run `make notebooks`"
        if {"image/png", "image/jpeg", "image/svg+xml"} & set(data):
            yield f"cell {number} shows a bare picture, whose alt text is lost: use textgen.plots.show"
        if re.search(r"<img(?![^>]*\balt=\"[^\"]+\")", data.get("text/html", "")):
            yield f"cell {number} shows a picture without alt text"
        if GUESS in (html := data.get("text/html", "")) and html.count('class="right"') != 1:
            yield f"cell {number} asks for a guess of which not one choice, and one alone, came true"
        if re.search(r"site-packages|/(home|Users|root|tmp)/", json.dumps(output)):
            yield f"cell {number} shows a path of the machine it ran on"
    for figure in FIGURE.findall(text_of(cell)):  # nbval masks the first number
        value, record, within = (float(part.replace(",", "") or 0) for part in figure)
        if not abs(value - record) <= 1.1 * within:  # both were rounded
            yield f"cell {number} was saved with {value} for a figure that agrees with {record} within {within}"
    if CHECKED in tags(cell):
        if not text_of(cell):
            yield f"cell {number} is tagged {CHECKED} and was saved without text, so nbval checks nothing"
        if any("base64," in output.get("data", {}).get("text/html", "") for output in cell.outputs):
            yield f"cell {number} is tagged {CHECKED} and draws: pixels differ by machine, so draw in another cell"


def exercise_faults(code: list[NotebookNode]) -> Iterator[str]:
    """Yield what is wrong with the exercises among these code cells, each a stub and after it its solution."""
    for stub, solution in zip(code, [*code[1:], None], strict=True):
        if "exercise" not in tags(stub):
            continue
        check = re.search(r"^(?:textgen\.)?check\.\w+\(", stub.source, re.MULTILINE)
        name = f"the exercise {check[0] + ')' if check else stub.source.splitlines()[0]}"
        if not check or not text_of(stub).startswith("Not written yet. Hint:"):
            yield f"{name} must call its check, and print one hint while it is a stub"
            continue
        if solution is None or "hide-cell" not in tags(solution) or check[0] not in solution.source:
            yield f"{name} must be followed by a solution, tagged hide-cell, that calls the same check"
            continue
        if not text_of(solution).startswith("Right:"):
            yield f"{name}: its solution did not pass"
        if not folded(solution):
            yield f"{name}: its solution needs cellView 'form' (Colab) and jupyter.source_hidden, to be folded"
        if CHECKED not in tags(stub) or CHECKED not in tags(solution):
            yield f"{name}: tag stub and solution {CHECKED}, so that every test run tries both"


def faults(path: Path) -> list[str]:
    """Return every rule that the notebook at `path` breaks, a sentence each.

    Raises OSError where there is no such file, and ValueError where it is not a notebook.
    """
    nb, chapter = nbformat.read(path, as_version=4), bool(re.match(r"\d\d-", path.name))
    if not nb.cells:
        return ["the notebook has no cells"]
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    found = [*head_faults(nb, chapter), *exercise_faults(code)]
    for number, cell in enumerate(nb.cells):
        found += cell_faults(number, cell)
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("the cells were not run once each, in order: run `make notebooks`")
    if set(nb.metadata) != {"kernelspec", "language_info"}:
        found.append("the notebook's metadata holds more than its language: run `make notebooks`")
    saved = json.loads(path.read_text(encoding="utf-8"))["cells"]  # nbformat.read would mend the ids
    ids = [cell.get("id") for cell in saved]
    if None in ids or len(set(ids)) != len(ids):
        found.append("every cell needs an id of its own: run `make notebooks`")
    try:
        nbformat.validate(nb)
    except nbformat.ValidationError as error:
        found.append(f"the file is not a valid notebook: {error.message}")
    if path.stat().st_size > 500_000:
        found.append(f"the file has {path.stat().st_size / 1000:.0f} kB, and 500 are allowed")
    checked = [set(tags(cell)) for cell in code if CHECKED in tags(cell)]
    figures = [one for one in checked if not {"exercise", "hide-cell"} & one]
    if chapter and len(figures) < 6:
        found.append(f"{len(figures)} cells beside exercises are tagged {CHECKED}, and a chapter needs 6")
    guesses = sum(
        GUESS in output.get("data", {}).get("text/html", "") for cell in code for output in cell.outputs
    )
    if chapter and guesses < 2:
        found.append(f"a chapter asks for two guesses (textgen.guess) or more, and this one for {guesses}")
    exercises = sum("exercise" in tags(cell) for cell in code)
    if chapter and not path.name.startswith("00") and exercises < 3:
        found.append(f"a chapter has three exercises or more, and {exercises} cells are tagged exercise")
    return found


def main(names: list[str]) -> int:
    """Print what these notebooks break, or those of _toc.yml; return 1 where that is anything."""
    paths, broken = [Path(name) for name in names], []
    try:
        paths = paths or notebooks(only=os.environ.get("ONLY", ""))
    except ValueError as error:
        broken.append(str(error))
    for path in paths:
        try:
            broken += [f"{path.name}: {fault}" for fault in faults(path)]
        except (ValueError, OSError) as error:
            broken.append(f"{path.name} cannot be read as a notebook: {error}")
    print("\n".join(broken) or f"{len(paths)} notebooks keep the rules.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
