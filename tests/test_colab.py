"""Every notebook's setup cell as Colab runs it: a folder that holds only the notebook, Colab's own packages.

The environment is built once, into _build/colab, with PyTorch linked from the book's own environment (another build
is gigabytes). The repository's address leads git to a bare repository made of this checkout, tagged as the real one.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import venv
from datetime import datetime
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from conftest import copy_checkout, git
from dependencies import MAGIC
from execute import setup_cell
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from project import ROOT, repository, version
from retarget import source_files
from toc import notebooks

# What Colab had when this was written, where it could be read; pip chooses the rest to fit.
COLAB = [
    "accelerate==1.13.0",
    "huggingface-hub==1.31.0",
    "ipykernel==6.17.1",
    "ipywidgets==7.7.1",
    "matplotlib==3.10.0",
    "numpy==2.1.3",
    "pillow==11.3.0",
    "safetensors==0.8.0",
    "scikit-learn==1.6.1",
    "tokenizers==0.22.2",
    "tqdm==4.67.1",
    "transformers==5.15.0",
]
LINKED = ["torch", "torchgen", "functorch"]


def pip(python, *arguments):
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def link_torch(environment):
    """Hard-link this environment's PyTorch into another: a fresh copy would be gigabytes."""
    torch = metadata.distribution("torch")
    source = Path(torch.locate_file(""))
    (target,) = environment.glob("lib/python*/site-packages")

    def link(one, other):
        try:
            os.link(one, other)
        except OSError:  # another disk
            shutil.copy2(one, other)

    for name in [*LINKED, f"torch-{torch.version}.dist-info"]:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, copy_function=link, dirs_exist_ok=True)
    return [requirement for requirement in torch.requires if "extra ==" not in requirement]


@pytest.fixture(scope="module")
def colab():
    """The Python of an environment like Colab's, without textgen."""
    environment, stamp = ROOT / "_build/colab", ROOT / "_build/colab/installed.txt"
    python = environment / "bin/python"
    wanted = "\n".join([sys.version, metadata.version("torch"), *COLAB])
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(environment, clear=True, with_pip=True)
        needs = link_torch(environment)
        pip(python, "install", "--quiet", "--no-compile", *COLAB, *needs)
        stamp.write_text(wanted)
    pip(python, "uninstall", "--yes", "--quiet", "text-generation-course")  # left by a run that was killed
    return python


@pytest.fixture(scope="module")
def from_here(tmp_path_factory):
    """Environment variables by which git finds the repository's address in a bare repository of this checkout.

    Its main branch has moved on since the tag: every notebook here is a saved copy of an older version.
    """
    work, bare = copy_checkout(tmp_path_factory.mktemp("work")), tmp_path_factory.mktemp("bare.git")
    for command in ("add -A", "commit -q -m copy", f"tag v{version()}"):
        git(work, *command.split())
    (work / "book/textgen/__init__.py").write_text("raise ImportError('All is new.')")
    for command in ("commit -q -a -m later", f"clone -q --bare . {bare}"):
        git(work, *command.split())
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{bare.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{repository()}",
    }


def offline(variables):
    """Add the environment variables of a machine whose network is gone."""
    return variables | {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture
def session(colab, tmp_path, monkeypatch):
    """A fresh session of Colab: a function that runs a notebook in its own folder, and Colab's Python."""
    spec = {"argv": [str(colab), "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python"}
    kernel = tmp_path / "jupyter/kernels/colab/kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps(spec | {"display_name": "Colab"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    for name in ("PYTHONPATH", "TEXTGEN_BOOK_BUILD"):
        monkeypatch.delenv(name, raising=False)

    def run(nb, name, variables):
        for key, value in variables.items():
            monkeypatch.setenv(key, value)
        folder = tmp_path / "content"
        folder.mkdir()
        nbformat.write(nb, folder / name)
        client = NotebookClient(
            nb,
            kernel_name="colab",
            timeout=180,
            startup_timeout=180,
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute()
        return nb

    yield run
    pip(colab, "uninstall", "--yes", "--quiet", "text-generation-course")


def versions(python):
    """Return what is installed, a version a name."""
    return dict(line.split("==") for line in pip(python, "list", "--format=freeze").split())


def seconds(cell):
    """Return how long a cell ran, from the times that nbclient noted."""
    times = [
        datetime.fromisoformat(cell.metadata.execution[f"iopub.status.{state}"]) for state in ("busy", "idle")
    ]
    return (times[1] - times[0]).total_seconds()


PROOF = """import os, textgen
print(textgen.__version__, textgen.__file__, sum(os.times()[2:4]))"""


# The rules hold all setup cells to one text. The first page runs whole; another lends its name and nothing else.
@pytest.mark.parametrize(
    "path", [p for p in notebooks() if p.stem[:2] in ("00", "nu")], ids=lambda path: path.stem
)
def test_setup_cell_installs_the_package_and_touches_nothing_else(path, colab, from_here, session):
    nb = nbformat.read(path, as_version=4)
    first = next(cell for cell in nb.cells if cell.cell_type == "code")
    proof = nbformat.v4.new_code_cell(PROOF)
    if path.stem.startswith("00"):  # this one runs whole
        nb.cells.append(proof)
    else:
        nb.cells = [first, proof]
    before = versions(colab)
    session(nb, path.name, from_here)
    after = versions(colab)
    assert after.pop("text-generation-course") == version()
    assert {name: after.get(name) for name in before} == before
    assert after.keys() - before.keys() <= {
        "anywidget",
        "psygnal",
    }  # for textgen.live, where Colab lacks them
    came, home, took = proof.outputs[0].text.split()
    assert came == version() and Path(home).is_relative_to(colab.parents[1])
    package = ROOT / "book/textgen"
    files = [file.relative_to(package) for file in source_files(ROOT) if file.is_relative_to(package)]
    assert [file for file in files if not Path(home).parent.joinpath(file).exists()] == []
    # Processor time hardly depends on what runs beside it. It took 17 s; twice that is a dependency too many.
    print(f"setup cell of {path.name}: {seconds(first):.1f} s, processor {took} s")
    assert float(took) < 40 and first.outputs == []


def test_colab_has_all_that_the_pages_import(colab):
    """But for the course's package, and for what a page installs where its import fails."""
    lines, installed = set(), set()
    for path in notebooks():
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        for tree in (ast.parse(MAGIC.sub(r"\1pass", source)) for source in cells):
            for node in ast.walk(tree):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    lines.add(ast.unparse(node))
                elif isinstance(node, ast.Try):
                    installed |= {name.name for line in node.body for name in getattr(line, "names", [])}
    assert installed == {"textgen.storyworld", "bertviz"}
    needed = [line for line in lines if line.split()[1].split(".")[0] not in ("textgen", "bertviz")]
    assert len(needed) > 20
    subprocess.run([colab, "-c", "\n".join(needed)], check=True)


def test_setup_cell_leaves_an_installed_package_alone(session):
    """A second run, and a run from book/, need no network."""
    proof = nbformat.v4.new_code_cell(PROOF)
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(setup_cell()), proof])
    session(nb, "again.ipynb", offline({"PYTHONPATH": str(ROOT / "book")}))
    assert str(ROOT / "book") in proof.outputs[0].text


# What goes wrong is one sentence each.


def said_by(python, source, folder, variables=None):
    """Run `source` as a script in `folder` and return what it says before it gives up."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [python, "-c", source],
        cwd=folder,
        env=kept | (variables or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1 and run.stdout == ""
    (line,) = run.stderr.splitlines()
    return line


def test_without_network(colab, tmp_path):
    line = said_by(colab, setup_cell(), tmp_path, offline({}))
    assert line.startswith("Connect to the network and run this again") and repository() in line


def test_in_a_notebook_the_sentence_stands_alone(session):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(setup_cell())])
    with pytest.raises(CellExecutionError):
        session(nb, "offline.ipynb", offline({}))
    (error,) = [output for output in nb.cells[0].outputs if output.output_type == "error"]
    assert error.ename == "SystemExit" and error.evalue.startswith("Connect to the network")
    assert "Traceback" not in "".join(error.traceback)


def test_without_widgets_a_control_says_what_it_needs(tmp_path):
    source = """import sys
sys.modules["ipywidgets"] = None  # as if it were not installed
import textgen
bundle = textgen.explore(lambda n=1: f"<b>{n}</b>", n=[1, 2])._repr_mimebundle_()
assert "<b>1</b>" in bundle["text/html"]
sys.exit(bundle["text/plain"])"""
    line = said_by(sys.executable, source, tmp_path, {"PYTHONPATH": str(ROOT / "book")})
    assert line == "The controls need ipywidgets (pip install ipywidgets); this is n = 1."
