"""The book on a USB stick: `make bundle` writes _build/text-generation-VERSION.zip.

In it are the built site with its slides, the notebooks, the student edition and the wheel, which carries the weights. Unzipped
anywhere, its index.html opens the book, without a network. The same files always give the same bytes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import student
from project import ROOT, version
from retarget import source_files
from stamps import stale
from toc import notebooks

SITE = ROOT / "_build/html"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can name: every file's, whenever it was written

INDEX = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Text Generation</title>
<meta http-equiv="refresh" content="0; url=site/book/index.html">
<p><a href="site/book/index.html">Text Generation: from logistic regression to ChatGPT</a></p>
</html>
"""
README = """\
Text Generation: from logistic regression to ChatGPT (version {version})

Read it: open index.html in a browser. The pages need no network: their controls and models run in the browser.

Run it: notebooks/ holds the pages as notebooks, student/ the same ones without solutions. They need Python 3.11 or
newer. On a machine that has the packages that the wheel asks for, and JupyterLab, no network is needed:

    pip install {wheel} --no-deps
    jupyter lab notebooks

(Two pictures of chapter 4 are drawn by bertviz, which its notebook installs where it is missing.)
Elsewhere, with a network, pip brings what is missing: pip install {wheel} jupyterlab
If something does not work: python -m textgen.doctor
"""


def build_wheel(root: Path, folder: Path) -> Path:
    """Build the wheel of the checkout at `root` into `folder`, with no network, and return its path.

    It is built of a copy, because setuptools leaves files where it builds. Ends with a sentence where it cannot be built.
    """
    with tempfile.TemporaryDirectory() as copy:
        for path in source_files(root):
            target = Path(copy, path.relative_to(root))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
        ]
        fixed = os.environ | {"SOURCE_DATE_EPOCH": "315532800"}  # 1980 again
        done = subprocess.run(
            [*command, "-w", folder, copy], env=fixed, capture_output=True, text=True, check=False
        )
    if done.returncode:
        sys.exit(f"The wheel cannot be built; it takes setuptools and wheel. pip said: {done.stderr.strip()}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def gather(site: Path, pages: list[Path], wheel: Path) -> dict[str, bytes]:
    """Return the files of the bundle: the site's, the notebooks in both editions, the wheel, and how to begin."""
    files = {f"site/{one.relative_to(site).as_posix()}": one for one in site.rglob("*") if one.is_file()}
    files |= {f"notebooks/{page.name}": page for page in pages} | {wheel.name: wheel}
    with tempfile.TemporaryDirectory() as folder:
        student.write(pages, Path(folder))
        files |= {f"student/{page.name}": Path(folder, page.name) for page in pages}
        found = {name: path.read_bytes() for name, path in files.items()}
    readme = README.format(version=version(), wheel=wheel.name)
    return found | {"index.html": INDEX.encode(), "README.txt": readme.encode()}


def write_zip(files: dict[str, bytes], target: Path) -> None:
    """Write the files into a zip whose one folder bears the zip's own name."""
    part = target.with_name(target.name + ".part")
    with zipfile.ZipFile(part, "w") as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(f"{target.stem}/{name}", LONG_AGO)
            member.external_attr = 0o644 << 16  # anybody may read it
            archive.writestr(member, files[name], zipfile.ZIP_DEFLATED, 9)
    os.replace(part, target)


def fault(site: Path) -> str | None:
    """Return one sentence where `site` is no book that can be read without a network."""
    if not (site / "book/index.html").is_file():
        return "There is no book yet: run make book first."
    if not (site / "_static/vendor/mathjax").is_dir():
        return (
            "The book was built without npm's files and needs a network: install npm and run make book again."
        )
    return None


def main() -> int | str:
    """Write the bundle and print its size; return one sentence where that cannot be."""
    if said := fault(SITE) or stale(SITE):
        return said
    target = ROOT / f"_build/text-generation-{version()}.zip"
    with tempfile.TemporaryDirectory() as folder:
        write_zip(gather(SITE, notebooks(), build_wheel(ROOT, Path(folder))), target)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
