"""Write book/06-rlhf.ipynb's sources (its outputs come from executing it)."""
import json
import sys

import nbformat

sys.path.insert(0, "/work/main/tools")
import execute

md = nbformat.v4.new_markdown_cell
B = "https://github.com/data-science-club/text-generation/blob/main/book/"
CHK = "nbval-check-output"


def code(src, *tags, folded=False):
    c = nbformat.v4.new_code_cell(src.strip("\n"))
    t = list(tags)
    if folded:
        c.metadata = nbformat.from_dict(dict(execute.FOLDED))
        if "hide-cell" not in t:
            t.append("hide-input")
    if t:
        c.metadata["tags"] = t
    return c


def text(src):
    return md(src.strip("\n").replace("G#", B + "glossary.md#").replace("B#", B))


old = json.load(open("/work/main/book/05-using-gpt.ipynb"))
setup = next(c for c in old["cells"] if "".join(c["source"]).startswith("# @title Setup"))
setup = code("".join(setup["source"]), folded=True)

cells = []
exec(open("/tmp/cells_06.py").read())
nb = nbformat.v4.new_notebook(cells=cells)
nb.metadata = nbformat.from_dict(old["metadata"])
for i, c in enumerate(nb.cells):
    c.id = f"06-{i:02d}"
nbformat.write(nb, "/work/main/book/06-rlhf.ipynb")
json_nb = json.load(open("/work/main/book/06-rlhf.ipynb"))
open("/work/main/book/06-rlhf.ipynb", "w").write(json.dumps(json_nb, indent=1, ensure_ascii=False) + "\n")
