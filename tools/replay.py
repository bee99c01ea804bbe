"""A plugin for pytest: nbval holds each page to the run that the built site shows, and runs nothing a second time.

Run as `PYTHONPATH=tools python -m pytest -p replay --nbval-lax book/*.ipynb`, after a build: the outputs that the build
keeps answer in the kernel's place. A page whose code the build has not run fails.
"""

from __future__ import annotations

import nbformat
import nbval.plugin
from build import CACHE
from jupyter_cache import get_cache
from nbformat import NotebookNode

IDLE = NotebookNode(output_type="status", execution_state="idle")


class Replay:
    """What nbval asks of a kernel, answered from the record of one page's run."""

    def __init__(self, nb: NotebookNode):
        try:
            _, ran = get_cache(CACHE).merge_match_into_notebook(nb)
        except KeyError:
            raise RuntimeError(
                "The build has not run this page as it stands: run `make book` first."
            ) from None
        self.cells = iter([cell for cell in ran.cells if cell.cell_type == "code"])

    def execute_cell_input(self, source: str, allow_stdin: bool = False) -> str:
        """Go on to this cell; return the name under which its messages come."""
        cell = next(cell for cell in self.cells if cell.source == source)  # nbval leaves out those it skips
        self.messages = iter([*cell.outputs, IDLE])
        return "replayed"

    def get_message(self, stream: str, timeout: float | None = None) -> dict:
        """Return the cell's next output as a kernel would send it."""
        output = next(self.messages)
        return {
            "msg_type": output.output_type,
            "parent_header": {"msg_id": "replayed"},
            "content": output,
        }

    def await_reply(self, *_, **__) -> None:
        """Return at once, as `await_idle` and `stop` do: the run is over."""

    await_idle = stop = await_reply

    def is_alive(self) -> bool:
        """Return True: a record does not die."""
        return True


def setup(self: nbval.plugin.IPyNbFile) -> None:
    """Open the page's record where nbval would start its kernel."""
    self.kernel = Replay(nbformat.read(self.path, as_version=4))
    self.setup_sanitize_files()


nbval.plugin.IPyNbFile.setup = setup
