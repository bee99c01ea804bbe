"""Move the book to another repository: `make retarget REPO=owner/name`.

The address has one home, pyproject.toml. Everything else that has to spell it out (links and setup cells of the
notebooks, README, citation) is rewritten here, byte for byte, so that nothing but the address changes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from project import ROOT, repository

ADDRESS = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


def source_files(root: Path = ROOT) -> list[Path]:
    """Return the files of the checkout at `root`, those not committed yet among them; git knows what to ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"git must tell which files are the book's ({done.stderr.strip()}): clone the repository.")
    return sorted(root / name for name in set(done.stdout.split("\0")) if name and (root / name).is_file())


def spellings(repo: str) -> list[str]:
    """Return the ways in which links name a repository: on GitHub, and its published pages."""
    owner, name = repo.split("/")
    return [repo, f"{owner.lower()}.github.io/{name}"]


def retarget(root: Path, new: str) -> list[Path]:
    """Put the address `new` ("owner/name") in the place of the old one in every text file under `root`.

    Returns the files that changed: none where the address is `new` already. Raises ValueError where `new` is no
    address of a repository.
    """
    if not ADDRESS.fullmatch(new) or new.endswith(".git"):
        raise ValueError(f"REPO must be a GitHub address owner/name, as in REPO=ada/stories, not {new!r}.")
    pairs = [
        (re.compile(rf"(?<![\w.-]){re.escape(old)}(?![\w-])".encode()), fresh.encode())
        for old, fresh in zip(spellings(repository(root)), spellings(new), strict=True)
    ]
    changed = []
    for path in source_files(root):
        before = after = path.read_bytes()
        if path.is_symlink() or b"\0" in before:  # a picture or weights
            continue
        for pattern, fresh in pairs:
            after = pattern.sub(lambda match, fresh=fresh: fresh, after)
        if after != before:
            part = path.with_name(path.name + ".part")
            part.write_bytes(after)
            part.chmod(path.stat().st_mode)
            os.replace(part, path)
            changed.append(path)
    return changed


def main(arguments: list[str]) -> int:
    """Retarget this checkout; return 0 when every file names the new repository."""
    try:
        changed = retarget(ROOT, arguments[0] if arguments else "")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for path in changed:
        print(path.relative_to(ROOT))
    print(f"{len(changed)} files changed; the repository is {repository()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
