"""A small chapter that keeps every rule, for the tests of what an author runs."""

import nbformat
from rules import CHECKED, GOALS

PICTURE = (
    "from IPython.display import display\ndisplay({'text/html': '<img alt=\"A line.\" src=\"\">'}, raw=True)"
)
SOLUTION = "def sigmoid(z):\n    return np.where(z < 0, np.exp(-abs(z)), 1) / (1 + np.exp(-abs(z)))\n"


def chapter():
    """Return a chapter that keeps every rule, not executed yet."""
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    checked, folded = {"tags": [CHECKED]}, {"cellView": "form", "jupyter": {"source_hidden": True}}
    cells = [
        markdown("# A chapter\n\nYou count to 3.5 and see that it holds."),
        markdown(f"## {GOALS}\n\n- count"),
        code("# Setup"),
        code("import numpy as np\nfrom textgen import check"),
        *[code(f"check.figure('count', {n}.25, {n}.25, within=0.01)", metadata=checked) for n in range(6)],
        code(PICTURE),
    ]
    for _ in range(3):
        stub = "def sigmoid(z):\n    ...\n\n\ncheck.sigmoid(sigmoid)"
        cells.append(code(stub, metadata={"tags": ["exercise", CHECKED]}))
        cells.append(
            code(SOLUTION + "\n\ncheck.sigmoid(sigmoid)", metadata={"tags": ["hide-cell", CHECKED]} | folded)
        )
    for n in (3, 4):
        choices = "{'less': False, 'as much': True, 'more': False}"
        cells.append(
            code(
                f"import textgen\nchoices = {choices}\ntextgen.guess('How much is {n}?', choices, 'It is {n}.')"
            )
        )
    return nbformat.v4.new_notebook(cells=cells)
