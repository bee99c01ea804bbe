"""What a deck of slides is, and how a page of the book is cut into one.

A section gives a slide with its heading and its first paragraph, then one for each thing that it shows (a figure, a
control, a table, a formula) beside the paragraph that leads to it. Code is folded behind a button, solutions stay in the
book, and the exercises come last.
"""

from __future__ import annotations

import re
from html import escape
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Tag
from student import SPEAKS_OF_IT

REVEAL = "_static/vendor/reveal"

# What a deck takes from the heads of its pages, and what it must hold to have use for it.
FILES = re.compile(
    r"_static/(?:vendor/)?(explore|label|live|chat|mathjax|pygments|book)\b[\w/.-]*\.(?:css|js)"
)
MARKS = {name: f"textgen-{name}" for name in ("explore", "label", "live", "chat")} | {
    "mathjax": 'class="math'
}
PROSE = ("p", "ul", "ol", "blockquote", "dl")
HEADINGS = ["h1", "h2", "h3"]
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
<div class="deck reveal"><div class="slides tex2jax_ignore">
{slides}
</div></div>
<script src="../{vendor}/reveal.js"></script>
<script>
// On a telephone the slides stand one below the other, as a page.
const narrow = innerWidth < 700;
if (narrow) document.querySelector(".deck").classList.remove("reveal");
// Keys belong to the control that has the focus; Escape gives them back to the deck.
const CONTROLS = "input, select, textarea, button, summary, [tabindex]";
if (!narrow) Reveal.initialize({{
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
  if (!narrow) for (const words of document.querySelectorAll(".words")) {{
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
    """One slide in the making: its heading, the words, what they lead to, the code behind the button, and the foot."""

    def __init__(self, heading: str, words: list[Tag]):
        self.heading, self.words, self.things, self.code, self.foot = heading, words, [], [], ""

    def __str__(self):
        wide = " wide" if any(is_wide(one) for one in self.things) else ""
        words = "".join(map(str, self.words))
        if self.code:
            words += f"<details><summary>Code</summary>{''.join(self.code)}</details>"
        parts = f'<div class="words">{words}</div>' if words else ""
        if self.things:
            parts += f'<div class="thing">{"".join(map(str, self.things))}</div>'
        body = f'<div class="body{wide}">{parts}</div>'
        return f'<section><div class="slide">{self.heading}{body}{self.foot}</div></section>'


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


def parse(html: str, name: str) -> BeautifulSoup:
    """Return the page `name` as it comes into a deck: without the marks of its headings and words on solutions."""
    page = BeautifulSoup(html, "html.parser")
    for mark in page.select("article a.headerlink"):
        mark.decompose()
    for link in page.select("article a[href]"):
        target = urljoin(f"/book/{name}.html", link["href"])
        link["href"] = f"..{target}" if target.startswith("/") else target
    for text in page.article.find_all(string=SPEAKS_OF_IT):
        text.replace_with(SPEAKS_OF_IT.sub("", text))
    return page


def assemble(title: str, slides: list[Slide], pages: list[BeautifulSoup]) -> str:
    """Return the deck of these slides, with what they need from the heads of the pages that they come from."""
    body, head = "\n".join(map(str, slides)), {}
    for page in pages:
        for tag in page.head.select("link, script"):
            file = FILES.search(tag.get("href") or tag.get("src") or "")
            name = file[1] if file else "mathjax" if "window.MathJax =" in tag.text else None
            if name and MARKS.get(name, "") in body:
                head[str(tag)] = None  # each once
    styles = [f"{REVEAL}/reveal.css", "_static/slides.css"]
    head |= {f'<link rel="stylesheet" href="../{name}">': None for name in styles}
    return DECK.format(title=escape(title), head="\n".join(head), slides=body, vendor=REVEAL)


def chapter(page: BeautifulSoup) -> str:
    """Return the deck of a chapter."""
    section = page.select_one("article section")
    promise = section.select_one(":scope > p:not(.run-time)")
    first = Slide(str(section.h1), [promise] if promise else [])
    slides, exercises = [first], []
    for number, part in enumerate(section.find_all("section", recursive=False)):
        more = cut(part)
        if not number:
            more[0][-1].code = []  # under the goals stands the setup
        slides, exercises = slides + more[0], exercises + more[1]
    return assemble(page.title.text, slides + exercises, [page])
