"""Build the book: execute every chapter, check every link, cut the slides, and publish only what came through.

Run as `python tools/build.py`, or through `make book`. First the chapters run that changed, or that rest on a module
or a file that changed (`build.py execute`); then Sphinx works in _build/work. The finished site takes the place of
_build/html in one move, so that a build that fails leaves the last good site standing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
import slides
import yaml
from dependencies import Package
from jupyter_cache import get_cache
from jupyter_cache.cache.main import JupyterCacheBase
from jupyter_cache.executors.utils import create_cache_bundle, single_nb_execution
from project import ROOT
from stamps import frame, read_stamps, write_stamps
from toc import notebooks

WORK = ROOT / "_build/work/_build"  # Jupyter Book adds the second _build itself
SITE = ROOT / "_build/html"
CACHE = WORK / ".jupyter_cache"

# Lines that tell a reader of the log nothing, or the place of the unpublished site.
NOISE = [
    "ParserConfig(",
    "[IPKernelApp]",
    "_build/work",
    "HTML pages are here",
    "by opening this file",
    "browser bar",
]


def code_of(path: Path, cache: JupyterCacheBase) -> str:
    """Return the hash under which the cache knows a notebook: over its code cells. Ends here where it is no notebook."""
    try:
        return cache.create_hashed_notebook(nbformat.read(path, as_version=4))[1]
    except ValueError as error:  # after a merge, for one
        sys.exit(f"{path.relative_to(ROOT)} cannot be read as a notebook: {error}")


def drop_stale(stamps: dict[str, str]) -> dict[str, str]:
    """Drop from the cache what no page of the book would write today, and return the pages' digests.

    The stamps hold, for the hash of a page's code, the digest of what else decided its outputs when it ran.
    """
    cache, package = get_cache(CACHE), Package(ROOT / "book/textgen")
    pages = {str(path): code_of(path, cache) for path in notebooks()}
    now = {code: package.digest(Path(path), ROOT / "requirements.txt") for path, code in pages.items()}
    for record in cache.list_project_records():
        if record.uri not in pages:  # deleted, renamed or no longer in _toc.yml
            cache.remove_nb_from_project(record.pk)
    try:
        for record in cache.list_cache_records():
            if now.get(record.hashkey, "gone") != stamps.get(record.hashkey):
                cache.remove_cache(record.pk)
    except KeyError:  # half a record, of a build that was killed here
        cache.clear_cache()
    return now


def execute_chapters() -> None:
    """Run the chapters that the cache does not hold, as many at a time as there are processors.

    One process writes the cache: SQLite makes several wait for each other, and gives up after seconds. Sphinx finds the
    chapters there; one that raised it runs again, to name the cell.
    """
    os.environ["TEXTGEN_BOOK_BUILD"] = "1"  # as the extension does: pictures for the controls, not widgets
    os.environ["TEXTGEN_STRICT"] = "1"  # a figure off its record is an error here
    os.environ["OMP_NUM_THREADS"] = "1"  # threads of two chapters would wait for each other's processors
    cache = get_cache(CACHE)
    for path in reversed(notebooks()):  # the later ones take longest
        cache.add_nb_to_project(str(path))
    waiting = [cache.get_project_notebook(record.pk) for record in cache.list_unexecuted()]
    if waiting:
        print("Executing " + ", ".join(Path(one.uri).stem for one in waiting), flush=True)
    limit = yaml.safe_load((ROOT / "_config.yml").read_text())["execute"]["timeout"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {
            pool.submit(single_nb_execution, one.nb, str(Path(one.uri).parent), limit, False): one
            for one in waiting
        }
        for run in as_completed(runs):
            if run.exception():  # its kernel died
                continue
            result = run.result()
            if not result.err:
                bundle = create_cache_bundle(runs[run], result.cwd, None, result.time, None)
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def follow(*command: str) -> tuple[int, list[str]]:
    """Run a command, print what is of use in its log, and return its status and the lines that name a failing cell."""
    failed = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            if not any(noise in line for noise in NOISE):
                print(line, end="", flush=True)
            if "FAILED CELL" in line:
                failed.append(re.sub(r"\x1b\[[\d;]*m", "", line[line.index("FAILED CELL") :]).strip())
    return process.returncode, failed


def publish() -> None:
    """Put a copy of the finished site in the place of the old one."""
    new, old = SITE.with_name("html.new"), SITE.with_name("html.old")
    for left_over in (new, old):
        shutil.rmtree(left_over, ignore_errors=True)
    shutil.copytree(WORK / "html", new)
    if SITE.exists():
        SITE.rename(old)
    new.rename(SITE)
    shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    """Build and publish; return 0 when a new site stands."""
    start = time.perf_counter()
    stamps, framed = read_stamps(), frame()
    pages = drop_stale(stamps.get("pages", {}))
    fresh = stamps.get("frame") != framed  # Sphinx does not notice a changed style sheet or extension
    if fresh:
        shutil.rmtree(WORK / "html", ignore_errors=True)
    # No frame yet: after a failure the next build reads every page again, and so repeats every warning.
    write_stamps({"pages": pages})

    follow(sys.executable, __file__, "execute")
    book = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "--path-output", "_build/work"]
    status, failed = follow(*book, "-W", "-n", "--keep-going", *["--all"] * fresh)
    kept = f"The last good site still stands in {SITE.relative_to(ROOT)}." if SITE.exists() else ""
    if status:
        print("\n" + "\n".join(failed or ["The warnings above are errors here."]), file=sys.stderr)
        print(f"The book was not published. {kept}", file=sys.stderr)
        return 1
    try:
        slides.write(WORK / "html")
    except ValueError as error:  # a deck names what its page no longer has
        print(f"{error}\nThe book was not published. {kept}", file=sys.stderr)
        return 1
    publish()
    write_stamps({"pages": pages, "frame": framed})
    print(f"\nThe book is in {SITE.relative_to(ROOT)}/index.html ({time.perf_counter() - start:.0f} s).")
    print("Open that file in a browser, or run `make serve`.")
    if not (ROOT / "node_modules/mathjax").exists():
        print(
            "npm's files are not there: the pages load MathJax and bertviz's scripts from their CDNs, and no slides are made."
        )
    return 0


if __name__ == "__main__":
    sys.exit(execute_chapters() if sys.argv[1:] == ["execute"] else main())
