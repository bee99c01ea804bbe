"""The student edition: `make student` writes the book's notebooks without their solutions into _build/student.

A solution is a cell tagged `hide-cell`; the code cell before it is its stub, whose output goes too, so that what a
learner sees under an exercise comes from their own run. All other outputs stay: the prose speaks about them. The
setup cell is the book's own, which finds the package from any folder of the checkout and installs it elsewhere.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
from project import ROOT
from toc import notebooks

STUDENT = ROOT / "_build/student"
SOLUTION = "hide-cell"
# A sentence that speaks of the solution below it: "Solutions are folded below."
SPEAKS_OF_IT = re.compile(r" ?\b(?:Solutions|The solution)\b[^.?!]*[.?!]")


def without_solutions(nb: nbformat.NotebookNode) -> int:
    """Take the solutions out of `nb`, and what its stubs printed; return how many solutions there were."""
    kept, stub, taken = [], None, 0
    for cell in nb.cells:
        if SOLUTION in cell.metadata.get("tags", []):
            taken += 1
            if stub:
                stub.outputs, stub.execution_count = [], None
            continue
        if cell.cell_type == "code":
            stub = cell
        else:
            cell.source = SPEAKS_OF_IT.sub("", cell.source)
        kept.append(cell)
    nb.cells = kept
    return taken


def write(paths: list[Path], folder: Path) -> int:
    """Write these notebooks without their solutions into `folder`, and return how many solutions they had."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = 0
    for path in paths:
        nb = nbformat.read(path, as_version=4)
        taken += without_solutions(nb)
        (folder / path.name).write_text(nbformat.writes(nb) + "\n", encoding="utf-8")
    return taken


def main() -> int:
    """Write the student edition of the whole book."""
    paths = notebooks()
    taken = write(paths, STUDENT)
    print(f"{len(paths)} notebooks are in {STUDENT.relative_to(ROOT)}, without their {taken} solutions.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
