"""The decks of slides: `make book` puts them into the site, `make slides` writes them to stand alone in _build/slides.

They are cut out of built pages, in which the controls, guesses and models are alive, so they need neither a kernel nor
a network. Each chapter has one. And each Markdown file in book/slides makes one, which chooses: a heading gives a slide
with the words below it, and the link at their end says which thing of which section stands beside them.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from functools import cache
from html import escape
from itertools import takewhile
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from deck import HEADINGS, MINUTES, REVEAL, Slide, assemble, chapter, parse
from markdown_it import MarkdownIt
from project import ROOT
from stamps import stale
from toc import notebooks

SITE, SLIDES = ROOT / "_build/html", ROOT / "_build/slides"
SOURCES = ROOT / "book/slides"

# What a file in book/slides may take from a section, by the word of its link.
THINGS = {
    "control": ".textgen-explore",
    "guess": ".textgen-guess",
    "model": ".textgen-live",
    "chat": ".textgen-chat",
    "pairs": ".textgen-label",
    "figure": "img:not(.textgen-explore img), svg[role=img]",
    "table": "table:not(.textgen-explore table)",
}
LINK = re.compile(r"\.\./([\w-]+)\.(?:ipynb|md)#([\w-]+)")


@cache
def read(path: Path) -> BeautifulSoup:
    """Return a built page, its links leading from a deck to where they led from the page. Raises OSError."""
    return parse(path.read_text(encoding="utf-8"), path.stem)


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it and the files in book/slides write it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def find(site: Path, link: Tag | None) -> tuple[BeautifulSoup, Tag, Tag]:
    """Return the page, the section and the thing that a link such as `[control 2](../02-mlp.ipynb#bend-it)` names.

    Raises ValueError, in one sentence, where one of them is not there.
    """
    if not link:
        raise ValueError("its last line is no link such as [guess](../02-mlp.ipynb#bend-it).")
    name, place = LINK.fullmatch(link["href"]).groups()
    kind, _, number = link.text.partition(" ")
    if not (site / f"book/{name}.html").is_file():
        raise ValueError(f"the book has no page {name}.")
    if kind not in THINGS:
        raise ValueError(f"{kind!r} is none of {', '.join(THINGS)}.")
    page = read(site / f"book/{name}.html")
    sections = page.select("article section")
    section = next((one for one in sections if anchor(one.find(HEADINGS).text) == place), None)
    if not section:
        raise ValueError(f"the page {name} has no section #{place}.")
    found = section.select(THINGS[kind])[int(number or 1) - 1 :]
    if not found:
        raise ValueError(f"the section #{place} of the page {name} has no {link.text}.")
    return page, section, found[0].find_parent(class_="output") or found[0]


def chosen(source: Path, site: Path) -> str:
    """Return the deck that a file in book/slides describes. Raises ValueError, naming what is not in its page."""
    markdown = MarkdownIt("commonmark", {"typographer": True}).enable("smartquotes")
    text = BeautifulSoup(markdown.render(source.read_text(encoding="utf-8")), "html.parser")
    slides, pages = [], []
    for heading in text.find_all(HEADINGS):
        words = list(takewhile(lambda one: one.name not in HEADINGS, heading.find_next_siblings(True)))
        link = words.pop().find("a", href=LINK) if words else None
        try:
            page, section, thing = find(site, link)
        except ValueError as error:
            raise ValueError(f"{source.name}, slide {heading.text!r}: {error}") from None
        slide = Slide(str(heading), words)
        slide.things = [thing]
        name = MINUTES.sub("", section.find(HEADINGS).text)
        title = page.select_one("article h1").text
        place = escape(name if name == title else f"{title}: {name}")
        address = f"../book/{LINK.fullmatch(link['href'])[1]}.html#{section['id']}"
        slide.foot = f'<p class="foot">In the book: <a href="{address}">{place}</a></p>'
        slides.append(slide)
        pages.append(page)
    return assemble(text.h1.text, slides, pages)


def write(site: Path, folder: Path = SOURCES) -> None:
    """Write the decks into the built site: of its chapters, and those that the files in `folder` describe.

    Where the site was built without reveal.js there are none. Raises ValueError, in one sentence, where a file names
    what its page does not have.
    """
    shutil.rmtree(site / "slides", ignore_errors=True)
    if not (site / REVEAL).is_dir():
        return
    names = [page.stem for page in notebooks() if re.match(r"\d\d-", page.name)]
    decks = {name: chapter(read(site / f"book/{name}.html")) for name in names}
    decks |= {source.stem: chosen(source, site) for source in sorted(folder.glob("*.md"))}
    (site / "slides").mkdir()
    for name, deck in decks.items():
        (site / f"slides/{name}.html").write_text(deck, encoding="utf-8")


def stand_alone(decks: list[Path], folder: Path) -> None:
    """Write decks of the built site into `folder` with all that they need, and with no link to a page of the book."""
    folder.mkdir(parents=True, exist_ok=True)
    for deck in decks:
        soup = BeautifulSoup(deck.read_text(encoding="utf-8"), "html.parser")
        for link in soup.select('a[href^="../"]'):
            link.unwrap()
        html = str(soup).replace("../_static/", "_static/")
        copy_files(html, deck.parents[1] / "_static", folder / "_static")
        (folder / deck.name).write_text(html, encoding="utf-8")


def copy_files(html: str, static: Path, folder: Path) -> None:
    """Copy what a deck names from the site's _static, with what that loads in its turn."""
    names = set(re.findall(r"_static/([\w./-]+\w)", html))
    names |= {"vendor/mathjax"} if "vendor/mathjax" in html else set()
    names |= {f"live/{name}.js" for name in " ".join(re.findall(r'data-model="([\w -]+)"', html)).split()}
    names |= {f"{name}.js" for name in names}  # require.js is told names without it
    for name in names:
        source, target = static / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copyfile(source, target)


def fault(site: Path) -> str | None:
    """Return one sentence where the built book has no slides."""
    if not (site / "index.html").is_file():
        return "There is no book yet: run make book first."
    if not (site / "slides").is_dir():
        return "The book was built without npm's reveal.js, of which slides are made: install npm and run make book again."
    return None


def main() -> int | str:
    """Write the decks whose names begin with the environment's ONLY to stand alone; return one sentence if not."""
    if said := fault(SITE) or stale(SITE):
        return said
    only = os.environ.get("ONLY", "")
    decks = sorted((SITE / "slides").glob(f"{only}*.html"))
    if not decks:
        return f"No chapter and no file in book/slides begins with {only!r}."
    stand_alone(decks, SLIDES)
    for deck in decks:
        print((SLIDES / deck.name).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
