"""The rules every notebook of the book keeps, and proof that nbval sees what it must.

nbval compares only cells tagged `nbval-check-output`, and passes one that was saved without output, so the first
half guards what it does not look at. A chapter is a file whose name begins with its number; other notebooks
(storyworld) owe everything but the learning goals, exercises and checked figures.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
sys.path.insert(0, str(ROOT / "tools"))
import execute

NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))
GOALS = "What you will be able to do"
CHECKED = "nbval-check-output"
FIGURE = re.compile(r": (\S+) \(on record: (\S+); they agree(?: within (\S+))?\)$", re.MULTILINE)
MYST = {
    r"\{[\w:.-]+\}`": "a MyST role",
    r"^\s*(`{3,}|:{3,})\s*\{": "a MyST directive",
    r"^\([\w-]+\)=\s*$": "a MyST label",
    r"\{\{": "a MyST substitution",
    r"<img(?![^>]*\balt=\"[^\"]+\")|!\[\]\(": "a picture without alt text",
}


def tags(cell):
    return cell.metadata.get("tags", [])


def text_of(cell):
    """Return the text that nbval compares: what was printed and the last value."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text", "") + output.get("data", {}).get("text/plain", ""))
    return "".join(parts).strip()


def code_lines(cell):
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in cell.source.splitlines())


def head_faults(nb, chapter):
    first, *_ = nb.cells
    title, _, rest = first.source.partition("\n")
    if first.cell_type != "markdown" or not re.fullmatch(r"# \S.*", title):
        yield "the first cell must be Markdown and begin with the title, '# ...'"
    paragraphs = [p for p in re.split(r"\n\s*\n", rest.strip()) if not p.startswith(("[![", "<a "))]
    if not paragraphs or not re.fullmatch(r"[^.?!]+(?:[.?!](?! |\n)[^.?!]*)*[.?]", paragraphs[0]):
        yield "under the title stands one sentence that says what the page promises"
    setup = next((i for i, cell in enumerate(nb.cells) if cell.cell_type == "code"), len(nb.cells))
    if setup == len(nb.cells) or nb.cells[setup].source != execute.setup_cell():
        yield "the first code cell must be tools/execute.py's setup cell, unchanged: run `make notebooks`"
    if chapter and not any(
        re.search(rf"^#+ {GOALS}", c.source, re.IGNORECASE | re.MULTILINE) for c in nb.cells[:setup]
    ):
        yield f"before the setup cell stands a section '## {GOALS}'"


def cell_faults(number, cell):
    for pattern, name in MYST.items():
        if cell.cell_type == "markdown" and re.search(pattern, cell.source, re.MULTILINE):
            yield f"cell {number} holds {name}: notebooks are plain Markdown"
    if cell.cell_type != "code":
        return
    if code_lines(cell) > 20:
        yield f"cell {number} has {code_lines(cell)} lines of code, and 20 are allowed"
    if (
        re.search(r"\bipywidgets\b|\binteract(ive)?\(|\bOutput\(", cell.source)
        and "# Setup" not in cell.source
    ):
        yield f"cell {number} uses ipywidgets: use textgen.explore, which works in the book too"
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "error" and "raises-exception" not in tags(cell):
            yield f"cell {number} raised {output.ename}"
        if output.get("name") == "stderr" or execute.WIDGET in data:
            yield f"cell {number} was saved with what cannot be shown later: run `make notebooks`"
        if {"image/png", "image/jpeg", "image/svg+xml"} & set(data):
            yield f"cell {number} shows a bare picture, whose alt text is lost: use textgen.plots.show"
        if re.search(r"<img(?![^>]*\balt=\"[^\"]+\")", data.get("text/html", "")):
            yield f"cell {number} shows a picture without alt text"
        if re.search(r"site-packages|/(home|Users|root|tmp)/", json.dumps(output)):
            yield f"cell {number} shows a path of the machine it ran on"
    for figure in FIGURE.findall(text_of(cell)):  # nbval masks the first number
        value, record, within = (float(part.replace(",", "") or 0) for part in figure)
        if not abs(value - record) <= 1.1 * within:  # both were rounded
            yield f"cell {number} was saved with {value} for a figure that agrees with {record} within {within}"
    if CHECKED in tags(cell):
        if not text_of(cell):
            yield f"cell {number} is tagged {CHECKED} and was saved without text, so nbval checks nothing"
        if any("base64," in output.get("data", {}).get("text/html", "") for output in cell.outputs):
            yield f"cell {number} is tagged {CHECKED} and draws: pixels differ by machine, so draw in another cell"


def exercise_faults(code):
    for stub, solution in zip(code, [*code[1:], None], strict=True):
        if "exercise" not in tags(stub):
            continue
        check = re.search(r"^(?:textgen\.)?check\.\w+\(", stub.source, re.MULTILINE)
        name = f"the exercise {check[0] + ')' if check else stub.source.splitlines()[0]}"
        if not check or not text_of(stub).startswith("Not written yet. Hint:"):
            yield f"{name} must call its check, and print one hint while it is a stub"
            continue
        if solution is None or "hide-cell" not in tags(solution) or check[0] not in solution.source:
            yield f"{name} must be followed by a solution, tagged hide-cell, that calls the same check"
            continue
        if not text_of(solution).startswith("Right:"):
            yield f"{name}: its solution did not pass"
        folded = solution.metadata.get("jupyter", {}).get("source_hidden")
        if not folded or solution.metadata.get("cellView") != "form":
            yield f"{name}: its solution needs cellView 'form' (Colab) and jupyter.source_hidden, to be folded"
        if CHECKED not in tags(stub) or CHECKED not in tags(solution):
            yield f"{name}: tag stub and solution {CHECKED}, so that every test run tries both"


def faults(path):
    """Return every rule that the notebook at `path` breaks, a sentence each."""
    nb, chapter = nbformat.read(path, as_version=4), re.match(r"\d\d-", path.name)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    found = [*head_faults(nb, chapter), *exercise_faults(code)]
    for number, cell in enumerate(nb.cells):
        found += cell_faults(number, cell)
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("the cells were not run once each, in order: run `make notebooks`")
    if set(nb.metadata) != {"kernelspec", "language_info"}:
        found.append("the notebook's metadata holds more than its language: run `make notebooks`")
    ids = [cell.get("id") for cell in json.loads(path.read_text())["cells"]]  # nbformat would mend them
    if None in ids or len(set(ids)) != len(ids):
        found.append("every cell needs an id of its own: run `make notebooks`")
    if path.stat().st_size > 500_000:
        found.append(f"the file has {path.stat().st_size / 1000:.0f} kB, and 500 are allowed")
    figures = [
        cell for cell in code if CHECKED in tags(cell) and not {"exercise", "hide-cell"} & set(tags(cell))
    ]
    if chapter and len(figures) < 6:
        found.append(f"{len(figures)} cells beside exercises are tagged {CHECKED}, and a chapter needs 6")
    exercises = sum("exercise" in tags(cell) for cell in code)
    if chapter and not path.name.startswith("00") and exercises < 3:
        found.append(f"a chapter has three exercises or more, and {exercises} cells are tagged exercise")
    return found


def test_the_first_chapters_are_there():
    assert {"00-text-generation", "01-logistic-regression", "storyworld"} <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    assert faults(path) == []


# The same rules on a small chapter: it keeps them all, and each way of breaking one is seen.

PICTURE = (
    "from IPython.display import display\ndisplay({'text/html': '<img alt=\"A line.\" src=\"\">'}, raw=True)"
)
SOLUTION = "def sigmoid(z):\n    return np.where(z < 0, np.exp(-abs(z)), 1) / (1 + np.exp(-abs(z)))\n"


def chapter():
    """Return a chapter that keeps every rule, not executed yet."""
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    checked, folded = {"tags": [CHECKED]}, {"cellView": "form", "jupyter": {"source_hidden": True}}
    cells = [
        markdown("# A chapter\n\nYou count to 3.5 and see that it holds."),
        markdown(f"## {GOALS}\n\n- count"),
        code("# Setup"),
        code("import numpy as np\nfrom textgen import check"),
        *[code(f"check.figure('count', {n}.25, {n}.25, within=0.01)", metadata=checked) for n in range(6)],
        code(PICTURE),
    ]
    for _ in range(3):
        stub = "def sigmoid(z):\n    ...\n\n\ncheck.sigmoid(sigmoid)"
        cells.append(code(stub, metadata={"tags": ["exercise", CHECKED]}))
        cells.append(
            code(SOLUTION + "\n\ncheck.sigmoid(sigmoid)", metadata={"tags": ["hide-cell", CHECKED]} | folded)
        )
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture(scope="module", autouse=True)
def textgen_in_every_kernel():
    """Kernels that start in a temporary folder find the package too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(BOOK))
        yield


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The small chapter as `make notebooks` leaves it."""
    path = tmp_path_factory.mktemp("book") / "09-sample.ipynb"
    nbformat.write(chapter(), path)
    execute.run(path)
    return path


def test_the_small_chapter_keeps_every_rule(sample):
    assert faults(sample) == []


def cut(nb, *numbers):
    nb.cells = [cell for i, cell in enumerate(nb.cells) if i not in numbers]


def move_count(nb):
    nb.cells[4].execution_count, nb.cells[5].execution_count = 3, 2


BREAKS = {
    "begin with the title": lambda nb: nb.cells[0].update(source="A chapter\n\nYou count."),
    "one sentence": lambda nb: nb.cells[0].update(source="# A chapter\n\nYou count. You see."),
    "what the page promises": lambda nb: nb.cells[0].update(source="# A chapter"),
    GOALS: lambda nb: cut(nb, 1),
    "setup cell": lambda nb: nb.cells[2].update(source=nb.cells[2].source + "\nimport torch"),
    "a MyST role": lambda nb: nb.cells[1].update(source=f"## {GOALS}\n\nsee {{cite}}`brown2020`"),
    "a MyST directive": lambda nb: nb.cells[1].update(source=f"## {GOALS}\n\n```{{note}}\nx\n```"),
    "a picture without alt text": lambda nb: nb.cells[1].update(source=f"## {GOALS}\n\n![](line.png)"),
    "21 lines of code": lambda nb: nb.cells[3].update(source="\n\n# why\n".join(["x = 1"] * 21)),
    "uses ipywidgets": lambda nb: nb.cells[3].update(source="from ipywidgets import interact"),
    "raised ValueError": lambda nb: nb.cells[3].outputs.append(
        nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])
    ),
    "what cannot be shown later": lambda nb: nb.cells[10].outputs[0].data.update({execute.WIDGET: {}}),
    "a bare picture": lambda nb: nb.cells[10].outputs[0].data.update({"image/png": "aaaa"}),
    "shows a picture without": lambda nb: nb.cells[10].outputs[0].data.update({"text/html": "<img src=''>"}),
    "a path of the machine": lambda nb: nb.cells[4].outputs[0].update(text="in /home/ada/book"),
    "agrees with 0.25": lambda nb: (
        nb.cells[4].outputs[0].update(text="count: 0.27 (on record: 0.25; they agree within 0.01)\n")
    ),
    "nbval checks nothing": lambda nb: nb.cells[4].update(outputs=[]),
    "pixels differ": lambda nb: nb.cells[4].outputs.append(
        nbformat.v4.new_output(
            "display_data", data={"text/html": '<img alt="x" src="data:image/png;base64,aa">'}
        )
    ),
    "in order": move_count,
    "metadata holds more": lambda nb: nb.metadata.update(widgets={"state": {}}),
    "an id of its own": lambda nb: nb.cells[4].update(id=nb.cells[5].id),
    "500 are allowed": lambda nb: nb.cells[10].outputs[0].data.update({"text/plain": "x" * 500_000}),
    "a chapter needs 6": lambda nb: nb.cells[4].metadata.update(tags=[]),
    "three exercises": lambda nb: nb.cells[11].metadata.update(tags=[]),
    "one hint": lambda nb: nb.cells[11].update(outputs=[]),
    "must call its check": lambda nb: nb.cells[11].update(source="def sigmoid(z):\n    ..."),
    "followed by a solution": lambda nb: cut(nb, 12),
    "did not pass": lambda nb: (
        nb.cells[12].outputs[0].update(text="Not written yet. Hint: 1 / (1 + np.exp(-z))")
    ),
    "to be folded": lambda nb: nb.cells[12].metadata.pop("cellView"),
    "tries both": lambda nb: nb.cells[12].metadata.update(tags=["hide-cell"]),
}


@pytest.mark.filterwarnings("ignore:Non-unique cell id")
@pytest.mark.parametrize("said", BREAKS)
def test_a_broken_rule_is_seen(sample, said, tmp_path):
    nb = nbformat.read(sample, as_version=4)
    BREAKS[said](nb)
    path = tmp_path / sample.name
    path.write_text(json.dumps(nb))
    assert [fault for fault in faults(path) if said in fault], faults(path)


# nbval, as `make test` calls it.


def nbval(path):
    options = ["--nbval-lax", "--nbval-current-env", f"--nbval-sanitize-with={ROOT / 'tests/sanitize.cfg'}"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *options,
        f"--rootdir={path.parent}",
        path,
    ]
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("strict", ["1", "0"], ids=["a strict kernel", "a reader's kernel"])
def test_nbval_passes_what_was_saved_and_sees_what_does_not_hold(sample, strict, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTGEN_STRICT", strict)
    nb = nbformat.read(sample, as_version=4)
    path = tmp_path / sample.name

    def slip(number, old, new):
        cell = json.dumps(nb.cells[number])
        assert cell.count(old) == 1
        nb.cells[number] = nbformat.from_dict(json.loads(cell.replace(old, new)))

    slip(4, ": 0.25 (", ": 0.251 (")  # as another machine has it
    nbformat.write(nb, path)
    fine = nbval(path)
    assert fine.returncode == 0, fine.stdout
    slip(5, "record: 1.25", "record: 1.26")
    slip(6, "agree within", "differ by more than")
    slip(7, "within 0.01", "within 0.02")
    slip(8, "count: 4", "length: 4")
    slip(9, "5.25, 5.25", "5.3, 5.25")  # this run is off its record
    slip(12, "np.exp(-abs(z)), 1)", "1, 1)")
    nbformat.write(nb, path)
    wrong = nbval(path)
    assert wrong.returncode == 1 and "6 failed" in wrong.stdout, wrong.stdout
    assert "record: 1.26" in wrong.stdout and "differ by more than" in wrong.stdout
    assert ("Diagnosis" in wrong.stdout) == (strict == "1")


def test_nbval_sees_a_corrupted_figure_of_a_real_chapter(tmp_path, monkeypatch):
    """A chapter up to its first checked figure, whose record is changed as a slip of the hand would."""
    nb = nbformat.read(BOOK / "01-logistic-regression.ipynb", as_version=4)
    first = next(i for i, cell in enumerate(nb.cells) if CHECKED in tags(cell) and "figure(" in cell.source)
    nb.cells = nb.cells[: first + 1]
    path = tmp_path / "01-logistic-regression.ipynb"
    nbformat.write(nb, path)
    execute.run(path)
    run = nbval(path)
    assert run.returncode == 0, run.stdout
    nb = nbformat.read(path, as_version=4)
    output = nb.cells[first].outputs[-1]
    output.text, slips = re.subn(
        r"\d(?=; they agree)", lambda digit: str((int(digit[0]) + 1) % 10), output.text
    )
    assert slips
    nbformat.write(nb, path)
    for strict in ("1", "0"):
        monkeypatch.setenv("TEXTGEN_STRICT", strict)
        run = nbval(path)
        assert run.returncode == 1 and "; they agree within" in run.stdout, run.stdout


def masks():
    """Return the sanitiser's patterns as nbval reads them."""
    text = (ROOT / "tests/sanitize.cfg").read_text()
    return re.findall(r"^regex: (.*)$\n^replace: (.*)$", text, re.MULTILINE)


def sanitise(text):
    for pattern, replacement in masks():
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<Thing at 0x7f1c2a3b4d50>", "<Thing at 0x7f00deadbeef>"),
        ("took 1.25 s", "took 0.9 s"),
        ("took 1.25s", "took 13.0s"),
        ("in 12 seconds", "in 1,240 seconds"),
        ("1,204 tokens per second", "980 tokens per second"),
        ('{"seconds": 0.123}', '{"seconds": 4.0}'),
        ('{"computation time": 0.123}', '{"computation time": 4.0}'),
        ("bertviz-" + "0f" * 16, "bertviz-" + "a1" * 16),
    ],
)
def test_addresses_timings_and_ids_are_masked(one, other):
    assert sanitise(one) == sanitise(other)


VALUES = ["0.213", "957,184", "1,024.5", "-0.5", "7", "1e-05", "-2.5e-12", "1e+16", "nan"]


@pytest.mark.parametrize("value", VALUES)
def test_of_a_figure_this_runs_value_alone_is_masked(value):
    def line(value="1", record="0.21", within="0.01"):
        return f"a first line\nAda: 3: loss: {value} (on record: {record}; they agree within {within})\nb: 1"

    assert sanitise(line(value)) == line("VALUE")
    assert sanitise(line(value, record=value, within=value)) == line("VALUE", value, value)
    count = f"weights: {value} (on record: {value}; they agree)\n"
    assert sanitise(2 * count) == 2 * count.replace(value, "VALUE", 1)


@pytest.mark.parametrize(
    "text",
    [
        "GPT, bits per character: 0.213 (on record: 0.21; they differ by more than 0.001)",
        "Ada: 7 (on record: 8)",
        "Ada: seven (on record: 7; they agree within 1)",
        "Ada: 7 (on record: 7; they agree within 1), and Bo: 8",
        "More data helps: true in this run",
        "loss 1.386, accuracy 97.5%, 12 of 100 stories",
        "Ada is 7. 3 seeds, 2 students, 5 stones; in the 1990s",
        "tensor([0.25, 0.75]) 1e-05 0x41 (3, 4)",
        '{"text": "Once", "temperature": 0.8, "tokens": 60}',
        "128 tokens, 1,024 words, 60 characters",
    ],
)
def test_nothing_else_is_masked(text):
    assert sanitise(text) == text


# The other half of `make notebooks`: what it writes.


def test_a_run_is_repeatable_and_leaves_no_widget_state(tmp_path):
    nb = chapter()
    source = "import ipywidgets\nfrom tqdm.auto import tqdm\nfor _ in tqdm(range(3)):\n    pass\nipywidgets.IntSlider()"
    nb.cells.append(nbformat.v4.new_code_cell(source))
    nb.cells.append(
        nbformat.v4.new_code_cell("import textgen\ntextgen.explore(lambda n=1: f'<b>{n}</b>', n=[1, 2])")
    )
    path = tmp_path / "09-sample.ipynb"
    nbformat.write(nb, path)
    execute.run(path)
    once = path.read_bytes()
    saved = nbformat.read(path, as_version=4)
    assert saved.cells[-2].outputs == []  # a slider and a progress bar have nothing to show at rest
    assert "<b>1</b>" in saved.cells[-1].outputs[0].data["text/html"]
    assert execute.WIDGET.encode() not in once and b'"widgets"' not in once
    assert [cell.id for cell in saved.cells] == [cell.id for cell in nb.cells]
    execute.run(path)
    assert path.read_bytes() == once


def test_a_cell_that_raises_leaves_the_notebook_as_it_was(tmp_path):
    nb = nbformat.v4.new_notebook(cells=chapter().cells[:3])
    nb.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    path = tmp_path / "sample.ipynb"
    nbformat.write(nb, path)
    before = path.read_bytes()
    with pytest.raises(execute.CellExecutionError, match="ZeroDivisionError"):
        execute.run(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_notebook_without_a_setup_cell_is_refused(tmp_path):
    path = tmp_path / "sample.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), path)
    with pytest.raises(ValueError, match="begin it with '# Setup'"):
        execute.run(path)
