"""A deck of slides for each chapter: `make slides`, or `make slides ONLY=01` for some.

A deck is cut out of the built page, in which the controls, guesses and models are alive, so it needs neither a kernel
nor a network. A section gives a slide with its heading and its first paragraph, then one for each thing that it shows
(a figure, a control, a table, a formula) beside the paragraph that leads to it. Code is folded behind a button,
solutions stay in the book, and the exercises come last.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from project import ROOT
from student import SPEAKS_OF_IT
from toc import notebooks

SITE, SLIDES = ROOT / "_build/html", ROOT / "_build/slides"
REVEAL = ROOT / "node_modules/reveal.js/dist"
STYLE = Path(__file__).with_name("slides.css")
VENDOR = "_static/vendor/reveal"

# What a deck takes from the head of its page: the controls, formulas, and the colours of code.
STYLES = re.compile(r"_static/(explore|label|live|chat|pygments|book)\.css")
SCRIPTS = re.compile(r"_static/(explore|label|live|chat|vendor/mathjax/[\w-]+)\.js")
PROSE = ("p", "ul", "ol", "blockquote", "dl")
MINUTES = re.compile(r" \(\d+ minutes?\)")

DECK = """\
<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{head}
</head>
<body>
<div class="reveal"><div class="slides tex2jax_ignore">
{slides}
</div></div>
<script src="{vendor}/reveal.js"></script>
<script>
// Keys belong to the control that has the focus; Escape gives them back to the deck.
const CONTROLS = "input, select, textarea, button, summary, [tabindex]";
Reveal.initialize({{
  width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: "c/t", transition: "none",
  viewDistance: Infinity, mobileViewDistance: Infinity, // a control that is not laid out cannot measure itself
  keyboardCondition: (event) => {{
    if (!event.target.closest(CONTROLS)) return true;
    if (event.key === "Escape") event.target.blur();
    return false;
  }},
}});
// Words take the largest letters in which they fit, once their formulas are set.
addEventListener("load", async () => {{
  await window.MathJax?.startup?.promise;
  for (const words of document.querySelectorAll(".words")) {{
    for (let size = words.nextElementSibling ? 26 : 30; size > 16; size--) {{
      words.style.fontSize = `${{size}}px`;
      if (words.scrollHeight <= words.clientHeight) break;
    }}
  }}
}});
</script>
</body>
</html>
"""


def is_wide(thing: Tag) -> bool:
    """Say whether a thing takes the width of a slide, below the words: a formula or a table."""
    return "math" in thing.get("class", []) or thing.name == "table" or thing.find("table") is not None


class Slide:
    """One slide in the making: its heading, the words, what they lead to, and the code behind the button."""

    def __init__(self, heading: str, words: list[Tag]):
        self.heading, self.words, self.things, self.code = heading, words, [], []

    def __str__(self):
        wide = " wide" if any(is_wide(one) for one in self.things) else ""
        words = "".join(map(str, self.words))
        if self.code:
            words += f"<details><summary>Code</summary>{''.join(self.code)}</details>"
        parts = f'<div class="words">{words}</div>' if words else ""
        if self.things:
            parts += f'<div class="thing">{"".join(map(str, self.things))}</div>'
        return f'<section>{self.heading}<div class="body{wide}">{parts}</div></section>'


def is_cell(block: Tag, tag: str = "") -> bool:
    """Say whether a block of the page is a code cell, and one with this tag."""
    classes = block.get("class", []) if block else []
    return "cell" in classes and (not tag or f"tag_{tag}" in classes)


def shown(cell: Tag) -> list[Tag]:
    """Return what a cell shows beside printed text: figures, controls, guesses, tables."""
    outputs = cell.select(".cell_output > .output.text_html, .cell_output > .output:has(img)")
    return [one for one in outputs if one.find(lambda tag: tag.name not in ("script", "style"))]


def cut(section: Tag) -> tuple[list[Slide], list[Slide]]:
    """Cut a section of the page into its slides, and those of its exercises."""
    heading, *blocks = [child for child in section.children if isinstance(child, Tag)]
    title = MINUTES.sub("", str(heading))
    slides, exercises, words, code, inner = [Slide(title, [])], [], [], [], []
    for block in blocks:
        lists = block.name in ("ul", "ol") and slides[-1].words and not words
        if block.name == "section":
            inner.append(block)
        elif block.name in PROSE:
            alone = not slides[0].words and len(slides) == 1
            (slides[0].words if (alone or lists) and not exercises else words).append(block)
        elif is_cell(block, "hide-cell"):
            continue
        elif is_cell(block) and is_cell(block.find_next_sibling(True), "hide-cell"):
            stub = Slide(title, words)
            stub.things = [block.select_one(".cell_input")]
            exercises.append(stub)
            words = []
        else:
            things = shown(block) if is_cell(block) else [block]
            if is_cell(block) and not is_cell(block, "hide-input"):
                printed = block.select(".cell_output > .output.stream, .cell_output > .output.text_plain")
                code += [str(block.select_one(".cell_input")), *map(str, printed)]
            if things:
                full = slides[-1].things or any(one.name != "p" for one in slides[-1].words)
                if words or full:
                    slides.append(Slide(title, words[-1:]))
                slides[-1].things, slides[-1].code = things, code
                words, code = [], []
    slides[-1].code += code
    if exercises:
        exercises[0].words = slides[0].words + exercises[0].words
        slides = slides[1:] if not slides[0].things else slides
        exercises += [Slide(title, words)] if words else []
    for one in inner:
        more = cut(one)
        slides, exercises = slides + more[0], exercises + more[1]
    return slides, exercises


def deck(page: str) -> str:
    """Return the deck of a built page, both as HTML; its files are looked for in _static beside it."""
    soup = BeautifulSoup(page, "html.parser")
    head = [str(link) for link in soup.head.select("link") if STYLES.search(link.get("href", ""))]
    article = soup.select_one("article")
    for link in article.select("a.headerlink"):
        link.decompose()
    for link in article.select("a[href]"):
        if not link["href"].startswith("http"):
            link.unwrap()  # the pages of the book are not here
    for text in article.find_all(string=SPEAKS_OF_IT):
        text.replace_with(SPEAKS_OF_IT.sub("", text))
    chapter = article.select_one("section")
    promise = chapter.select_one(":scope > p:not(.run-time)")
    first = Slide(str(chapter.h1), [promise] if promise else [])
    slides, exercises = [first], []
    for number, section in enumerate(chapter.find_all("section", recursive=False)):
        more = cut(section)
        if not number:
            more[0][-1].code = []  # under the goals stands the setup
        slides, exercises = slides + more[0], exercises + more[1]
    body = "\n".join(map(str, slides + exercises))
    head += [f'<link rel="stylesheet" href="{VENDOR}/{name}.css">' for name in ("reveal", "slides")]
    for script in soup.head.select("script"):
        if SCRIPTS.search(script.get("src", "")) or "window.MathJax =" in script.text:
            head.append(str(script))
    title = escape(soup.title.text)
    html = DECK.format(title=title, head="\n".join(head), slides=body, vendor=VENDOR)
    return html.replace("../_static/", "_static/")


def copy_files(html: str, site: Path, folder: Path) -> None:
    """Copy what a deck names from the site's _static, with what that loads in its turn, and reveal.js."""
    names = set(re.findall(r"_static/([\w./-]+\w)", html))
    names |= {"vendor/mathjax"} if "vendor/mathjax" in html else set()
    names |= {f"live/{name}.js" for name in " ".join(re.findall(r'data-model="([\w -]+)"', html)).split()}
    names |= {f"{name}.js" for name in names}  # require.js is told names without it
    for name in names:
        source, target = site / "_static" / name, folder / "_static" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copyfile(source, target)
    (folder / VENDOR).mkdir(parents=True, exist_ok=True)
    for source in (REVEAL / "reveal.js", REVEAL / "reveal.css", STYLE):
        shutil.copyfile(source, folder / VENDOR / source.name)


def write(names: list[str], site: Path, folder: Path) -> None:
    """Write the decks of these pages of the built book into `folder`, each to be opened from there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        html = deck((site / f"book/{name}.html").read_text(encoding="utf-8"))
        copy_files(html, site, folder)
        (folder / f"{name}.html").write_text(html, encoding="utf-8")


def fault(site: Path, names: list[str]) -> str | None:
    """Return one sentence where no slides can be made."""
    if missing := [name for name in names if not (site / f"book/{name}.html").is_file()]:
        return f"The built book has no page {missing[0]}: run make book first."
    if not REVEAL.is_dir():
        return "reveal.js is not in node_modules: install npm and run make slides again."
    return None


def main() -> int | str:
    """Write the decks of the chapters whose names begin with the environment's ONLY; return one sentence if not."""
    try:
        pages = notebooks(only=os.environ.get("ONLY", ""))
    except ValueError as error:
        return str(error)
    names = [page.stem for page in pages if re.match(r"\d\d-", page.name)]
    if said := fault(SITE, names):
        return said
    write(names, SITE, SLIDES)
    for name in names:
        print(f"{(SLIDES / name).relative_to(ROOT)}.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
