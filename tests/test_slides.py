"""The slides: what of a page comes into its deck, in which order, and that a real deck lives with no network."""

import pytest
import slides
from bs4 import BeautifulSoup
from conftest import need
from small import SOLUTION
from test_site import reader


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
    soup = BeautifulSoup(slides.deck(PAGE), "html.parser")
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


def test_a_deck_takes_what_its_controls_need_and_links_to_no_page_that_is_not_there():
    html = slides.deck(PAGE)
    assert '"_static/explore.js?v=1"' in html and '"_static/explore.css?v=1"' in html
    assert "bootstrap" not in html and "theme.css" not in html and "glossary.html" not in html
    assert "../_static" not in html


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    assert slides.fault(tmp_path, ["01-one"]) == "The built book has no page 01-one: run make book first."
    monkeypatch.setattr(slides, "REVEAL", tmp_path / "none")
    assert "reveal.js is not in node_modules" in slides.fault(tmp_path, [])


def test_a_real_deck_lives_from_a_file(site, browser, tmp_path):
    if not slides.REVEAL.is_dir():
        need("reveal.js is not in node_modules: run `npm ci --ignore-scripts` first.")
    slides.write(["02-mlp"], site, tmp_path)
    with reader(browser, tmp_path.as_uri()) as page:
        page.context.set_offline(True)
        page.set_viewport_size({"width": 1280, "height": 720})
        page.goto((tmp_path / "02-mlp.html").as_uri(), wait_until="load")
        page.wait_for_function("[...document.querySelectorAll('.words')].every((one) => one.style.fontSize)")
        assert page.evaluate("Reveal.getTotalSlides()") > 10
        over = "(all) => all.filter((one) => one.scrollHeight > one.clientHeight).map((one) => one.innerText)"
        assert page.locator(".words").evaluate_all(over) == []
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
