"""Files: written whole or not at all, read with one sentence when damaged, checked by SHA-256, downloaded once."""

import errno
import glob
import hashlib
import http.client
import os
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LFS = b"version https://git-lfs.github.com/spec/"  # how the file begins that Git LFS leaves in the place of a large one
ABANDONED = 3600  # seconds since a temporary neighbour was last written to
NAMED = 4  # of the files that lie in the place of one that is missing
SUMS = "SHA256SUMS"  # in a folder of weights, as `sha256sum` writes and checks it


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary neighbour of `path` to write to; it takes the file's place when the block ends well.

    Each writer has a neighbour of its own: of two that write one file at a time, the last to end has it whole. What a
    killed writer left behind goes with the next one, once it is an hour old.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime >= ABANDONED:
                left.unlink()
    neighbour = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield neighbour
        os.replace(neighbour, path)
    finally:
        neighbour.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike, content: str | bytes) -> None:
    """Write a file all or nothing; text is UTF-8 with "\\n" at the end of a line on every system."""
    with replacing(path) as neighbour:
        neighbour.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def problem(kind: type[Exception], cause: str, mend: str) -> Exception:
    """An exception whose sentence is the cause and what mends it; `mending` may know something better."""
    error = kind(f"{cause}; {mend}.")
    error.cause = cause
    return error


@contextmanager
def mending(mend: str) -> Iterator[None]:
    """Let what is wrong with a file in this block be told with `mend`, where one knows how to replace it."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"{getattr(error, 'cause', str(error).removesuffix('.'))}: {mend}.") from error


def damaged(path: Path, why) -> Exception:
    """What to raise for a file that is not what it should be."""
    with open(path, "rb") as file:
        pointer = file.read(len(LFS)) == LFS
    if pointer:
        return problem(
            ValueError, f"{path} is a pointer of Git LFS, not the file itself", "run git lfs pull there"
        )
    return problem(ValueError, f"{path} is truncated or altered ({why})", "fetch or save it again")


def read_parsed(path: str | os.PathLike, parse: Callable):
    """``parse(bytes)`` of a file; raises FileNotFoundError without one, ValueError where ``parse`` fails."""
    path = Path(path)
    if not path.is_file():
        there = sorted(one.name for one in path.parent.iterdir())[:NAMED] if path.parent.is_dir() else []
        cause = f"There is no {path.name} in {path.parent}{', but ' * bool(there)}{', '.join(there)}"
        raise problem(FileNotFoundError, cause, "give a folder that holds one")
    try:
        return parse(path.read_bytes())
    except Exception as error:  # each parser has its own
        raise error if hasattr(error, "cause") else damaged(path, error) from error


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: str | os.PathLike, wanted: str) -> None:
    """Raise FileNotFoundError where there is no such file, ValueError where its SHA-256 is another."""
    if not Path(path).is_file():
        raise problem(FileNotFoundError, f"{path} is missing", "fetch it again")
    if sha256(path) != wanted:
        raise damaged(Path(path), "its SHA-256 is not as recorded")


def write_sums(folder: str | os.PathLike, names: tuple[str, ...]) -> None:
    """Write ``SHA256SUMS`` for these files of a folder."""
    lines = [f"{sha256(Path(folder) / name)}  {name}\n" for name in names]
    write_atomically(Path(folder) / SUMS, "".join(lines))


def verify(folder: str | os.PathLike) -> None:
    """Hold the files of a folder against its ``SHA256SUMS``, if it has one; raises as `check_sha256` does."""
    sums = Path(folder) / SUMS
    for line in sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else ():
        wanted, _, name = line.partition("  ")
        check_sha256(Path(folder) / name, wanted)


def unwritable(error: BaseException) -> str:
    """Why a file could not be written, in the system's words; "" where an error says something else."""
    kept = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOENT)
    return error.strerror if isinstance(error, OSError) and error.errno in kept else ""


def cache_folder() -> Path:
    """The folder of downloads: ``TEXTGEN_CACHE``, or textgen in the user's cache folder."""
    if folder := os.environ.get("TEXTGEN_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "textgen"


def download(url: str, name: str, wanted: str, without: str, timeout: float = 10) -> Path:
    """The file `name` of the cache folder, fetched from `url` unless it is there; `wanted` is its SHA-256.

    Raises ConnectionError when the download fails, ValueError when other bytes arrive than expected, and OSError when
    they cannot be kept; all say `without`, what still works without the file.
    """
    path = cache_folder() / name
    if path.is_file() and sha256(path) == wanted:
        return path
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            content = response.read()
    except (OSError, ValueError, http.client.HTTPException) as error:  # a time-out is an OSError
        raise ConnectionError(f"{name} could not be downloaded ({error}): {without}.") from error
    if hashlib.sha256(content).hexdigest() != wanted:
        raise ValueError(f"The {name} that came is not the file it should be (wrong SHA-256): {without}.")
    try:
        write_atomically(path, content)
    except OSError as error:
        where = f"{path.parent} cannot be written ({error.strerror}): set TEXTGEN_CACHE to a folder that can"
        raise type(error)(f"{where}; {without}.") from error
    return path
