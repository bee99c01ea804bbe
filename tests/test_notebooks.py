"""Every notebook of the book keeps the rules.

nbval compares only cells tagged `nbval-check-output`, and passes one that was saved without output: the rules guard
what it does not look at.
"""

import pytest
from rules import faults
from toc import notebooks

NOTEBOOKS = notebooks()


def test_the_first_chapters_are_there():
    assert {"00-text-generation", "01-logistic-regression", "storyworld"} <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path):
    assert faults(path) == []
