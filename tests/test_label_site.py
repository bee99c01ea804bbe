"""label.js in Chromium, from a file and with no network: by keyboard and by hand, its result against Python's figures."""

import random
import re
import shutil

import pytest
import textgen
from conftest import PATIENCE, ROOT, need
from test_label_widget import ATTACK, PAIRS
from textgen.metrics import wilson
from textgen.page import explore_widget

HERE = ROOT / "book/textgen/page"
PAGE = '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>t</title><link rel="stylesheet" href="label.css"><main><h1>t</h1>{block}</main><script src="label.js" defer></script>'
STRANGE = [
    (ATTACK, f"{ATTACK} a", f"{ATTACK}\n<b>b</b>"),
    ("", "x" * 300, "שלום"),
    ("Same.", " It is.", " It is."),
]


@pytest.fixture(scope="module")
def made():
    """What `label` returns in a book build, for twenty pairs and for strange ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(explore_widget.BOOK_BUILD, "1")
        return {"index": textgen.label(PAIRS), "strange": textgen.label(STRANGE, repeats=2)}


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    root = tmp_path_factory.mktemp("site")
    for name in ("label.js", "label.css"):
        shutil.copy(HERE / name, root)
    for name, w in made.items():
        (root / f"{name}.html").write_text(PAGE.format(block=w.page()))
    return root


@pytest.fixture
def open_page(browser, folder):
    """A function that opens a page with the network off; at the end nothing on it may have raised or asked."""
    pages = []

    def open_one(name="index", width=1000):
        page = browser.new_context(viewport={"width": width, "height": 900}, offline=True).new_page()
        page.set_default_timeout(PATIENCE)
        page.troubles = []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("dialog", lambda dialog: (page.troubles.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on(
            "request", lambda request: page.troubles.append(request.url) if "http" in request.url else None
        )
        page.goto((folder / f"{name}.html").as_uri())
        pages.append(page)
        return page

    yield open_one
    for page in pages:
        assert not page.troubles
        page.context.close()


@pytest.fixture
def page(open_page):
    return open_page()


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def progress(page):
    return page.get_by_role("status").text_content()


def stories(page):
    return page.locator(".lb-story").all_text_contents()


def result(page):
    return page.locator(".lb-result").text_content()


def expected(w, answers):
    """What Python makes of these answers: agreed, judged, herself, agreed with oneself, second labels, left."""
    first, second = {}, {}
    for (pair, again), side in zip(w.data["questions"], answers, strict=False):
        (second if again else first)[pair] = side ^ again
    prefers = {pair: w.data["pairs"][pair]["prefers"] for pair in first}
    judged = [pair for pair in first if prefers[pair] != 0.5]
    agreed = sum(first[pair] == (prefers[pair] < 0.5) for pair in judged)
    herself = sum(max(prefers[pair], 1 - prefers[pair]) for pair in judged)
    same = sum(first[pair] == label for pair, label in second.items())
    return agreed, len(judged), herself, same, len(second), answers.count(0)


def assert_result(page, w, answers):
    agreed, n, herself, same, twice, left = expected(w, answers)
    said = result(page)
    if n:
        assert f"You and the listener agree on {agreed} of {n} pair" in said
        low, high = (f"{100 * edge:.0f}%" for edge in wilson(agreed, n))
        assert f"from {low} to {high} (95% interval)" in said
        assert f"tossed coin would agree with her taste on about {n / 2:g} of {n}." in said
        assert f"agree with her own taste on about {round(herself, 1):g} of {n}." in said
    else:
        assert "agree on" not in said.replace("nothing to agree on", "") and "coin" not in said
    ties = len({pair for pair, _ in w.data["questions"][: len(answers)]}) - n
    assert f"On {ties} {'more ' if n else ''}pair" in said if ties else "worth the same" not in said
    if twice:
        assert f"You agree with yourself on {same} of {twice} repeated pair" in said
    assert f"story on the left in {left} of {len(answers)} questions." in said


def test_by_keyboard_through_all_questions(page, made):
    w, r = made["index"], random.Random(5)
    answers = [r.randrange(2) for _ in range(25)]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith("A is better")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"  # the focus is to be seen
    for i, side in enumerate(answers):
        assert progress(page) == f"Question {i + 1} of 25"
        pair, again = w.data["questions"][i]
        texts = [text.strip() for text in w.data["pairs"][pair]["texts"]]
        assert stories(page) == texts[:: -1 if again else 1]
        assert w.data["pairs"][pair]["prompt"] in page.locator(".lb-prompt").text_content()
        page.keyboard.press(r.choice(["1aA", "2bB"][side]))
    assert progress(page) == "25 of 25 questions answered"
    assert page.evaluate("document.activeElement.textContent") == "How far you agree"
    assert_result(page, w, answers)
    page.keyboard.press("1")  # there is no question any more
    assert_result(page, w, answers)


def test_a_known_pattern_gives_the_known_result(page, made):
    """Always what she prefers on the first showing, and always the other story on the second."""
    w = made["index"]
    for pair, _ in w.data["questions"]:  # the same side of both, though what stands there has changed
        hers = int(w.data["pairs"][pair]["prefers"] < 0.5)
        button(page, "AB"[hers] + " is better").click()
    n = sum(pair["prefers"] != 0.5 for pair in w.data["pairs"])
    assert f"You and the listener agree on {n} of {n} pairs." in result(page)
    assert "You agree with yourself on 0 of 5 repeated pairs." in result(page)
    rows = page.locator(".lb-result tbody tr")
    assert rows.count() == 20
    for i, pair in enumerate(w.data["pairs"]):
        number, yours, hers, *heard = rows.nth(i).locator("th, td").all_text_contents()
        likes = "AB"[pair["prefers"] < 0.5]
        share = f"{100 * max(pair['prefers'], 1 - pair['prefers']):.0f}%"
        other = "AB"[likes == "A"]
        assert number == str(i + 1) and yours == (f"{likes}, {other}" if i in w.repeated else likes)
        assert hers == ("either" if pair["prefers"] == 0.5 else f"{likes}, {share}")
        for words, parts in zip(heard, pair["heard"], strict=True):
            found = dict(re.findall(r"([a-z ]+)\xa0([+−][\d.]+)(?:, |$)", words))
            shown = {name: float(nats.replace("−", "-")) for name, nats in found.items()}
            assert shown == pytest.approx(parts, abs=0.0051)
    button(page, "Read the stories again").click()
    assert page.locator(".lb-all li").count() == 20 and page.locator(".lb-all").is_visible()
    assert PAIRS[0][1].strip() in page.locator(".lb-all li").first.text_content()


def test_back_undoes_and_start_over_begins_anew(page, made):
    assert button(page, "Back").is_disabled() and button(page, "Start over").is_disabled()
    page.locator(".lb-story").first.click()  # a click anywhere makes the keys work
    shown = stories(page)
    page.keyboard.press("2")
    assert progress(page) == "Question 2 of 25" and stories(page) != shown
    button(page, "Back").click()
    assert progress(page) == "Question 1 of 25" and stories(page) == shown
    assert page.evaluate("document.activeElement.textContent").startswith("A is better")
    page.keyboard.press("Control+a")  # a shortcut of the browser's is no answer
    assert progress(page) == "Question 1 of 25"
    for _ in range(25):
        page.keyboard.press("a")
    assert "story on the left in 25 of 25 questions." in result(page)
    assert not button(page, "Go on").is_visible()
    button(page, "Back").click()
    assert progress(page) == "Question 25 of 25" and button(page, "A is better").is_visible()
    button(page, "B is better").click()
    assert_result(page, made["index"], [0] * 24 + [1])
    button(page, "Start over").click()
    assert progress(page) == "Question 1 of 25" and stories(page) == shown
    assert (
        page.locator(".lb-result").is_hidden()
        and page.locator("progress").evaluate("(bar) => bar.value") == 0
    )


def test_a_double_click_answers_once(page):
    button(page, "A is better").dblclick()
    assert progress(page) == "Question 2 of 25"


def test_what_i_have_so_far_keeps_her_taste_hidden(page, made):
    look = button(page, "Show what I have so far")
    for i in range(5):
        assert not look.is_visible()
        button(page, "AB"[i % 2] + " is better").click()
    look.click()
    assert page.evaluate("document.activeElement.textContent") == "How far you agree, so far"
    assert progress(page) == "5 of 25 questions answered"
    assert_result(page, made["index"], [0, 1, 0, 1, 0])
    assert page.locator("table").count() == 0 and not button(page, "Read the stories again").is_visible()
    page.keyboard.press("1")
    assert progress(page) == "5 of 25 questions answered"
    button(page, "Go on").click()
    assert progress(page) == "Question 6 of 25"
    look.click()
    button(page, "Back").click()
    assert progress(page) == "Question 5 of 25" and not look.is_visible()


def test_strange_texts_are_text_and_ties_count_for_nobody(open_page, made):
    page, w = open_page("strange"), made["strange"]
    seen = set()
    for _ in range(5):
        seen |= {page.locator(".lb-prompt").text_content(), *stories(page)}
        assert page.locator(".textgen-label img, .textgen-label .lb-story b").count() == 0
        page.locator(".lb-story").first.click()
        page.keyboard.press("1")
    assert {f"Both begin{ATTACK}", f"{ATTACK} a", f"{ATTACK}\n<b>b</b>", "x" * 300, "שלום"} <= seen
    assert_result(page, w, [0] * 5)
    assert "On 3 pairs both stories are worth the same to her: there is nothing to agree on." in result(page)
    assert page.locator("tbody tr").nth(2).locator("td").nth(1).text_content() == "either"
    button(page, "Read the stories again").click()
    assert page.locator(".textgen-label img").count() == 0
    assert page.locator(".lb-all").text_content().count(ATTACK) == 3


@pytest.mark.parametrize("name", ["index", "strange"])
def test_on_a_telephone_nothing_scrolls_sideways(name, open_page, made):
    page = open_page(name, width=390)
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= 390
    a, b = (page.locator(".lb-card").nth(i).bounding_box() for i in (0, 1))
    assert a["x"] == b["x"] and a["y"] + a["height"] <= b["y"]  # one above the other
    one, two = (page.locator(".lb-choice").nth(i).bounding_box() for i in (0, 1))
    assert one["y"] == two["y"] and min(one["height"], two["height"]) >= 44
    for _ in made[name].data["questions"]:
        button(page, "A is better").click()
        assert page.evaluate(width) <= 390
    button(page, "Read the stories again").click()
    assert page.evaluate(width) <= 390
    page.set_viewport_size({"width": 320, "height": 600})
    assert page.evaluate(width) <= 320


def test_side_by_side_where_there_is_room(page):
    a, b = (page.locator(".lb-card").nth(i).bounding_box() for i in (0, 1))
    assert a["y"] == b["y"] and a["x"] + a["width"] <= b["x"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme, page):
    axe = ROOT / "node_modules/axe-core/axe.min.js"
    if not axe.exists():
        need("axe-core is not in node_modules: run `npm ci --ignore-scripts` first.")
    page.evaluate(axe.read_text())
    page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
    page.evaluate(
        "document.body.style.background = getComputedStyle(document.querySelector('.textgen-label')).getPropertyValue('--paper')"
    )
    for presses in (0, 5, 20):
        for _ in range(presses):
            button(page, "A is better").click()
        if presses == 5:
            button(page, "Show what I have so far").click()
        found = page.evaluate("axe.run('.textgen-label')")["violations"]
        assert [(one["id"], one["nodes"][0]["html"][:100]) for one in found] == []
        if presses == 5:
            button(page, "Go on").click()


def test_on_paper_the_pairs_and_no_dead_buttons(page):
    page.add_style_tag(content="[hidden] { display: none !important; }")  # as the book's theme has it
    page.emulate_media(media="print")
    assert page.locator(".lb-all").is_visible() and page.locator(".lb-all li").count() == 20
    assert page.locator("button:visible, progress:visible").count() == 0
    page.emulate_media(media="screen")
    assert page.locator(".lb-all").is_hidden() and button(page, "A is better").is_visible()


def test_without_javascript_the_pairs_are_text(browser, folder):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((folder / "index.html").as_uri())
    assert page.locator(".textgen-label li").count() == 20
    assert "With JavaScript you can label these pairs here." in page.locator(".textgen-label").inner_text()
    page.context.close()


NOTEBOOK = """async ([module, data, answers]) => {
  const { default: widget } = await import(URL.createObjectURL(new Blob([module], { type: "text/javascript" })));
  const state = { data, answers };
  window.state = state;
  window.saved = 0;
  const model = { get: (name) => state[name], set: (name, value) => (state[name] = value), save_changes: () => window.saved++ };
  widget.render({ el: document.querySelector("main"), model });
}"""


def test_in_a_notebook_the_labels_come_back_to_python(page, monkeypatch):
    monkeypatch.delenv(explore_widget.BOOK_BUILD, raising=False)
    w = textgen.label(PAIRS[:6], repeats=2, seed=1)
    page.set_content('<!doctype html><html lang="en"><title>t</title><main></main>')
    page.evaluate(
        "window.keys = []; document.addEventListener('keydown', (event) => window.keys.push(event.key))"
    )
    page.evaluate(NOTEBOOK, [w._widget._esm, w.data, []])
    for side in (1, 0, 1):
        button(page, "AB"[side] + " is better").focus()
        page.keyboard.press("ab"[side])
    assert page.evaluate("window.keys") == []  # the notebook has a command for each of these letters
    button(page, "Back").click()
    w._widget.answers = page.evaluate("window.state.answers")
    assert w._widget.answers == [1, 0] and page.evaluate("window.saved") == 4
    (one, _), (two, _) = w.data["questions"][:2]
    assert w.labels[one] == 1 and w.labels[two] == 0 and w.labels.count(None) == 4
    page.set_content(
        '<!doctype html><html lang="en"><title>t</title><main></main>'
    )  # shown again in another cell
    page.evaluate(NOTEBOOK, [w._widget._esm, w.data, w._widget.answers])
    assert progress(page) == "Question 3 of 8"
