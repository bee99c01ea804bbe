"""Links inside the published book: each leads to a page and to a place that are there."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from conftest import REPOSITORY


class Links(HTMLParser):
    """Gather the addresses a page links to and the places in it that can be linked to."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.places = [], {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places.add(attributes.get("id"))
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])


def test_every_link_inside_the_book_arrives(site, pages):
    """Links of the decks of slides, too."""
    files = [*(site / name for name in pages), *site.glob("slides/*.html")]
    parsed = {path.resolve(): Links(path) for path in files}
    broken = []
    for path, page in parsed.items():
        for link in page.links:
            parts = urlsplit(link)
            if link.startswith(f"{REPOSITORY}/blob/main/book/"):
                broken.append((path.name, link, "leaves the book for one of its own pages"))
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                broken.append((path.name, link, "no such file"))
            elif target in parsed and unquote(parts.fragment) not in parsed[target].places:
                broken.append((path.name, link, "no such place"))
    assert not broken
