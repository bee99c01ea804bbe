"""The published site, page by page, in a real browser that reaches nothing but the site."""

import functools
import json
import re
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from conftest import PATIENCE, REPOSITORY, ROOT, need
from serve import Handler

SLUG = REPOSITORY.removeprefix("https://github.com/")
# What Sphinx and its theme load everywhere, for search, menus, icons and the light switch.
THEME = {
    "bootstrap",
    "doctools",
    "documentation_options",
    "fontawesome",
    "language_data",
    "pydata-sphinx-theme",
    "searchindex",
    "searchtools",
    "sphinx-book-theme",
    "sphinx_highlight",
}
USES = {  # any other script -> what on a page needs it
    "tex-mml-chtml": ".math",
    "explore": ".textgen-explore",
    "label": ".textgen-label",
    "chat": ".textgen-chat",
    "live": ".textgen-live",
    "clipboard.min": ".highlight",
    "copybutton": ".highlight",
    "togglebutton": ".toggle, .dropdown",
    "design-tabs": ".sd-tab-set",
}

# What axe-core calls serious or critical, each with its element; all else it finds would take a second to hand over.
AXE = """axe.run(COLOURS ? NEW : document, { resultTypes: ["violations"], rules: { "color-contrast": { enabled: COLOURS } } })
  .then(({ violations }) => violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
    .flatMap(({ id, nodes }) => nodes.map(({ html }) => [id, html.slice(0, 200)])))"""
# Nine tenths of a page's elements are coloured words of code, and contrast is the slowest rule. So it skips a block of code
# whose kinds of words have all been looked at, in a cell of its kind: given those that have, marks such blocks, returns all.
KNOWN = """(known) => {
  const all = new Set(known);
  for (const block of document.querySelectorAll("div.highlight")) {
    const place = block.closest(".cell_input, .cell_output")?.className;
    const kinds = [...block.querySelectorAll("span[class]")].map((one) => `${place} ${one.className}`);
    block.toggleAttribute("data-known", kinds.length > 0 && kinds.every((kind) => all.has(kind)));
    kinds.forEach((kind) => all.add(kind));
  }
  return [...all];
}"""

# Blocks of code that have to be scrolled sideways, each with its first words.
SCROLLS = """[...document.querySelectorAll("div.highlight pre")]
  .filter((pre) => pre.scrollWidth > pre.clientWidth).map((pre) => pre.textContent.slice(0, 60))"""
# Lines of a cell's code that wrap though they have no more than 88 characters.
WRAPS = """[...document.querySelectorAll(".cell_input .line")].filter((line) =>
  [...line.textContent.trimEnd()].length <= 88 &&
  line.offsetHeight > 1.5 * parseFloat(getComputedStyle(line).lineHeight)).map((line) => line.textContent)"""
# What has no place on paper, and yet shows.
ON_PAPER = """[...document.querySelectorAll(`nav, .bd-sidebar, .bd-header-article, .prev-next-footer, .bd-footer,
    .headerlink, .copybtn, .hero-buttons, input[type=range], .tl-go, details.hide > summary`)]
  .filter((one) => one.checkVisibility() && one.getClientRects().length).map((one) => one.outerHTML.slice(0, 80))"""
# The darkest background that is painted, as the sum of red, green and blue, from 0 to 765.
DARKEST = """Math.min(...[...document.querySelectorAll("html, body, .bd-container, .bd-container *")]
  .filter((one) => !one.closest("svg, iframe, .textgen-live, .ladder") && one.checkVisibility())
  .map((one) => getComputedStyle(one).backgroundColor.match(/[\\d.]+/g).map(Number))
  .filter(([r, g, b, alpha]) => alpha !== 0).map(([r, g, b]) => r + g + b))"""
CONTRAST = """axe.run(NEW, { runOnly: ["color-contrast"] }).then(({ violations }) =>
  violations.flatMap(({ nodes }) => nodes.map(({ html }) => html.slice(0, 200))))"""
NEW = """{ exclude: ["[data-known]"] }"""
PAPER = 680  # pixels between the margins of a sheet of A4


class Quiet(Handler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(site):
    """Serve the site as `make serve` does and return its address: what its policy forbids, a page complains of."""
    ThreadingHTTPServer.request_queue_size = 128  # a page asks for twenty files at once
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def chapters(site) -> list[str]:
    """Return the names of the pages that are notebooks."""
    return [path.stem for path in sorted(site.glob("_sources/book/*.ipynb"))]


@contextmanager
def reader(browser, home: str):
    """Open a page; `page.troubles` gathers what asks for another host, fails to load or complains."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page, troubles = context.new_page(), []
    page.troubles = troubles

    def refuse(route):
        troubles.append(f"asks for {route.request.url}")
        route.abort()

    context.set_default_timeout(PATIENCE)
    context.route(re.compile(f"^(?!{re.escape(home)}|data:|blob:)"), refuse)
    page.on("websocket", lambda socket: troubles.append(f"opens {socket.url}"))
    # What a page still loads when its reader goes on to the next, its icon say, is given up, and missing from nothing.
    page.on(
        "requestfailed",
        lambda request: (
            request.failure == "net::ERR_ABORTED" or troubles.append(f"fails to load {request.url}")
        ),
    )
    page.on(
        "response", lambda answer: answer.status >= 400 and troubles.append(f"{answer.status} {answer.url}")
    )
    page.on("pageerror", lambda error: troubles.append(f"raises {error}"))
    page.on(
        "console", lambda said: said.type in ("error", "warning") and troubles.append(f"says {said.text}")
    )
    yield page
    context.close()


def test_a_reader_notices_a_file_that_is_missing(browser, tmp_path):
    (tmp_path / "page.html").write_text('<link rel="icon" href="data:,"><img src="none.png">')
    with reader(browser, tmp_path.as_uri()) as page:
        page.goto(f"{tmp_path.as_uri()}/page.html", wait_until="load")
        assert f"fails to load {tmp_path.as_uri()}/none.png" in page.troubles


def settle(page, url: str) -> None:
    """Load a page, unfold what is folded, and wait until its formulas and fonts are there and it has had time to ask
    for more. (The browser's own word for "the network is idle" at times never comes.)"""
    page.goto(url, wait_until="load")
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.evaluate("Promise.all([window.MathJax?.startup?.promise, document.fonts.ready]).then(() => true)")
    page.wait_for_timeout(500)


def serious(page, scheme: str, colours: bool = True) -> list[list[str]]:
    """Return what axe-core calls serious or critical in this colour scheme, rule and element; without its slowest rule
    where the colours were looked at before."""
    page.emulate_media(color_scheme=scheme)
    page.locator(f"html[data-theme={scheme}]").wait_for()
    page.wait_for_timeout(300)  # colours fade over
    return page.evaluate(AXE.replace("COLOURS", str(colours).lower()).replace("NEW", NEW))


def on_paper(page) -> dict:
    """Return what a page that is read in the dark looks like when it is printed."""
    page.set_viewport_size({"width": PAPER, "height": 962})
    page.emulate_media(media="print", color_scheme="dark")
    page.locator("html[data-theme=dark]").wait_for()
    page.wait_for_timeout(300)  # colours fade over
    return {
        "scrolls": page.evaluate(SCROLLS),
        "out of place": page.evaluate(ON_PAPER),
        "darkest": page.evaluate(DARKEST),
        "contrast": page.evaluate(CONTRAST.replace("NEW", NEW)),
        "width": page.evaluate("document.documentElement.scrollWidth"),
        "title": page.locator("article h1").first.is_visible(),
    }


@pytest.fixture(scope="module")
def visits(browser, address, pages) -> dict[str, dict]:
    """Visit every page over http once and return, by page, what the tests below judge."""
    axe = ROOT / "node_modules/axe-core/axe.min.js"
    if not axe.exists():
        need("axe-core is not in node_modules: run `npm ci --ignore-scripts` first.")
    seen, known = {}, []
    for name in pages:
        with reader(browser, address) as page:
            settle(page, f"{address}/{name}")
            seen[name] = {
                "links": page.locator(".article-header-buttons a").evaluate_all(
                    "(all) => all.map((a) => a.href)"
                ),
                "scripts": page.locator("script[src]").evaluate_all("(all) => all.map((s) => s.src)"),
                "thebe": "thebe" in page.content().lower(),
                "uses": {script for script, mark in USES.items() if page.locator(mark).count()},
                # The patch that explore.js lays on a picture is part of that picture, which has the words.
                "images": page.locator("img:not(.textgen-explore img + img)").evaluate_all(
                    "(all) => all.map((i) => [i.alt, i.src.slice(0, 80)])"
                ),
                "formulas": page.locator(".math").count(),
                "typeset": page.locator("mjx-container").count() - page.locator("mjx-merror").count(),
                "scrolls": page.evaluate(SCROLLS),
                "wraps": page.evaluate(WRAPS),
                "code": page.locator(".cell_input pre").evaluate_all(
                    "(all) => all.map((pre) => pre.innerText)"
                ),
                "lines": page.locator(".cell_input .line").count(),
                "troubles": list(page.troubles),
            }
            page.evaluate(axe.read_text())
            known = page.evaluate(KNOWN, known)
            seen[name] |= {scheme: serious(page, scheme) for scheme in ("light", "dark")}
            page.set_viewport_size({"width": 390, "height": 844})
            seen[name]["width"] = page.evaluate("document.documentElement.scrollWidth")
            seen[name]["scrolls when narrow"] = page.evaluate(SCROLLS)
            seen[name]["narrow"] = serious(page, "light", colours=False)
            seen[name]["print"] = on_paper(page)
    return seen


def test_every_page_stands_alone_and_is_silent(visits):
    assert not {name: seen["troubles"] for name, seen in visits.items() if seen["troubles"]}


def test_every_page_stands_alone_from_a_file(browser, site, pages, visits):
    home, troubles = site.as_uri(), {}
    for name in pages:
        with reader(browser, home) as page:
            settle(page, f"{home}/{name}")
            assert page.locator("mjx-container").count() == visits[name]["typeset"], name
            if page.troubles:
                troubles[name] = page.troubles
    with reader(browser, home) as page:
        page.goto(f"{home}/index.html")
        page.wait_for_url(f"{home}/book/index.html")
    assert not troubles


def test_every_formula_is_typeset(visits):
    counts = {name: (seen["formulas"], seen["typeset"]) for name, seen in visits.items()}
    assert any(formulas for formulas, _ in counts.values())
    assert not {name: count for name, count in counts.items() if count[0] != count[1]}


def test_no_page_scrolls_sideways_on_a_telephone(visits):
    assert not {name: seen["width"] for name, seen in visits.items() if seen["width"] > 390}


def test_no_code_is_cut_off(visits):
    """A line of 88 characters fits on a screen of 1,280 pixels; elsewhere lines wrap."""
    assert any(seen["lines"] for seen in visits.values())
    for what in ("scrolls", "wraps", "scrolls when narrow"):
        assert not {name: seen[what] for name, seen in visits.items() if seen[what]}, what


def test_code_is_copied_as_it_was_written(visits, site, chapters):
    """Each line is an element of its own, so that it can wrap; selected and copied it is a line still."""
    for name in chapters:
        cells = json.loads((site / f"_sources/book/{name}.ipynb").read_text())["cells"]
        sources = {"".join(cell["source"]).strip() for cell in cells}
        shown = {code.strip() for code in visits[f"book/{name}.html"]["code"]}
        assert shown and not shown - sources


def test_a_printed_page_is_the_text_alone_dark_on_white(visits):
    on_paper = {name: seen["print"] for name, seen in visits.items() if name.startswith("book/")}
    for what in ("scrolls", "out of place", "contrast"):
        assert not {name: seen[what] for name, seen in on_paper.items() if seen[what]}, what
    assert not {name: seen["darkest"] for name, seen in on_paper.items() if seen["darkest"] < 600}
    assert not {name: seen["width"] for name, seen in on_paper.items() if seen["width"] > PAPER}
    assert not [name for name, seen in on_paper.items() if not seen["title"]]


@pytest.mark.parametrize("look", ["light", "dark", "narrow"])
def test_axe_finds_nothing_serious(visits, look):
    assert not {name: seen[look] for name, seen in visits.items() if seen[look]}


def test_every_image_says_what_it_shows(visits):
    assert any(seen["images"] for seen in visits.values())
    assert not [
        (name, src) for name, seen in visits.items() for alt, src in seen["images"] if not alt.strip()
    ]


def test_a_page_loads_no_script_it_has_no_use_for(visits):
    found = []
    for name, seen in visits.items():
        scripts = {Path(urlsplit(source).path).stem for source in seen["scripts"]}
        if useless := scripts - seen["uses"] - THEME:
            found.append((name, useless))
    assert not found
    assert not [name for name, seen in visits.items() if seen["thebe"]]


def test_sliders_answer_the_keyboard_from_a_file(browser, site, chapters):
    tried = 0
    for name in chapters:
        with reader(browser, site.as_uri()) as page:
            settle(page, f"{site.as_uri()}/book/{name}.html")
            for block in page.locator(".textgen-explore").all():
                seen = "(block) => block.querySelector('.textgen-explore-picture').innerHTML"
                for control in block.locator("input, select").all():
                    before, value = block.evaluate(seen), control.input_value()
                    control.focus()
                    page.keyboard.press("ArrowRight")
                    if control.input_value() == value:  # it stood at its end
                        page.keyboard.press("ArrowLeft")
                    assert control.input_value() != value, f"{name}: a control does not move"
                    tried += block.evaluate(seen) != before
            assert not page.troubles
    assert tried, "no chapter has a control that changes its picture"


def test_a_guess_comes_before_its_result_by_keyboard_from_a_file(browser, site, chapters):
    for name in chapters:
        html = (site / f"book/{name}.html").read_text("utf-8")
        if 'class="textgen-guess"' not in html:
            continue
        with reader(browser, site.as_uri()) as page:
            settle(page, f"{site.as_uri()}/book/{name}.html")
            guesses = page.locator(".textgen-guess")
            assert guesses.count() >= 1 + name[0].isdigit()  # a chapter has two or more
            for i in range(guesses.count()):
                guess = guesses.nth(i)
                result, show = guess.locator("p span"), guess.get_by_role("checkbox")
                assert not result.is_visible() and not show.is_visible()
                guess.get_by_role("radio").first.focus()
                page.keyboard.press("Space")
                assert not result.is_visible()
                page.keyboard.press("Tab")
                page.keyboard.press("Space")
                assert result.is_visible() and result.inner_text().strip(), (name, i)
                assert guess.locator(".right").count() == 1
            assert page.troubles == []


def test_frames_are_alive_without_a_network(browser, site, chapters):
    """bertviz draws its lines in each frame, also in the one that a menu puts in its place."""
    drawn, mark = 0, "svg line, svg path, svg rect"
    for name in chapters:
        with reader(browser, site.as_uri()) as page:
            settle(page, f"{site.as_uri()}/book/{name}.html")
            for block in page.locator(".textgen-explore:has(iframe)").all():
                block.frame_locator("iframe").locator(mark).first.wait_for(state="attached")
                block.locator("select").select_option(index=1)
                frame = block.frame_locator("iframe")
                frame.locator(mark).first.wait_for(state="attached")
                assert frame.locator("select:not([aria-label])").count() == 0
                drawn += 1
            assert not page.troubles, name
    assert drawn


def test_buttons_lead_to_the_right_file(visits, address, site, chapters):
    assert chapters
    for name in chapters:
        links, file = visits[f"book/{name}.html"]["links"], f"book/{name}.ipynb"
        assert (ROOT / file).exists()
        assert f"https://colab.research.google.com/github/{SLUG}/blob/main/{file}" in links
        assert f"https://mybinder.org/v2/gh/{SLUG}/main?urlpath=lab/tree/{file}" in links
        assert f"{REPOSITORY}/edit/main/{file}" in links
        assert REPOSITORY in links
        assert f"{address}/_sources/{file}" in links
        assert (site / "_sources" / file).read_bytes() == (ROOT / file).read_bytes()


def test_search_finds_the_glossary(browser, address):
    with reader(browser, address) as page:
        settle(page, f"{address}/search.html?q=temperature")
        page.locator("#search-results li a", has_text="Glossary").first.wait_for()
        assert not page.troubles
