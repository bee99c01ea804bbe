"""What a page of the book rests on: the modules of textgen that its cells reach, and the data that these read.

It is read from the source; no cell runs. A page that calls `check.attention` rests on the module where `attention` is
written, on what that module imports, and on each data file that one of them names in a string. Where the source does
not tell, as in `getattr(textgen, name)`, the page rests on the whole package.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import runpy
from pathlib import Path
from typing import NamedTuple

NAME = "textgen"
MAGIC = re.compile(r"^(\s*)[%!].*", re.MULTILINE)  # IPython's own lines, which are not Python
RECORDS = "results"  # its files are asked for one by one, so the folder's name stands for none of them


class Source(NamedTuple):
    """What a piece of Python says. Names are dotted and begin with `textgen`."""

    bound: dict[str, str]  # what its imports bind: local name -> full name
    imported: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()  # its strings, cut at each slash


UNREADABLE = Source({}, used=frozenset({NAME}))


def chain(node: ast.AST) -> list[str]:
    """Return the names of an expression such as `a.b.c`, and none where it is anything else."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.Attribute) and (before := chain(node.value)):
        return [*before, node.attr]
    return []


def imports(tree: ast.AST, package: str) -> list[tuple[str, str, str]]:
    """Return what is imported from textgen: the local name, the full name it stands for, and what is loaded."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                found.append((one.asname or NAME, one.name if one.asname else NAME, one.name))
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            for one in node.names:
                full = ".".join([*above, *([node.module] if node.module else []), one.name])
                found.append((one.asname or one.name, full, full))
    return [one for one in found if one[2].split(".")[0] == NAME]


def read(*trees: ast.AST, package: str = NAME) -> Source:
    """Read syntax trees that share their names; relative imports start from `package`."""
    found = [one for tree in trees for one in imports(tree, package)]
    stands_for, used, words = {}, set(), set()
    for name, full, _ in found:
        stands_for.setdefault(name, set()).add(full)
        if name == "*":
            used.add(full.removesuffix(".*"))

    def visit(node: ast.AST) -> None:
        if names := chain(node):
            used.update(".".join([full, *names[1:]]) for full in stands_for.get(names[0], ()))
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words.update(node.value.split("/"))
        for child in ast.iter_child_nodes(node):
            visit(child)

    for tree in trees:
        visit(tree)
    bound, loaded = {name: full for name, full, _ in found}, frozenset(full for *_, full in found)
    return Source(bound, loaded, frozenset(used), frozenset(words))


def read_notebook(notebook: Path) -> Source:
    """Read the code cells of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    trees = []
    for source in ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]:
        for python in (source, MAGIC.sub(r"\1pass", source)):
            try:
                trees.append(ast.parse(python))
                break
            except SyntaxError:
                pass
        else:
            return UNREADABLE
    return read(*trees)


class Package:
    """The package in a folder: its modules, what each says, and its data files."""

    def __init__(self, folder: Path):
        """Look through `folder`, the one that holds textgen's __init__.py."""
        self.folder, self.sources = folder, {}
        files = [one for one in folder.rglob("*") if one.is_file() and "__pycache__" not in one.parts]
        self.modules = {self.dotted(file): file for file in files if file.suffix == ".py"}
        self.data = [file for file in files if file.suffix not in (".py", ".md")]

    def dotted(self, file: Path) -> str:
        """Return the name under which a file is imported."""
        parts = file.relative_to(self.folder).with_suffix("").parts
        return ".".join([NAME, *parts]).removesuffix(".__init__")

    def is_package(self, module: str) -> bool:
        """Say whether a module is the `__init__.py` of a folder."""
        return self.modules[module].name == "__init__.py"

    def source(self, module: str) -> Source:
        """Return what a module says."""
        if module not in self.sources:
            self.sources[module] = self._read(module)
        return self.sources[module]

    def _read(self, module: str) -> Source:
        file = self.modules[module]
        try:
            if module == NAME:  # it imports nothing: a name is loaded on first use, from where a table says
                home = runpy.run_path(str(file)).get("_HOME", {})
                return Source({name: f"{NAME}.{place}.{name}" for name, place in home.items()})
            tree = ast.parse(file.read_bytes())
        except Exception:  # noqa: BLE001 (a module that is being written: the page that uses it will say so)
            return UNREADABLE
        return read(tree, package=module if self.is_package(module) else module.rpartition(".")[0])

    def resolve(self, dotted: str) -> tuple[list[str], bool]:
        """Return the modules that lead to a name, its home last, and whether the name is that home itself."""
        way, parts = [NAME], dotted.split(".")[1:]
        for number, part in enumerate(parts):
            below = f"{way[-1]}.{part}"
            if below in self.modules:
                way.append(below)
                continue
            elsewhere = self.source(way[-1]).bound.get(part, below) if self.is_package(way[-1]) else below
            if elsewhere == below:
                return way, False
            further, itself = self.resolve(".".join([elsewhere, *parts[number + 1 :]]))
            return way + further, itself
        return way, True

    def rests_on(self, code: Source) -> list[Path]:
        """Return the files of the package that may change what `code` does, in order."""
        files, words, waiting, followed = set(), set(), [code], set()
        while waiting:
            one = waiting.pop()
            words |= one.words
            if NAME in one.used:
                return sorted([*self.modules.values(), *self.data])
            for dotted in one.imported | one.used:
                way, itself = self.resolve(dotted)
                files.update(self.modules[module] for module in way)
                home, read_on = way[-1], {way[-1]}
                if itself and self.is_package(home):
                    # Importing a folder uses nothing in it yet; where it is handed on whole, anything may be used.
                    inside = {module for module in self.modules if f"{module}.".startswith(f"{home}.")}
                    read_on = inside if dotted in one.used else set()
                files.update(self.modules[module] for module in {*way, *read_on})
                waiting += [self.source(module) for module in read_on - followed]
                followed |= read_on
        return sorted([*files, *(file for file in self.data if words & self.names(file))])

    def names(self, file: Path) -> set[str]:
        """Return the strings that stand for a data file: its name with and without its ending, and its folder's."""
        drawer = file.parent.name == RECORDS or (file.parent / "__init__.py").exists()
        return {file.name, file.stem} | (set() if drawer else {file.parent.name})

    def digest(self, notebook: Path, *others: Path) -> str:
        """Return the SHA-256 over what a notebook rests on, and these other files."""
        total = hashlib.sha256()
        for file in [*self.rests_on(read_notebook(notebook)), *others]:
            total.update(f"{file.name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
        return total.hexdigest()
