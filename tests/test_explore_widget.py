"""One control, two lives: live widgets in a notebook, pictures in a book build, one `draw` for both."""

import base64
import html
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from textgen import explore, plots
from textgen.page import explore_widget

matplotlib.use("agg")
BOOK = Path(__file__).resolve().parents[1] / "book"
WIDGET = "application/vnd.jupyter.widget-view+json"


def curve(b0, b1=1.0):
    x = np.linspace(-5, 5, 60)
    figure, ax = plt.subplots()
    ax.plot(x, 1 / (1 + np.exp(-(b0 + b1 * x))))
    ax.set(xlabel="feature", ylabel="probability", ylim=(0, 1))
    return figure, f"A curve that rises by {b1}."


def words(style, top_k=None):
    return f"<p>{explore_widget.escape(style)} and {top_k}</p>"


CURVE = {"b0": [-1, 1], "b1": (-1.0, 0.1 + 0.2, 1.0)}
WORDS = {"style": ["plain", "<img src=x onerror=alert(1)>"], "top_k": [1, 5, None]}


def page_data(html):
    return json.loads(re.search(r'<script type="application/json">(.*)</script>', html, re.DOTALL).group(1))


@pytest.mark.parametrize(("draw", "grid"), [(curve, CURVE), (words, WORDS)])
def test_every_point_of_the_grid_draws(notebook, draw, grid):
    control = explore(draw, **grid)
    points = list(control.grid())
    assert len(points) == np.prod([len(values) for values in grid.values()])
    assert len({tuple(point.values()) for point in points}) == len(points)
    for point in points:
        picture, _ = control.draw(**point)
        assert type(picture) is type(control.draw(**points[0])[0])
        assert control.html(**point)
    assert not plt.get_fignums()


def test_first_picture_is_that_of_the_defaults_of_draw(notebook):
    assert explore(curve, **CURVE).start == {"b0": -1, "b1": 1.0}
    assert explore(words, **WORDS).start == {"style": "plain", "top_k": None}


def test_book_build_embeds_the_whole_grid_and_no_widget(book, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # an import would raise
    bundle = explore(curve, **CURVE)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    html = bundle["text/html"]
    data = page_data(html)
    assert html.startswith('<div class="textgen-explore"')
    assert [c["name"] for c in data["controls"]] == ["b0", "b1"]
    assert data["controls"][1]["labels"] == ["-1", "0.3", "1"] and not data["controls"][1]["menu"]
    assert len(data["order"]) == len(data["alt"]) == 6 and data["image"]
    assert data["order"][2] == data["frames"].index("")  # b0 = -1, b1 = 1.0 is the picture already there
    assert data["alt"][2] == "A curve that rises by 1.0."
    assert '<img alt="A curve that rises by 1.0."' in html and "<noscript>" in html
    assert len(html) < explore_widget.MAX_BYTES


def test_patches_rebuild_every_picture_exactly(book):
    """The default below, a patch above: together the very pixels that draw gives."""
    control = explore(curve, **CURVE)
    data = page_data(control.page())
    base = np.asarray(explore_widget.coarse(control.draw(**control.start)[0]))
    for point, at in zip(control.grid(), data["order"], strict=True):
        image = np.asarray(explore_widget.coarse(control.draw(**point)[0]))
        rebuilt = base.copy()
        if data["frames"][at]:
            patch = np.asarray(decode(data["frames"][at]))
            opaque = patch[..., 3] > 0
            assert 0 < opaque.mean() < 0.5
            rebuilt[opaque] = patch[opaque][:, :3]
        assert (rebuilt == image).all()


def decode(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split("base64,")[1])))


def test_html_of_a_reader_stays_text_everywhere(book):
    html = explore(words, alt="Style {style}", **WORDS).page()
    assert "<img" not in html
    data = page_data(html)
    assert data["frames"][data["order"][3]] == "<p>&lt;img src=x onerror=alert(1)&gt; and 1</p>"
    assert data["controls"][0]["menu"] and data["controls"][1]["labels"] == ["1", "5", "off"]
    assert data["alt"][3] == "Style <img src=x onerror=alert(1)>"  # explore.js sets it as text


def test_a_script_end_in_a_picture_does_not_end_the_data(book):
    html = explore(lambda n: f"<b></script><!-- {n}</b>", n=[1, 2]).page()
    assert html.count("</script>") == 2  # the first picture's own, and the data's
    assert page_data(html.split("<noscript>")[1])["frames"][1] == "<b></script><!-- 2</b>"


def test_equal_pictures_are_stored_once(book):
    data = page_data(explore(lambda n: "even" if n % 2 == 0 else "odd", n=range(10)).page())
    assert data["frames"] == ["even", "odd"] and data["order"] == [0, 1] * 5


@pytest.mark.parametrize(
    ("alt", "expected"),
    [
        ("The curve at b1 = {b1:.1f}", "The curve at b1 = 0.3"),
        (lambda b0, b1: f"{b0} {b1:.0f}", "-1 0"),
        (None, "A curve that rises by 0.3"),
    ],
)
def test_alt_text_follows_the_setting(notebook, alt, expected):
    assert explore(curve, alt=alt, **CURVE).draw(b0=-1, b1=0.1 + 0.2)[1].startswith(expected)


def test_helpers_bring_their_own_words(notebook):
    control = explore(lambda p: plots.next_token_bars(["a", "b"], [p, 1 - p]), p=[0.5, 0.9])
    assert control.draw(p=0.9)[1] == "Bars of the next token's probability: a 0.90, b 0.10."


def test_in_a_notebook_moving_a_slider_redraws(notebook):
    import ipywidgets

    control = explore(curve, **CURVE)
    b0, b1, shown = control.widget().children
    assert isinstance(b0, ipywidgets.SelectionSlider) and isinstance(shown, ipywidgets.HTML)
    before = shown.value
    b1.value = 0
    assert b1.label == "-1" and shown.value != before and 'alt="A curve that rises by -1.0."' in shown.value
    b1.value = 2
    assert shown.value == before
    menu, top_k, shown = explore(words, **WORDS).widget().children
    assert isinstance(menu, ipywidgets.Dropdown) and top_k.label == "off"
    menu.value, top_k.value = 1, 0
    assert shown.value == "<p>&lt;img src=x onerror=alert(1)&gt; and 1</p>"


def test_an_error_behind_a_slider_is_seen(notebook):
    def fragile(n):
        if n == 2:
            raise RuntimeError("two is <too> much")
        return str(n)

    slider, shown = explore(fragile, n=[1, 2]).widget().children
    slider.value = 1
    assert shown.value == "<p>RuntimeError: two is &lt;too&gt; much</p>"


def test_a_saved_notebook_keeps_a_default_picture_beside_the_widget(notebook):
    bundle = explore(curve, **CURVE)._repr_mimebundle_()
    assert set(bundle) == {WIDGET, "text/html", "text/plain"}
    assert 'alt="A curve that rises by 1.0."' in bundle["text/html"]
    assert "This is b0 = -1, b1 = 1. Run the notebook to move the controls." in bundle["text/html"]
    assert len(bundle["text/html"]) < 40_000


def test_without_ipywidgets_one_sentence_and_the_picture(notebook, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    bundle = explore(curve, **CURVE)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"} and "<img alt=" in bundle["text/html"]
    assert bundle["text/plain"] == (
        "The controls need ipywidgets (pip install ipywidgets); this is b0 = -1, b1 = 1."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "at least one control"),
        ({"b0": 3}, "b0 must be a list of two or more different values, not 3"),
        ({"b0": [1]}, "b0 must be a list of two or more"),
        ({"b0": [1, 1]}, "b0 must be a list of two or more different"),
        ({"b0": "ab"}, "b0 must be a list of two or more"),
        ({"b0": [1, 2], "b2": [1, 2]}, "b0, b2 do not fit draw's arguments: .*'b2'"),
        ({"b1": [1.0, 2]}, "b1 do not fit draw's arguments: .*'b0'"),
        ({"b0": [1, 2], "b1": [3, 4]}, "draw's default b1=1.0 is not in its list"),
        (
            {"b0": range(20), "b1": [1.0, *range(2, 21)]},
            "b0, b1 make 400 pictures, at most 150: give shorter",
        ),
    ],
)
def test_controls_that_do_not_fit_are_one_sentence(notebook, arguments, message):
    with pytest.raises(ValueError, match=message) as told:
        explore(curve, **arguments)
    assert "\n" not in str(told.value)


def test_a_draw_that_does_not_fit_is_one_sentence(notebook, monkeypatch):
    with pytest.raises(TypeError, match="draw must return a figure or a string of HTML, not NoneType"):
        explore(lambda n: None, n=[1, 2])
    with pytest.raises(ValueError, match="no alt text"):
        explore(lambda n: plt.subplots()[0], n=[1, 2])
    monkeypatch.setenv(explore_widget.BOOK_BUILD, "1")
    with pytest.raises(ValueError, match="the same kind, figure or HTML"):
        explore(lambda n: "x" if n == 2 else curve(n), n=[1, 2])
    with pytest.raises(ValueError, match="figures of one size"):
        explore(lambda n: (plt.subplots(figsize=(n, 2))[0], "A box."), n=[1, 2])
    with pytest.raises(ValueError, match="n take 500,... bytes, at most 400,000: give shorter lists"):
        explore(lambda n: f"{n}" * 100_000, n=[1, 2, 3, 4])


def test_the_next_token_grid_of_a_chapter_fits(book):
    """Bars of 2,000 tokens under sampling, as chapter 00 shows: 80 settings have room."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, 2000)
    tokens = [f" w{i}" for i in range(2000)]

    def bars(temperature=1.0, top_k=None):
        p = np.exp(logits - logits.max())
        q = np.exp((logits - logits.max()) / temperature)
        q[np.argsort(-q)[top_k:]] = 0 if top_k else q[np.argsort(-q)[top_k:]]
        return plots.next_token_bars(tokens, p / p.sum(), q / q.sum())

    html = explore(bars, temperature=[0.5, 1.0, 1.5, 2.0], top_k=[None, 2, 5]).page()
    assert len(page_data(html)["frames"]) == 12
    assert len(html) / 12 < explore_widget.MAX_BYTES / 80


def test_two_builds_give_the_same_bytes(book):
    grid = {"b0": [-1, 1], "b1": [0.5, 1.0]}
    assert explore(curve, **grid).page() == explore(curve, **grid).page()


def test_importing_the_package_imports_no_drawing():
    code = "import sys, textgen; print([m for m in ('matplotlib', 'ipywidgets', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=BOOK, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def page(browser, book, tmp_path):
    """Two controls, of pictures and of words, on a page opened from a file."""
    html = explore(curve, b0=[-1, 1], b1=[0.5, 1.0, 2.0]).page()
    html += explore(words, alt="{style}, top_k = {top_k}", **WORDS).page()
    css, js = ((BOOK / "textgen/page" / name).read_text() for name in ("explore.css", "explore.js"))
    file = tmp_path / "page.html"
    file.write_text(
        f"<!doctype html><html lang=en><title>t</title><style>{css}</style>{html}<script>{js}</script>"
    )
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    opened.errors = []
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.goto(file.as_uri())
    yield opened
    assert not opened.errors
    opened.close()


def shown(picture):
    """Return the pixels of an `<img>`, once what the last key asked for is painted."""
    picture.page.wait_for_timeout(300)
    return np.asarray(decode(picture.get_attribute("src")).convert("RGB"))


def test_in_a_browser_the_keyboard_switches_pictures(page):
    block = page.locator(".textgen-explore").first
    picture = block.locator("img")
    assert picture.get_attribute("alt") == "A curve that rises by 1.0."
    first = shown(picture)
    slider = page.get_by_role("slider", name="b1", exact=True)
    assert slider.get_attribute("aria-valuetext") == "1"
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == block.locator("output").nth(1).inner_text() == "2"
    assert picture.get_attribute("alt") == "A curve that rises by 2.0."
    assert block.locator(".textgen-explore-said").text_content() == "A curve that rises by 2.0."
    other = shown(picture)
    expected = np.asarray(explore_widget.coarse(curve(-1, 2.0)[0]))
    assert (other == expected).all() and (other != first).any()
    slider.press("Home")
    slider.press("ArrowRight")
    assert (shown(picture) == first).all()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_in_a_browser_words_stay_words(page):
    page.get_by_role("combobox", name="style").select_option(label="<img src=x onerror=alert(1)>")
    page.get_by_role("slider", name="top_k").press("Home")
    block = page.locator(".textgen-explore").nth(1)
    assert block.locator("p").first.inner_text() == "<img src=x onerror=alert(1)> and 1"
    assert block.locator("img").count() == 0
    assert "onerror" in block.locator(".textgen-explore-said").text_content()


def test_a_frame_holds_scripts_and_shows_text_as_text():
    """Nothing of the page inside leaks out of the frame's attribute, whatever it holds."""
    page = '<select id="a"></select><script>if (1 < 2 && "x") alert(1)</script>'
    frame = explore_widget.framed(page, 'a "title"', 300)
    (found,) = re.findall(
        r'^<iframe title="([^"]*)" style="[^"]*height:300px[^"]*" srcdoc="([^"]*)"></iframe>$', frame
    )
    title, inside = map(html.unescape, found)
    assert title == 'a "title"' and inside.endswith(page.replace("<select", '<select aria-label="Choose"'))
