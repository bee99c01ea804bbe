"""The slides: what of a page comes into a deck, in which order, what a file may choose, and that real decks live."""

import re
from itertools import pairwise

import nbformat
import pytest
import slides
from bs4 import BeautifulSoup
from conftest import ROOT, need
from deck import chapter, parse
from small import SOLUTION
from test_links import Links
from test_site import address, reader, serious  # noqa: F401


def cell(source, *outputs, tags=""):
    """A code cell as the built book has it."""
    shown = "".join(f'<div class="output {kind}">{html}</div>' for kind, html in outputs)
    code = f'<div class="cell_input"><pre>{source}</pre></div>'
    return f'<div class="cell {tags}">{code}<div class="cell_output">{shown}</div></div>'


STUB = "def sigmoid(z): ..."
PAGE = f"""<html><head><title>A chapter</title>
<link rel="stylesheet" href="../_static/explore.css?v=1"><link rel="stylesheet" href="../_static/styles/theme.css">
<script src="../_static/explore.js?v=1" defer></script><script src="../_static/scripts/bootstrap.js"></script></head>
<body><nav>Contents</nav><article><section><h1>A chapter<a class="headerlink" href="#a">#</a></h1>
<p class="run-time">It took 3 seconds.</p><p>You count to three.</p><p>Before we begin.</p>
<section><h2>What you will be able to do</h2><ul><li>count</li></ul>{cell("import numpy")}</section>
<section><h2>Counting (5 minutes)</h2><p>First words, see the <a href="glossary.html#token">token</a>.</p><p>More.</p>
{cell("one = 1", ("stream", "<pre>printed</pre>"))}<p>Guess.</p>
{cell("# @title Guess", ("text_html", '<fieldset class="textgen-guess">How many?</fieldset>'), tags="tag_hide-input")}
{cell("# @title Check", ("stream", "<pre>agree</pre>"), tags="tag_hide-input")}
{cell("# @title Draw", ("text_html", '<img alt="A line." src="../_static/x.png">'), tags="tag_hide-input")}
<section><h3>Deeper</h3><p>In symbols</p><div class="math">h</div></section></section>
<section><h2>Exercises (9 minutes)</h2><p>Replace each. Solutions are folded below.</p><p><b>1.</b> Bend.</p>
{cell(STUB, ("stream", "<pre>Not written yet.</pre>"), tags="tag_exercise")}{cell(SOLUTION, tags="tag_hide-cell")}
<p>One to explore.</p></section>
<section><h2>Summary</h2><p>Three it is.</p></section></section></article></body></html>"""


@pytest.fixture
def deck():
    """The slides of the page above, each as its heading, words and the rest."""
    soup = BeautifulSoup(chapter(parse(PAGE, "01-a")), "html.parser")
    return soup.select(".slides > section")


def test_each_section_and_each_thing_is_a_slide_and_the_exercises_come_last(deck):
    words = [one.select_one(".words") for one in deck]
    assert [(one.find(["h1", "h2", "h3"]).text, two and two.find(["p", "li"]).text) for one, two in zip(deck, words)] == [
        ("A chapter", "You count to three."),
        ("What you will be able to do", "count"),
        ("Counting", "First words, see the token."),
        ("Counting", "Guess."),
        ("Counting", None),
        ("Deeper", "In symbols"),
        ("Summary", "Three it is."),
        ("Exercises", "Replace each."),
        ("Exercises", "One to explore."),
    ]  # fmt: skip
    assert deck[3].select(".thing .textgen-guess") and deck[4].select('.thing img[alt="A line."]')
    assert deck[5].select(".wide .math") and deck[7].select_one(".thing").text == STUB


def test_code_is_folded_with_what_it_printed_and_plumbing_is_left_out(deck):
    folded = deck[3].select_one("details")
    assert "one = 1" in folded.text and "printed" in folded.text and not folded.has_attr("open")
    text = " ".join(one.text for one in deck)
    for left_out in (
        "import numpy",
        "@title",
        "agree",
        "Not written yet",
        "np.exp",
        "olution",
        "Before we begin",
    ):
        assert left_out not in text


def test_a_deck_takes_what_its_controls_need_and_leads_back_to_the_book():
    html = chapter(parse(PAGE.replace("fieldset", "div").replace("textgen-guess", "textgen-explore"), "01-a"))
    assert '"../_static/explore.js?v=1"' in html and '"../_static/explore.css?v=1"' in html
    assert "bootstrap" not in html and "theme.css" not in html
    assert '"../book/glossary.html#token"' in html
    assert "explore.js" not in chapter(parse(PAGE, "01-a"))  # nothing there to use it


@pytest.fixture
def site_of_one(tmp_path):
    """A built site that holds the page above."""
    folder = tmp_path / "html"
    (folder / "book").mkdir(parents=True)
    (folder / slides.REVEAL).mkdir(parents=True)
    (folder / "book/01-a.html").write_text(PAGE.replace("<section><h2>Cou", '<section id="counting"><h2>Cou'))
    return folder


CHOICE = "# A deck\n\nSome *words*.\n\n[{}]({})\n"
HERE = "../01-a.ipynb#counting-5-minutes"


def chosen(site, *link):
    source = site / "mine.md"
    source.write_text(CHOICE.format(*link) if link else "# A deck\n\nWords alone.\n")
    return slides.chosen(source, site)


def test_a_file_chooses_what_stands_on_a_slide(site_of_one):
    soup = BeautifulSoup(chosen(site_of_one, "guess", HERE), "html.parser")
    (slide,) = soup.select(".slides > section")
    assert slide.h1.text == "A deck" and slide.select_one(".words em").text == "words"
    assert "How many?" in slide.select_one(".thing .textgen-guess").text
    assert slide.select_one('.foot a[href="../book/01-a.html#counting"]').text == "A chapter: Counting"
    soup = BeautifulSoup(chosen(site_of_one, "figure", HERE), "html.parser")
    assert soup.select_one(".thing img")["alt"] == "A line."


@pytest.mark.parametrize(
    "link, said",
    [
        (("guess", "../02-b.ipynb#x"), "the book has no page 02-b."),
        (("guess", "../01-a.ipynb#sums"), "the page 01-a has no section #sums."),
        (("guess 2", HERE), "the section #counting-5-minutes of the page 01-a has no guess 2."),
        (("film", HERE), "'film' is none of control, guess, model, chat, pairs, figure, table."),
        ((), "its last line is no link such as [guess](../02-mlp.ipynb#bend-it)."),
    ],
)
def test_what_is_no_longer_in_its_page_is_named(site_of_one, link, said):
    with pytest.raises(ValueError) as error:
        chosen(site_of_one, *link)
    assert str(error.value) == f"mine.md, slide 'A deck': {said}"


def test_decks_are_made_where_reveal_is(site_of_one, tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "notebooks", lambda: [tmp_path / "01-a.ipynb", tmp_path / "numbers.ipynb"])
    chosen(site_of_one, "guess", HERE)
    slides.write(site_of_one, site_of_one)
    assert sorted(path.name for path in (site_of_one / "slides").iterdir()) == ["01-a.html", "mine.html"]
    (site_of_one / slides.REVEAL).rmdir()
    slides.write(site_of_one, site_of_one)
    assert not (site_of_one / "slides").exists()


def test_what_is_missing_is_said(site_of_one):
    assert slides.fault(site_of_one) == "There is no book yet: run make book first."
    (site_of_one / "index.html").touch()
    assert "built without npm's reveal.js" in slides.fault(site_of_one)
    (site_of_one / "slides").mkdir()
    assert slides.fault(site_of_one) is None


def test_a_deck_that_stands_alone_leads_to_no_page_that_is_not_there(site_of_one, tmp_path):
    (site_of_one / "slides").mkdir()
    deck = site_of_one / "slides/mine.html"
    deck.write_text(chosen(site_of_one, "figure", HERE))
    (site_of_one / "_static/slides.css").write_text("/* style */")
    (site_of_one / "_static/x.png").write_bytes(b"picture")
    slides.stand_alone([deck], tmp_path / "alone")
    html = (tmp_path / "alone/mine.html").read_text()
    assert "../" not in html and "In the book: A chapter: Counting" in html
    assert (tmp_path / "alone/_static/slides.css").is_file() and (tmp_path / "alone/_static/x.png").is_file()


SOURCES = sorted(slides.SOURCES.glob("*.md"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_file_names_sections_that_are_there(source):
    """`make book` looks for the things as well; this needs no built book."""
    links = re.findall(r"^\[(\w+)(?: \d+)?\]\(\.\./(\S+)#([\w-]+)\)$", source.read_text(), re.MULTILINE)
    slides_in_it = re.findall(r"^##? ", source.read_text(), re.MULTILINE)
    assert len(links) == len(slides_in_it)
    for kind, name, place in links:
        assert kind in slides.THINGS
        text = (ROOT / "book" / name).read_text(encoding="utf-8")
        if name.endswith("ipynb"):
            cells = nbformat.reads(text, as_version=4).cells
            text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert place in map(slides.anchor, re.findall(r"^#+ (.*)$", text, re.MULTILINE)), (name, place)


def test_the_original_is_followed_from_logistic_regression_to_contamination():
    headings = re.findall(r"^##? (.*)$", (slides.SOURCES / "original.md").read_text(), re.MULTILINE)
    order = ["Logistic Regression", "A Neural Network", "Data Representation", "RNNs", "GPT)", "Some numbers"]
    places = [next(i for i, one in enumerate(headings) if one.endswith(name)) for name in order]
    assert all(a < b for a, b in pairwise(places)) and 18 <= len(headings) <= 24


@pytest.fixture
def decks(site):
    """The folder of the built site's decks."""
    if not (site / "slides").is_dir():
        need("The book was built without reveal.js: run `npm ci --ignore-scripts` and `make book` first.")
    return site / "slides"


def shown(page, url):
    """Open a deck at the size for which it is made, and wait until its words have their size."""
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(url, wait_until="load")
    page.wait_for_function("[...document.querySelectorAll('.words')].every((one) => one.style.fontSize)")
    return page.evaluate("Reveal.getTotalSlides()")


OVER = "(all) => all.filter((one) => one.scrollHeight > one.clientHeight).map((one) => one.innerText)"


def test_every_chapter_leads_to_its_deck_and_the_welcome_page_to_the_original(site, decks):
    for deck in decks.glob("*.html"):
        page = "index" if deck.stem == "original" else deck.stem
        links = Links(site / f"book/{page}.html").links
        assert f"../slides/{deck.name}" in links
    assert len(list(decks.glob("[0-9]*.html"))) == len(list(site.glob("_sources/book/[0-9]*.ipynb")))


@pytest.mark.parametrize("name", ["original", "02-mlp"])
def test_axe_finds_nothing_serious_on_any_slide(name, decks, browser, address):  # noqa: F811
    axe = ROOT / "node_modules/axe-core/axe.min.js"
    if not axe.exists():
        need("axe-core is not in node_modules: run `npm ci --ignore-scripts` first.")
    with reader(browser, address) as page:
        count, found = shown(page, f"{address}/slides/{name}.html"), {}
        assert page.locator(".words").evaluate_all(OVER) == []
        page.evaluate(axe.read_text())
        for number in range(count):
            page.evaluate(f"Reveal.slide({number})")
            if faults := serious(page, "light"):
                found[number + 1] = faults
        assert not found
        assert not page.troubles


def test_the_original_lives_from_a_file(decks, browser):
    """Each of its slides shows a thing, and what can be moved moves, within the size of a slide."""
    with reader(browser, decks.parent.as_uri()) as page:
        page.context.set_offline(True)
        count = shown(page, (decks / "original.html").as_uri())
        assert count == page.locator(".thing").count()
        seen, moved = "document.querySelector('.present .textgen-explore-picture').innerHTML", 0
        for number in range(count):
            page.evaluate(f"Reveal.slide({number})")
            thing = page.locator("section.present .thing")
            assert thing.bounding_box()["width"] > 300 and thing.bounding_box()["height"] > 150, number
            if thing.locator(".textgen-explore").count():
                control, before = thing.locator("input, select").first, page.evaluate(seen)
                value = control.input_value()
                control.press("ArrowRight")
                if control.input_value() == value:  # it stood at its end
                    control.press("ArrowLeft")
                page.wait_for_function(f"(before) => {seen} !== before", arg=before)
                moved += 1
        assert moved > 8
        assert not page.troubles


def test_on_a_telephone_a_deck_is_a_page(decks, browser):
    with reader(browser, decks.parent.as_uri()) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto((decks / "original.html").as_uri(), wait_until="load")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert all(box.is_visible() for box in page.locator("section").all())
        size = "(all) => Math.min(...all.map((one) => parseFloat(getComputedStyle(one).fontSize)))"
        assert page.locator(".words p").evaluate_all(size) >= 16
        assert not page.troubles


def test_a_real_deck_stands_alone(decks, browser, tmp_path):
    slides.stand_alone([decks / "02-mlp.html"], tmp_path)
    with reader(browser, tmp_path.as_uri()) as page:
        page.context.set_offline(True)
        assert shown(page, (tmp_path / "02-mlp.html").as_uri()) > 10
        assert page.locator(".math").count() == page.locator("mjx-container").count() > 0
        picture = page.locator("section.present .textgen-explore-picture")
        for _ in range(10):  # from slide to slide, until one has a control
            if not picture.count():
                page.keyboard.press("ArrowRight")
        here, before = page.evaluate("Reveal.getIndices().h"), picture.inner_html()
        slider = page.locator("section.present input").first
        for _ in range(10):  # what stands on other slides is passed over
            if not slider.evaluate("(one) => one === document.activeElement"):
                page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "(before) => document.querySelector('.present .textgen-explore-picture').innerHTML !== before",
            arg=before,
        )
        assert page.evaluate("Reveal.getIndices().h") == here  # the key was the slider's
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("Reveal.getIndices().h") == here + 1
        assert not page.troubles
