"""Sphinx extension of the book: what Jupyter Book leaves to do for a site that needs no network.

It sets the static flag that `textgen.explore`, `label`, `live` and `chat` read, takes the repository's address from pyproject.toml,
keeps links between pages inside the book, names the cell that raised, serves MathJax, reveal.js and bertviz's scripts
from the site itself, leads from each chapter to its slides, and loads a script only on a page where something uses it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

from myst_nb.sphinx_ import NbMetadataCollector
from nbclient import NotebookClient
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "node_modules"
FILES = (
    "explore.js",
    "explore.css",
    "label.js",
    "label.css",
    "live.css",
    "chat.css",
)  # publish_models writes more
CONTROLS = [ROOT / "book/textgen/page" / name for name in FILES]
LOG = logging.getLogger(__name__)

# What the site serves itself after `npm ci`: file or folder in node_modules -> place under _static/vendor.
VENDOR = {
    "requirejs/require.js": "require.min.js",
    "d3/dist/d3.min.js": "d3.min.js",
    "jquery/dist/jquery.min.js": "jquery.min.js",
    "mathjax/es5/tex-mml-chtml.js": "mathjax/tex-mml-chtml.js",
    "mathjax/es5/output/chtml": "mathjax/output/chtml",
    "mathjax/es5/output/chtml.js": "mathjax/output/chtml.js",
    "mathjax/es5/input": "mathjax/input",
    "reveal.js/dist/reveal.js": "reveal/reveal.js",
    "reveal.js/dist/reveal.css": "reveal/reveal.css",
}
LOCAL = all((MODULES / name).exists() for name in VENDOR)
# bertviz writes these addresses into its HTML; require.js wants d3 and jquery without ".js".
CDN = re.compile(
    r"https://cdnjs\.cloudflare\.com/ajax/libs/[\w.]+/[\d.]+/(require\.min\.js|d3\.min|jquery\.min)"
)
# A block of code as Pygments writes it, where no tag reaches over the end of a line; what a cell printed is none.
CODE = re.compile(r'(<div class="highlight-[^"]+"><div class="highlight"><pre>)(.*?)\n?(?=</pre>)', re.DOTALL)
# A script of the theme's or of an extension's -> what a page must hold for it to be loaded there.
NEEDED_BY = {
    "clipboard": 'class="highlight',
    "copybutton": 'class="highlight',
    "toggle": r'class="[^"]*\b(toggle|dropdown)\b',
    "design-tabs": "sd-tab-set",
    "mathjax": r'class="[^"]*\bmath\b',
}


def repository() -> str:
    """Return the repository's address, whose one home is pyproject.toml."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["urls"]["Repository"].rstrip("/")


def configure(app, config) -> None:
    """Point the buttons at the repository and MathJax at the site's own copy."""
    config.html_theme_options |= {"repository_url": repository(), "repository_branch": "main"}
    config.html_static_path += [str(path) for path in CONTROLS if path.exists()]
    if LOCAL:
        config.mathjax_path = "vendor/mathjax/tex-mml-chtml.js"


def keep_links_inside(app, docname: str, source: list[str]) -> None:
    """Make links to pages of the book on GitHub relative, which a notebook needs only on Colab; and lead to decks."""
    source[0] = source[0].replace(f"]({repository()}/blob/main/{Path(docname).parent}/", "](")
    # the source of a deck of slides becomes the deck; quotation marks would end a string of a notebook
    deck = r"<a href='../slides/\2.html'>\1</a>" if LOCAL else r"\1"
    source[0] = re.sub(r"\[([^][]+)\]\(slides/([\w-]+)\.md\)", deck, source[0])


def name_failing_cell(app) -> None:
    """Log notebook, cell, first line and error when a cell raises; the traceback alone does not say where."""
    run = NotebookClient.async_execute_cell

    async def run_and_name(self, cell, cell_index, *args, **kwargs):
        try:
            return await run(self, cell, cell_index, *args, **kwargs)
        except Exception as error:
            number = sum(other.cell_type == "code" for other in self.nb.cells[: cell_index + 1])
            line = next((text for text in cell.source.splitlines() if text.strip()), "")
            kind = getattr(error, "ename", type(error).__name__)
            message = (getattr(error, "evalue", "") or str(error)).splitlines()[0]
            LOG.error(
                "FAILED CELL %s.ipynb, code cell %d: %s: %s: %s", app.env.docname, number, line, kind, message
            )
            raise

    NotebookClient.async_execute_cell = run_and_name


def by_line(code: re.Match) -> str:
    """Put each line of a block of code in a span of its own that knows its indent, so that it can wrap below that."""
    lines = []
    for line in code[2].split("\n"):
        text = re.sub("<.*?>", "", line)
        indent = len(text) - len(text.lstrip(" "))
        style = f' style="--indent:{indent}"' if indent else ""
        lines.append(f'<span class="line"{style}>{line}</span>\n')
    return code[1] + "".join(lines)


def finish_page(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Rewrite a page's body and choose its scripts and styles."""
    body = context.get("body") or ""
    if LOCAL:
        body = CDN.sub(lambda match: context["pathto"]("_static/vendor/" + match[1], 1), body)
    # the list of sources says it is a list, and its items do not say that they are items
    body = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
    # a formula wider than a telephone scrolls, which the keyboard can do only where it can go
    body = body.replace('<div class="math notranslate', '<div tabindex="0" class="math notranslate')
    body = CODE.sub(by_line, body)
    run = NbMetadataCollector.get_exec_data(app.env, pagename) if doctree else None
    lines = []
    if run and run["runtime"]:
        lines.append(f"It took {run['runtime']:.0f} seconds to run this page for the book.")
    if LOCAL and re.match(r"book/\d\d-", pagename):  # tools/slides.py makes a deck of each chapter
        deck = context["pathto"](f"slides/{Path(pagename).name}.html", 1)
        lines.append(f'It is here as <a href="{deck}">slides</a>, too.')
    if lines:
        body = body.replace("</h1>", f'</h1>\n<p class="run-time">{" ".join(lines)}</p>', 1)
    context["body"] = body
    if models := set(" ".join(re.findall(r'class="textgen-\w+" data-model="([\w -]+)"', body)).split()):
        publish_models(Path(app.outdir) / "_static", models)
    for name in ("explore", "label", "live", "chat"):
        if f'class="textgen-{name}' in body:
            app.add_js_file(f"{name}.js", defer="defer")
            app.add_css_file(f"{name}.css")

    def needed(script) -> bool:
        text = str(script.filename or "") + script.attributes.get("body", "")
        return all(re.search(mark, body) for name, mark in NEEDED_BY.items() if name in text.lower())

    scripts = {(str(s.filename), s.attributes.get("body")): s for s in context["script_files"] if needed(s)}
    context["script_files"] = list(scripts.values())  # each once


def publish_models(static: Path, names: set[str]) -> None:
    """Write what pages with models need: live.js, chat.js, and each model as a script that is loaded on first use.

    All are classic scripts, because file:// refuses modules and fetch. The model carries its CRC-32.
    """
    sys.path.insert(0, str(ROOT / "book"))
    from textgen import hub
    from textgen.page import chat_widget, live_widget, pack

    (static / "live").mkdir(parents=True, exist_ok=True)
    (static / "live.js").write_text(live_widget.classic_script(), encoding="utf-8")
    (static / "chat.js").write_text(live_widget.classic_script(chat_widget.FILES), encoding="utf-8")
    for name in names:
        script = pack.as_script(name, pack.pack(*hub.load(name)))
        (static / "live" / f"{name}.js").write_text(script, encoding="utf-8")


def copy_vendor(app, exception) -> None:
    """Copy the third-party browser files into the site."""
    if exception or app.builder.format != "html" or not LOCAL:
        return
    for name, place in VENDOR.items():
        source, target = MODULES / name, Path(app.outdir) / "_static/vendor" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, dirs_exist_ok=True) if source.is_dir() else shutil.copy(
            source, target
        )


def drop_extension(app, name: str) -> None:
    """Disconnect an extension that Jupyter Book always loads and this book never uses."""
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if one.handler.__module__ != name]
    app.registry.css_files = [css for css in app.registry.css_files if name.replace("_", "-") not in css[0]]


def setup(app) -> dict:
    """Register everything with Sphinx."""
    os.environ["TEXTGEN_BOOK_BUILD"] = "1"  # here, so that every kind of build executes in the same life
    os.environ["TEXTGEN_STRICT"] = "1"
    drop_extension(app, "sphinx_thebe")
    name_failing_cell(app)
    app.connect("config-inited", configure, priority=100)
    app.connect("source-read", keep_links_inside)
    app.connect("html-page-context", finish_page, priority=900)
    app.connect("build-finished", copy_vendor)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
