"""Run the book's notebooks in place and save their outputs: `make notebooks`, or `make notebooks ONLY=01` for some.

Every notebook that _toc.yml lists runs from start to end in a fresh kernel with live widgets, and is written only when the whole run
succeeded. What is saved is what GitHub can show: the outputs' pictures and text, without widget state, timings or
version numbers, so that a second run changes no more than what truly differs.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from project import ROOT, repository, version
from toc import notebooks

WIDGET = "application/vnd.jupyter.widget-view+json"

# The first code cell of every notebook; written here once. In a checkout it takes the package that lies there, from
# whichever folder the kernel started in. Colab has all that textgen needs, so that pip adds textgen alone. It comes
# from the tag of this version: the copies that learners saved outlive what main is today.
SETUP = """\
# @title Setup: finds the course's package, textgen, or installs it (15 s on Colab)
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"This course needs Python 3.11 or newer, not {sys.version.split()[0]}.")
here = [Path.cwd(), *Path.cwd().parents]
sys.path[:0] = [f"{one}/book" for one in here if (one / "book/textgen").is_dir()][:1]
try:
    import textgen.storyworld  # another package goes by the name of textgen, too
except ImportError:
    sys.modules.pop("textgen", None)
    source = "git+https://github.com/REPOSITORY@vVERSION"
    pip = [sys.executable, "-m", "pip", "install", "-q", source]
    if subprocess.run(pip, capture_output=True).returncode:
        sys.exit(f"Connect to the network and run this again (pip install {source}).")"""
FOLDED = {
    "cellView": "form",
    "jupyter": {"source_hidden": True},
}  # on Colab and in Jupyter; in the book: hide-input


def setup_cell(root: Path = ROOT) -> str:
    """Return the setup cell, with the repository's address and the version as pyproject.toml has them."""
    return SETUP.replace("REPOSITORY", repository(root)).replace("VERSION", version(root))


def refresh_setup(nb: nbformat.NotebookNode, root: Path = ROOT) -> None:
    """Write the setup cell into `nb`. Raises ValueError where its first code cell is something else."""
    first = next((cell for cell in nb.cells if cell.cell_type == "code"), None)
    if first is None or not re.match("# (@title )?Setup", first.source):
        raise ValueError("the first code cell must be the setup cell: begin it with '# Setup'.")
    first.source = setup_cell(root)
    first.metadata = nbformat.from_dict(FOLDED | {"tags": ["hide-input"]})


def at_rest(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """Return `output` as it stands without a kernel, or None where nothing is left of it to see.

    A widget gives way to the picture beside it; a progress bar, which has none, goes; so does what went to stderr.
    """
    if output.output_type == "stream":
        return output if output.name == "stdout" else None
    if WIDGET in output.get("data", {}):
        del output.data[WIDGET]
        if set(output.data) <= {"text/plain"}:
            return None
    output.pop("transient", None)
    return output


def normalise(nb: nbformat.NotebookNode, stem: str) -> None:
    """Leave in `nb` only what the next run on another machine would write too. Ids of cells stay."""
    nb.nbformat, nb.nbformat_minor = 4, 5
    nb.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    seen = Counter()
    for number, cell in enumerate(nb.cells):
        cell.source = cell.source.rstrip()
        seen[cell.get("id")] += 1
        if not cell.get("id") or seen[cell.id] > 1:
            cell.id = f"{stem}-{number}"
        for key in ("execution", "ExecuteTime", "collapsed", "scrolled"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := at_rest(output))]


def run(path: Path, timeout: int = 600) -> tuple[float, float]:
    """Execute the notebook at `path` in place and return its seconds and its kilobytes.

    `timeout` is in seconds a cell. Raises what nbclient raises where a cell fails; the file is then as it was.
    """
    nb = nbformat.read(path, as_version=4)
    refresh_setup(nb)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    start = time.perf_counter()
    client = NotebookClient(
        nb,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,  # or a widget's pictures would be in the file twice
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()
    seconds = time.perf_counter() - start
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                print(f"  from stderr, not saved: {output.text.strip()}")
    normalise(nb, path.stem)
    nbformat.validate(nb)
    part = path.with_name(path.name + ".part")
    part.write_text(nbformat.writes(nb) + "\n", encoding="utf-8")
    os.replace(part, path)
    return seconds, path.stat().st_size / 1000


def main() -> int:
    """Run the notebooks whose names begin with the environment's ONLY, in order; return 0 when all succeeded."""
    try:
        paths = notebooks(only=os.environ.get("ONLY", ""))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    os.environ.pop("TEXTGEN_BOOK_BUILD", None)  # live widgets, as the reader's kernel has them
    os.environ["TEXTGEN_STRICT"] = "1"  # a figure off its record is an error here
    for path in paths:
        try:
            seconds, size = run(path)
        except (CellExecutionError, CellTimeoutError, DeadKernelError, ValueError) as error:
            print(f"{path.name} stays as it was: {error}", file=sys.stderr)
            return 1
        print(f"{path.name}: {seconds:.0f} s, {size:.0f} kB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
