"""`share`: a model with its controls as one file, read in Chromium from a disk with no network."""

import json
import os
import re
from html import unescape

import pytest
import textgen
import torch
from conftest import PATIENCE, ROOT, need
from textgen.page import live_widget
from textgen.tokenizer import Tokenizer

torch.set_num_threads(1)
TITLE = """Ada's "stories" <b>&amp; 'more'</b>"""
ATTACK = "</script><!--<script><img src=x onerror=alert(1)>"
SENTENCES = [
    f"{name} had a {colour} {thing}. {name} went to the {place}, and it was {weather}.\n"
    for name in ("Ada", "Omar", "Rosa", "Jürgen")
    for colour in ("red", "blue", "green")
    for thing in ("kite", "boat", "drum")
    for place in ("hill", "lake")
    for weather in ("windy", "quiet", "late")
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A reader's own model: trained for a few steps on a text file."""
    path = tmp_path_factory.mktemp("text") / "own.txt"
    path.write_text("".join(SENTENCES), encoding="utf-8")
    data = textgen.corpus.text_file(path, tokenizer="bpe")
    config = textgen.GPTConfig(len(data.tokenizer), block_size=48, n_layer=2, n_head=2, n_embd=32)
    model = textgen.GPT(config)
    textgen.fit(model, data, steps=40, batch_size=8, device="cpu")
    return model, data.tokenizer


@pytest.fixture(scope="module")
def path(trained, tmp_path_factory):
    """The shared page."""
    path = tmp_path_factory.mktemp("shared") / "my model.html"
    settings = {"max_new_tokens": 30, "temperature": 0.7, "seed": 3, "compare": {"seed": 4}}
    given = textgen.share(*trained, path, TITLE, prompt=ATTACK, prompts={"Ada": "Ada had"}, **settings)
    assert given == path and os.listdir(path.parent) == [path.name]
    return path


@pytest.fixture
def open_page(browser):
    """A function that opens a file without a network; at the end nothing on it may have complained or asked for more."""
    contexts, troubles = [], []

    def open_one(path, **settings):
        context = browser.new_context(viewport={"width": 900, "height": 900}, **settings)
        context.set_offline(True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        page.troubles = troubles
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not troubles


def generate(page):
    page.locator(".tl-go").click()
    page.locator(".tl-runs[aria-busy=false]").wait_for()
    page.wait_for_timeout(60)
    shown = json.loads(page.locator("pre").first.text_content())
    return shown if isinstance(shown, list) else [shown]


def test_it_writes_what_generate_writes_without_a_network(open_page, path, trained):
    page = open_page(path)
    assert page.title() == page.get_by_role("heading").text_content() == TITLE
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_label("Prompt").input_value() == ATTACK
    for _ in range(2):
        for call in generate(page):
            text = textgen.generate(*trained, call["inputs"], **call["parameters"])
            assert "seconds" in call and call["outputs"][0]["generated_text"] == text
        page.get_by_label("Compare two settings").uncheck()
        page.get_by_label("Prompt").fill("Rosa had a green")
    page.get_by_label("or one of these").select_option(label="Ada")
    page.locator(".tl-runs[aria-busy=false]").wait_for()
    assert page.locator(".tl-message").text_content() == ""
    assert "runs in your browser" in page.locator(".textgen-live").text_content()
    assert page.locator("img").count() == 0 and page.asked == [path.as_uri()]


def test_without_javascript_it_is_a_page_to_read(open_page, path, trained):
    page = open_page(path, java_script_enabled=False)
    text = unescape(page.content())  # inner_text would need a script
    written = [textgen.generate(*trained, ATTACK, 30, temperature=0.7, seed=seed) for seed in (3, 4)]
    for one in written:
        assert re.sub("</?b>", "", text).count(one) >= 1
    assert "This is what the model wrote" in text
    assert page.get_by_text("seed = 4").is_visible() and not page.get_by_text("crc32").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_and_fits_a_telephone(scheme, open_page, path):
    axe = ROOT / "node_modules/axe-core/axe.min.js"
    if not axe.exists():
        need("axe-core is not in node_modules: run `npm ci --ignore-scripts` first.")
    page = open_page(path, color_scheme=scheme)
    generate(page)
    colours = (
        "(node) => getComputedStyle(node).backgroundColor.match(/\\d+/g).reduce((a, b) => a + Number(b), 0)"
    )
    for part in ("html", ".textgen-live", ".tl-text"):
        assert (page.locator(part).first.evaluate(colours) > 384) == (scheme == "light")
    page.evaluate(axe.read_text())
    for width in (900, 390):
        page.set_viewport_size({"width": width, "height": 800})
        found = page.evaluate("axe.run()")["violations"]
        assert not [(rule["id"], node["html"][:150]) for rule in found for node in rule["nodes"]]
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("how", ["cut", "altered"])
def test_a_damaged_page_says_so(how, open_page, path, tmp_path):
    content, damaged = path.read_text("utf-8"), tmp_path / "damaged.html"
    at = content.index('"base64": "') + 5000
    damaged.write_text(content[:at] + ("" if how == "cut" else "?" + content[at:]), "utf-8")
    page = open_page(damaged)
    page.locator(".tl-go").click()
    page.get_by_role("alert").wait_for()
    said = page.get_by_role("alert").text_content()
    assert said == "This page is truncated or altered: reload it, or get the file again."
    page.troubles[:] = [
        one for one in page.troubles if how == "altered" or "Invalid or unexpected" not in one
    ]


def test_what_the_page_cannot_run_is_refused_in_one_sentence(trained, tmp_path):
    gpt, bpe = trained
    letters, words = Tokenizer.char(SENTENCES), Tokenizer.word(SENTENCES)
    sizes = {"n_layer": 1, "n_head": 1, "n_embd": 8}
    small = textgen.GPT(textgen.GPTConfig(len(letters), **sizes))
    banded = textgen.GPT(textgen.GPTConfig(len(bpe), **sizes, sliding_window=4))
    large = textgen.GPT(textgen.GPTConfig(len(bpe), n_layer=8, n_embd=256))
    page = tmp_path / "page.html"
    for model, tokenizer, path, settings, error, said in (
        (small, letters, page, {}, ValueError, 'characters or words came: .*text_file.*"bpe"'),
        (gpt, words, page, {}, ValueError, 'characters or words came: .*text_file.*"bpe"'),
        (banded, bpe, page, {}, ValueError, "sliding_window=4 came: train one without"),
        (large, bpe, page, {}, ValueError, "at most 5,000,000 weights .* came: train a smaller"),
        (textgen.LSTM(textgen.LSTMConfig(len(bpe))), bpe, page, {}, ValueError, "LSTM came: train a GPT"),
        (gpt, bpe, tmp_path / "no/page.html", {}, FileNotFoundError, "/no' does not exist: make that folder"),
        (gpt, bpe, tmp_path / "page", {}, ValueError, r'path must end in "\.html"'),
        (gpt, bpe, page, {"top_p": 2}, ValueError, "top_p must be"),
        (gpt, bpe, page, {"colour": 2}, ValueError, "settings must hold temperature, .* but colour came"),
    ):
        with pytest.raises(error, match=said) as told:
            textgen.share(model, tokenizer, path, max_new_tokens=1, **settings)
        assert "\n" not in str(told.value)
    assert not os.listdir(tmp_path)


def test_a_failed_write_leaves_the_page_that_was_there(trained, tmp_path, monkeypatch):
    path = textgen.share(*trained, tmp_path / "page.html", max_new_tokens=1)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        textgen.share(*trained, path, max_new_tokens=2)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["page.html"]


def test_a_shared_pocket_gpt_is_small(tmp_path):
    path = textgen.share(*textgen.load("pocket-gpt"), str(tmp_path / "pocket.html"), prompt="Ada")
    assert 1_200_000 < path.stat().st_size < 1_600_000
    again = textgen.share(*textgen.load("pocket-gpt"), tmp_path / "again.html", prompt="Ada")
    assert again.read_bytes() == path.read_bytes()


def test_the_controls_can_stand_within_a_page():
    script = live_widget.classic_script()
    assert not re.search("</script|<!--", script, re.IGNORECASE)
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
