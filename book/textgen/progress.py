"""A bar for someone who watches."""

import sys


def progress_bar(total: int, unit: str, doing: str | None = None, start: int = 0, main: bool = True, **more):
    """Return tqdm's bar: silent in logs, in saved notebooks, in a book build, and where this process is not `main`."""
    from tqdm.auto import tqdm

    ipython = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    kernel = getattr(ipython, "kernel", None)
    # A kernel that may not ask for input runs for a program (nbclient, nbval, the book build), not for a person.
    watched = getattr(kernel, "_allow_stdin", True) if kernel is not None else sys.stderr.isatty()
    options = {
        "desc": doing,
        "initial": start,
        "unit": unit,
        "leave": False,
        "disable": not (main and watched),
    }
    return tqdm(total=total, **options, **more)
