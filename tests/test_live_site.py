"""live.js in Chromium: the same text as Python's, by hand and keyboard, over http and from a file, come what may.

Every text is judged by the call that the control itself shows as JSON: Python makes the same call.
"""

import base64
import functools
import json
import random
import re
import sys
import warnings
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import textgen
import torch
from conftest import PATIENCE, ROOT, need
from textgen.page import explore_widget, live_widget
from textgen.sample import filter_logits
from textgen.tokenizer import Tokenizer

torch.set_num_threads(1)
sys.path.insert(0, str(ROOT / "book/_ext"))
import textgen_book

PROMPT = "Once there was a brave fox named Ada."
LASTING = 3  # at temperature 5 the text after PROMPT with this seed is longer than 400 tokens
ATTACK = "<img src=x onerror=alert(1)>"
STRANGE = [
    ATTACK,
    "",
    "🦊👩‍👩‍👧 naïve café",
    "שלום עולם, أهلا",
    "\n\n\t \u0000\ud7ff",
    "a" * 700,
    "Ada had a red kite. " * 250,
]
PAGE = '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>t</title><link rel="stylesheet" href="{css}"><main><h1>t</h1>{block}</main><script src="_static/live.js" defer></script>'


@pytest.fixture(scope="module")
def pocket():
    return textgen.load("pocket-gpt")


@pytest.fixture(scope="module")
def folder(pocket, tmp_path_factory):
    """A site of one page, its files written by the book's extension."""
    root = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(explore_widget.BOOK_BUILD, "1")
        block = textgen.live(
            *pocket, PROMPT, {"Attack": ATTACK, "A sum": "Sum: 12 + 30 ="}, 20, temperature=0.8, seed=1
        ).page()
    textgen_book.publish_models(root / "_static", {"pocket-gpt"})
    (root / "index.html").write_text(PAGE.format(css=(live_widget.HERE / "live.css").as_uri(), block=block))
    (root / "_static/live.css").write_text((live_widget.HERE / "live.css").read_text())
    (root / "index.html").write_text(PAGE.format(css="_static/live.css", block=block))
    return root


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(folder):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def open_page(browser):
    """A function that opens a page; at the end nothing on it may have raised or opened a dialog."""
    pages = []

    def open_one(url, **context):
        page = browser.new_context(viewport={"width": 900, "height": 900}, **context).new_page()
        page.set_default_timeout(PATIENCE)
        page.troubles, page.asked = [], []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("dialog", lambda dialog: (page.troubles.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: page.asked.append(request.url.rsplit("/", 1)[-1]))
        page.goto(url)
        pages.append(page)
        return page

    yield open_one
    for page in pages:
        assert not page.troubles
        page.context.close()


@pytest.fixture
def page(open_page, address):
    return open_page(f"{address}/index.html")


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def settled(page):
    """Wait until nothing is being written or looked at."""
    page.wait_for_function("document.querySelector('.tl-runs').getAttribute('aria-busy') === 'false'")
    page.wait_for_timeout(60)


def generate(page):
    button(page, "Generate").click()
    settled(page)


def act(page, script):
    """Run an asynchronous script to its end. It is asked for how it ended, since the browser may collect a promise
    that is waited for from outside."""
    ends = "() => (window.ended = 'well'), (error) => (window.ended = String(error))"
    page.evaluate(f"() => {{ window.ended = ''; ({script})().then({ends}); }}")
    page.wait_for_function("window.ended")
    assert page.evaluate("window.ended") == "well"


def announced(page, words):
    """Wait until a screen reader has been told these words."""
    page.locator(".tl-status[role=status]", has_text=words).wait_for(state="attached")


def one_token(page):
    """Press One token, and wait until the call says so."""
    call = "document.querySelector('.textgen-live pre').textContent"
    before = page.evaluate(call)
    button(page, "One token").click()
    page.wait_for_function(f"(before) => {call} !== before", arg=before)


def calls(page):
    """Return the calls that the control shows as JSON, a list of one or two."""
    shown = json.loads(page.locator(".textgen-live pre").first.text_content())
    return shown if isinstance(shown, list) else [shown]


def by_python(pocket, call):
    """What Python makes of such a call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some outgrow the block
        return textgen.generate(*pocket, call["inputs"], **call["parameters"])


def text_in(page, run=0):
    return page.locator(".tl-text").nth(run).evaluate("(box) => box.textContent")


def tokens(page):
    """Return the tokens of the first text."""
    return page.locator(".tl-text").first.locator("[role=option]")


def write_for_long(page):
    """Set the controls to 400 tokens, far from any end of a story, on a slow machine: there is time to interrupt."""
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 8})
    slide(page, "new tokens", 20)
    slide(page, "temperature", 40)
    page.get_by_label("seed", exact=True).first.fill(str(LASTING))
    button(page, "Start over").click()
    settled(page)
    page.wait_for_timeout(500)


def slide(page, name, presses, run=0):
    """Move a slider by keyboard."""
    slider = page.get_by_role("slider", name=name).nth(run)
    for _ in range(abs(presses)):
        slider.press("ArrowRight" if presses > 0 else "ArrowLeft")
    return slider.get_attribute("aria-valuetext")


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_same_text_as_python(scheme, open_page, address, folder, pocket):
    page = open_page(f"{address}/index.html" if scheme == "http" else (folder / "index.html").as_uri())
    assert text_in(page) == by_python(pocket, calls(page)[0])  # what the build wrote
    assert "live.js" in page.asked and "pocket-gpt.js" not in page.asked  # nothing before it is needed
    generate(page)
    assert page.asked.count("pocket-gpt.js") == 1
    (call,) = calls(page)
    assert call["inputs"] == PROMPT and call["parameters"] == {
        "max_new_tokens": 20, "temperature": 0.8, "top_k": None, "top_p": None, "seed": 1
    }  # fmt: skip
    assert (
        call["outputs"][0]["generated_text"] == by_python(pocket, call) == text_in(page).removeprefix("start")
    )
    assert slide(page, "temperature", 8) == "1.2" and slide(page, "top-k", -3) == "50"
    assert slide(page, "top-p", -2) == "0.95" and slide(page, "new tokens", 8) == "200"
    button(page, "Another seed").click()
    page.get_by_label("Prompt").fill("Near the lighthouse lived")
    generate(page)
    (call,) = calls(page)
    assert call["parameters"] == {
        "max_new_tokens": 200, "temperature": 1.2, "top_k": 50, "top_p": 0.95, "seed": 2
    }  # fmt: skip
    assert call["outputs"][0]["generated_text"] == by_python(pocket, call)
    line = page.locator(".textgen-live pre").nth(1).text_content().splitlines()[1]
    model, tokenizer = pocket
    assert eval(line, {"textgen": textgen, "model": model, "tokenizer": tokenizer}) == by_python(pocket, call)
    assert re.fullmatch(
        r"\d+ tokens in [\d.]+ s, [\d,]+ a second, the first after [\d,]+ ms\.( The text ends here\.)?",
        page.locator(".tl-written p").first.text_content(),
    )
    assert page.asked.count("pocket-gpt.js") == 1


def test_strange_prompts_are_text_and_agree_with_python(page, pocket):
    for prompt in STRANGE:
        page.get_by_label("Prompt").fill(prompt)
        generate(page)
        (call,) = calls(page)
        assert call["inputs"] == page.get_by_label("Prompt").input_value()
        assert call["outputs"][0]["generated_text"] == by_python(pocket, call), prompt[:20]
        assert page.locator(".tl-message").text_content() == ""
        assert page.locator(".textgen-live img").count() == 0
    assert page.get_by_text("The text outgrew the model’s 256 tokens").first.is_visible()
    page.get_by_label("or one of these").select_option(label="Attack")
    settled(page)
    assert text_in(page).startswith(f"start{ATTACK}")
    announced(page, ATTACK)


def test_a_slider_says_its_value_and_only_a_button_the_text(page, pocket):
    page.evaluate("""() => {
      window.said = [];
      const status = document.querySelector(".tl-status");
      new MutationObserver(() => window.said.push(status.textContent)).observe(status, { childList: true });
    }""")
    generate(page)
    page.wait_for_function("window.said.some(Boolean)")
    (text,) = [one for one in page.evaluate("window.said.splice(0)") if one]
    assert text.endswith(calls(page)[0]["outputs"][0]["generated_text"])
    assert slide(page, "temperature", 2) == "0.9" and slide(page, "top-k", -1) == "200"
    settled(page)
    page.get_by_label("Compare two settings").check()
    settled(page)
    page.get_by_label("Prompt").fill("Near the lighthouse")  # typing is heard as it is
    page.wait_for_timeout(700)
    settled(page)
    assert not any(page.evaluate("window.said.splice(0)"))
    button(page, "Another seed").first.click()
    button(page, "Start over").click()
    announced(page, "Back at the prompt.")
    assert [one for one in page.evaluate("window.said.splice(0)") if one] == ["seed 2", "Back at the prompt."]
    page.get_by_label("Prompt").press("Control+Enter")
    slide(page, "top-p", -1)  # before the text is spoken, so that it is out of date
    settled(page)
    page.wait_for_timeout(400)
    assert not any(page.evaluate("window.said"))


def test_the_call_follows_the_sliders_before_the_first_text(page, pocket):
    (saved,) = calls(page)
    assert saved["outputs"][0]["generated_text"] == by_python(pocket, saved)
    slide(page, "temperature", 2), slide(page, "new tokens", 1)
    (call,) = calls(page)
    assert call["parameters"] == saved["parameters"] | {"temperature": 0.9, "max_new_tokens": 30}
    assert "outputs" not in call  # nobody has made this call yet
    assert "temperature=0.9" in page.locator(".textgen-live pre").nth(1).text_content()
    slide(page, "temperature", -2), slide(page, "new tokens", -1)
    assert calls(page) == [saved] and "pocket-gpt.js" not in page.asked
    slide(page, "top-k", -1)
    generate(page)
    (call,) = calls(page)
    assert call["parameters"]["top_k"] == 200
    assert call["outputs"][0]["generated_text"] == by_python(pocket, call)
    button(page, "Start over").click()
    settled(page)
    assert "outputs" not in calls(page)[0]


def damage(folder, how):
    """Replace the model's file; return what puts it right again."""
    path = folder / "_static/live/pocket-gpt.js"
    good = path.read_text()
    if how == "missing":
        path.unlink()
    else:
        at = len(good) // 2
        flipped = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        path.write_text(
            {
                "truncated": good[:-5000],
                "altered": flipped,
                "empty": "",
                "garbled": good[:at] + "?!" + good[at:],
            }[how]
        )
    return lambda: path.write_text(good)


@pytest.mark.parametrize("how", ["missing", "truncated", "altered", "empty", "garbled"])
def test_a_damaged_model_is_one_sentence_and_a_second_try(how, open_page, folder, pocket):
    page = open_page((folder / "index.html").as_uri())
    mend = damage(folder, how)
    try:
        generate(page)
        said = page.get_by_role("alert").text_content()
        assert re.fullmatch(r"The model[^.]*\(?pocket-gpt\.js\)?[^.]*\.", said), said
        assert ("did not arrive" if how == "missing" else "truncated or altered") in said
        assert text_in(page) == calls(page)[0]["outputs"][0]["generated_text"]  # what stood there stands
    finally:
        mend()
    page.troubles = [
        said for said in page.troubles if how != "truncated" or "Invalid or unexpected" not in said
    ]
    generate(page)
    assert page.locator(".tl-message").text_content() == ""
    (call,) = calls(page)
    assert "seconds" in call and call["outputs"][0]["generated_text"] == by_python(pocket, call)


STOP = """async () => {
  const go = document.querySelector(".tl-go");
  const given = document.querySelectorAll(".tl-text [role=option]").length;
  go.click();
  while (document.querySelectorAll(".tl-text [role=option]").length <= given) {
    await new Promise((done) => setTimeout(done, 1));
  }
  if (go.textContent !== "Stop") throw new Error(`The button says ${go.textContent}.`);
  go.click();
}"""


def test_step_by_step_stop_and_start_over(page, pocket):
    for _ in range(4):
        one_token(page)
    (call,) = calls(page)
    assert call["parameters"]["max_new_tokens"] == 4
    assert call["outputs"][0]["generated_text"] == by_python(pocket, call)
    button(page, "Start over").click()
    settled(page)
    assert text_in(page) == f"start{PROMPT}"
    write_for_long(page)
    act(page, STOP)
    settled(page)
    (call,) = calls(page)
    assert 0 < call["parameters"]["max_new_tokens"] < 400
    assert call["outputs"][0]["generated_text"] == by_python(pocket, call)  # as far as it came
    announced(page, "Stopped after")
    generate(page)
    (call,) = calls(page)
    assert call["parameters"]["max_new_tokens"] == 400
    assert call["outputs"][0]["generated_text"] == by_python(pocket, call)


def test_one_thing_ends_the_other(page, pocket):
    """A token more while it writes, Stop while the model loads, a setting that moves under a text made by hand."""
    page.evaluate("document.querySelector('.tl-go').click()")  # loads
    page.evaluate("document.querySelector('.tl-go').click()")  # and is stopped
    settled(page)
    page.wait_for_timeout(300)
    assert (
        not page.locator(".tl-next").first.is_visible() and page.locator(".tl-bars button").first.is_hidden()
    )
    generate(page)
    write_for_long(page)
    act(page, STOP.replace("  go.click();\n}", "  go.nextElementSibling.click();\n}"))  # One token
    settled(page)
    assert button(page, "Generate").is_visible()
    button(page, "Start over").click()
    settled(page)
    button(page, "Another seed").click()
    for _ in range(6):
        one_token(page)
    (call,) = calls(page)
    assert call["parameters"]["seed"] == LASTING + 1 and call["parameters"]["max_new_tokens"] == 6
    assert call["outputs"][0]["generated_text"] == by_python(pocket, call)
    assert "The same in Python" in page.locator(".textgen-live pre").nth(1).text_content()
    slide(page, "temperature", -3)
    settled(page)
    assert "without what was changed" in page.locator(".textgen-live pre").nth(1).text_content()


def test_a_token_past_the_block_shows_what_it_was_chosen_from(page):
    page.get_by_label("Prompt").fill("Ada had a red kite. " * 40)
    slide(page, "temperature", -40)
    slide(page, "new tokens", 4)
    generate(page)
    assert page.get_by_text("The text outgrew the model’s 256 tokens").first.is_visible()
    written = page.locator(".tl-text").first.locator("[role=option]:not(.tl-given)")
    assert written.count() > 20
    for at in range(0, written.count() - 1, 4):
        written.nth(at).click()
        settled(page)
        came = page.locator(".tl-bars [aria-current=true]")
        assert "→ 100.0%" in came.text_content(), at


def test_two_settings_side_by_side(page, pocket):
    page.get_by_label("Compare two settings").check()
    generate(page)
    slide(page, "temperature", -16, run=1)  # greedy; a text in the browser follows the slider
    settled(page)
    page.wait_for_timeout(300)
    settled(page)
    first, second = calls(page)
    assert (first["parameters"]["temperature"], second["parameters"]["temperature"]) == (0.8, 0)
    for i, call in enumerate((first, second)):
        assert call["outputs"][0]["generated_text"] == by_python(pocket, call)
        assert text_in(page, i).removeprefix("start").removesuffix("end") == by_python(pocket, call)
    page.get_by_label("Compare two settings").uncheck()
    settled(page)
    assert len(calls(page)) == 1 and not page.locator(".tl-run").nth(1).is_visible()


def test_bars_and_attention_are_those_of_python(page, pocket):
    model, tokenizer = pocket
    slide(page, "top-k", -4)
    generate(page)
    (call,) = calls(page)
    ids = [tokenizer.bos, *tokenizer.encode(call["outputs"][0]["generated_text"])]
    with torch.no_grad():
        logits, _, attention = model(torch.tensor([ids]), return_attention=True)
    at = 5
    tokens(page).nth(at).click()
    page.locator(".tl-grid button").nth(9).click()  # layer 3, head 2
    before = logits[0, at].double().softmax(-1)
    after = filter_logits(logits[0, at].double(), 0.8, 20).softmax(-1)
    rows = page.locator(".tl-bars").first.locator("button").all()
    top = before.topk(len(rows)).indices.tolist()
    came = [row.get_attribute("aria-current") for row in rows]
    if ids[at + 1] not in top:
        top[-1] = ids[at + 1]
    assert [index for index, one in enumerate(came) if one == "true"] == [top.index(ids[at + 1])]
    for row, id in zip(rows, top, strict=True):
        token, shares = row.locator(".tl-token").text_content(), row.locator(".tl-shares").text_content()
        assert token == tokenizer.piece(id).replace(" ", "␣").replace("<|endoftext|>", "end")
        for shown, p in zip(shares.split(" → "), (float(before[id]), float(after[id])), strict=True):
            if shown == "cut":
                assert p == 0
            elif shown == "<0.1%":
                assert 0 < p < 0.0005 + 1e-6
            else:
                assert abs(float(shown.rstrip("%")) / 100 - p) < 0.0005 + 1e-6
    weights = attention[2][0, 1, at, : at + 1]
    sentence = page.locator(".tl-sentence").text_content()
    assert sentence.startswith("Layer 3, head 2: ")
    shares = [float(share) for share in re.findall(r"([\d.]+)%", sentence)]
    assert shares == pytest.approx([100 * float(w) for w in weights.topk(3).values], abs=0.051)
    names = page.locator(".tl-sentence q").all_text_contents()
    assert (
        names[0]
        == (["start"] + [tokenizer.piece(i).replace(" ", "␣") for i in ids[1:]])[int(weights.argmax())]
    )
    assert page.locator(".tl-status[role=status]").text_content() == sentence


def test_another_word_and_the_rest_is_written_anew(page, pocket):
    _, tokenizer = pocket
    generate(page)
    (before,) = calls(page)
    given = len(tokenizer.encode(PROMPT)) + 1
    options = tokens(page)
    count, at = options.count(), given + 3
    options.nth(2).click()
    assert page.locator(".tl-bars button").first.is_disabled()  # the prompt stays as it is
    options.nth(at).click()
    kept = "".join(options.all_text_contents()[1 : at + 1])
    other = page.locator(".tl-bars button[aria-current=false]").first
    word = other.locator(".tl-token").text_content().replace("␣", " ")
    other.click()
    settled(page)
    (after,) = calls(page)
    assert after["outputs"][0]["generated_text"].startswith(kept + word)
    assert after["chosen_by_hand"] == [{"position": at + 1, "token": word}] and "chosen_by_hand" not in before
    assert options.count() <= count
    page.locator(".tl-bars button").first.click()  # at the end it is one more
    settled(page)
    assert len(calls(page)[0]["chosen_by_hand"]) == 2


def test_the_keyboard_does_everything(page, pocket):
    page.get_by_label("Prompt").focus()
    page.keyboard.press("End")
    page.keyboard.type(" Ada")
    page.keyboard.press("Control+Enter")
    settled(page)
    (call,) = calls(page)
    assert call["inputs"] == f"{PROMPT} Ada" and call["outputs"][0]["generated_text"] == by_python(
        pocket, call
    )
    stops = []
    for _ in range(20):
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate(
                "(document.activeElement.closest('[role=listbox], [role=toolbar], [role=radiogroup]') ?? document.activeElement).className || document.activeElement.tagName"
            )
        )
        if stops[-1] == "SUMMARY":
            break
    for box in ("tl-text", "tl-bars", "tl-grid"):
        assert stops.count(box) == 1, stops  # many things, one stop
    assert stops[-1] == "SUMMARY" and len(stops) == 15, stops
    page.locator(".tl-text [aria-selected=true]").focus()
    shown = lambda: page.evaluate(
        "[document.activeElement.textContent, document.querySelector('.tl-heads .tl-heading').textContent]"
    )
    seen = [shown()]
    for key in ("ArrowLeft", "ArrowUp", "Home", "ArrowRight", "End"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
        seen.append(shown())
        assert page.locator(".tl-text [aria-selected=true]").evaluate(
            "(one) => one === document.activeElement"
        )
    assert (
        seen[3] == ["start", "What start looks at"]
        and seen[5] == seen[0]
        and len({str(one) for one in seen}) == 5
    )
    page.locator(".tl-grid [tabindex='0']").focus()
    for key, name in (
        ("ArrowDown", "Layer 2, head 1"),
        ("ArrowRight", "Layer 2, head 2"),
        ("End", "Layer 4, head 4"),
    ):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
        assert page.get_by_role("radio", checked=True).get_attribute("aria-label") == name
        assert page.locator(".tl-sentence").text_content().startswith(name)
    count = tokens(page).count()
    page.locator(".tl-bars [tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    settled(page)
    assert tokens(page).count() == count + 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(scheme, page):
    axe = ROOT / "node_modules/axe-core/axe.min.js"
    if not axe.exists():
        need("axe-core is not in node_modules: run `npm ci --ignore-scripts` first.")
    page.evaluate(axe.read_text())
    page.evaluate("(scheme) => (document.documentElement.dataset.theme = scheme)", scheme)
    page.emulate_media(reduced_motion="reduce")
    for width in (900, 390):
        page.set_viewport_size({"width": width, "height": 800})
        for step in ("fresh", "written", "compared"):
            if step == "written":
                generate(page)
                page.locator("summary").click()
                tokens(page).nth(4).click()
            if step == "compared":
                page.get_by_label("Compare two settings").set_checked(width == 900)
                settled(page)
            found = page.evaluate("axe.run('.textgen-live')")["violations"]
            assert not [(rule["id"], node["html"][:150]) for rule in found for node in rule["nodes"]], (
                step,
                width,
            )
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    durations = "(all) => all.map((one) => getComputedStyle(one).transitionDuration)"
    assert set(page.locator(".tl-track span, [role=option]").evaluate_all(durations)) == {"0s"}


SHAKE = """async ([choices, from]) => {
  const box = document.querySelector(".textgen-live");
  const fields = [...box.querySelectorAll("input[type=range], input[type=number]")];
  const [go] = box.querySelectorAll(".tl-go");
  for (const numbers of choices) {
    fields.forEach((field, i) => {
      field.value = field.type === "range" ? Math.floor(numbers[i % 8] * (Number(field.max) + 1)) : Math.floor(numbers[i % 8] * 1e9);
      if (field.closest(".tl-actions")) field.value = Math.min(field.value, 2);
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
    box.querySelector("textarea").value = "Ada was a " + "quiet ".repeat(Math.floor(numbers[0] * 5));
    const option = box.querySelectorAll("[role=option]")[Math.floor(numbers[1] * 10)];
    if (option) option.focus();
    go.click();
    while (go.textContent !== "Generate") await new Promise((done) => setTimeout(done, 1));
  }
}"""


def test_two_hundred_settings_raise_nothing_and_keep_no_memory(page, pocket):
    wire, r = page.context.new_cdp_session(page), random.Random(0)
    choices = [[r.random() for _ in range(8)] for _ in range(220)]

    def memory():
        wire.send("HeapProfiler.collectGarbage")
        heap = wire.send("Runtime.getHeapUsage")
        nodes = page.evaluate("document.querySelectorAll('*').length")
        return heap["usedSize"] + heap.get("backingStorageSize", 0), nodes

    page.evaluate(SHAKE, [choices[:20], 0])
    before, nodes = memory()
    page.evaluate(SHAKE, [choices[20:], 20])
    after, nodes_after = memory()
    page.wait_for_timeout(200)
    assert page.locator(".tl-message").text_content() == ""
    assert after - before < 20e6, f"{(after - before) / 1e6:.1f} MB"
    assert nodes_after < nodes + 200
    generate(page)
    (call,) = calls(page)
    assert call["outputs"][0]["generated_text"] == by_python(pocket, call)


# In a notebook: anywidget calls `render`, here with a stand-in for its model, whose questions Python answers.

NOTEBOOK = """async ([module, data, weights, inPython]) => {
  const { default: widget } = await import(URL.createObjectURL(new Blob([module], { type: "text/javascript" })));
  const bytes = Uint8Array.from(atob(weights), (c) => c.charCodeAt(0));
  const state = { data, text: "", weights: new DataView(bytes.buffer) };
  let hear;
  const pass = async (question) => {
    const { reply, buffers } = await window.answer(question);
    hear(reply, buffers.map((b) => new DataView(Uint8Array.from(atob(b), (c) => c.charCodeAt(0)).buffer)));
  };
  window.state = state;
  widget.render({
    el: document.querySelector("main"),
    model: {
      get: (name) => state[name],
      set: (name, value) => (state[name] = value),
      save_changes() {},
      on: (what, listener) => (hear = listener),
      send: (question) => {
        if (window.gone) throw new Error("Cannot send");
        pass(question);
      },
    },
  });
}"""


class Wire:
    def send(self, reply, buffers):
        self.sent = {"reply": reply, "buffers": [base64.b64encode(b).decode() for b in buffers]}


def in_notebook(page, w):
    """Show what `live` returned as a notebook would."""

    def answer(question):
        wire = Wire()
        w._answer(wire, question, [])
        return wire.sent

    page.expose_function("answer", answer)
    weights = base64.b64encode(w._widget.weights).decode()
    page.set_content('<!doctype html><html lang="en"><title>t</title><main></main>')
    page.evaluate(NOTEBOOK, [live_widget.script(), w._widget.data, weights, not weights])


@pytest.mark.parametrize("in_browser", [True, False])
def test_in_a_notebook_the_text_comes_back_to_python(in_browser, page, pocket, monkeypatch):
    monkeypatch.delenv(explore_widget.BOOK_BUILD, raising=False)
    w = textgen.live(
        *pocket, PROMPT, max_new_tokens=10, temperature=0.9, top_p=0.9, seed=4, in_browser=in_browser
    )
    in_notebook(page, w)
    page.get_by_label("Prompt").fill("My name is Omar")
    generate(page)
    assert page.locator(".tl-message").text_content() == ""
    want = textgen.generate(*pocket, "My name is Omar", 10, temperature=0.9, top_p=0.9, seed=4)
    assert page.evaluate("window.state.text") == want == calls(page)[0]["outputs"][0]["generated_text"]
    where = "runs in your browser." if in_browser else "runs in Python."
    about = page.locator(".tl-quiet", has_text=" weights, ").text_content()
    assert about.endswith(f"weights, {where}")  # with no promise that the text stays there
    tokens(page).nth(3).click()
    assert page.locator(".tl-heads .tl-heading").text_content().startswith("What ")


def test_any_rung_lives_in_a_notebook_and_errors_are_sentences(page, monkeypatch):
    monkeypatch.delenv(explore_widget.BOOK_BUILD, raising=False)
    letters = Tokenizer.char(["abcdefghijklmnopqrstuvwxyz ."])
    torch.manual_seed(0)
    model = textgen.LSTM(textgen.LSTMConfig(vocab_size=len(letters))).eval()
    w = textgen.live(model, letters, "a fox", max_new_tokens=12, seed=2)
    in_notebook(page, w)
    generate(page)
    assert page.evaluate("window.state.text") == textgen.generate(model, letters, "a fox", 12, seed=2)
    assert not page.locator(".tl-heads").is_visible()
    page.get_by_label("Prompt").fill("Fox 7")
    generate(page)
    said = page.get_by_role("alert").text_content()
    assert "'7'" in said and said.endswith(".")


SILENT = "The kernel does not answer: run the cell again."


def test_a_kernel_that_does_not_answer_is_a_sentence_and_a_late_answer_counts(page, pocket, monkeypatch):
    monkeypatch.delenv(explore_widget.BOOK_BUILD, raising=False)
    in_notebook(page, textgen.live(*pocket, PROMPT, max_new_tokens=5, seed=4, in_browser=False))
    page.evaluate("""() => {
      const answer = window.answer;
      const released = new Promise((done) => (window.release = done));
      window.answer = async (question) => (await released, answer(question));
    }""")
    page.clock.install(time=0)
    page.clock.pause_at(1000)  # from here on time passes where this test says so
    alert = page.get_by_role("alert")
    button(page, "Generate").click()
    page.clock.run_for(4400)
    assert not alert.is_visible()
    page.clock.run_for(200)
    assert alert.text_content() == SILENT
    button(page, "Stop").click()
    button(page, "Generate").click()
    assert not alert.is_visible()  # and a second time
    page.clock.run_for(4600)
    assert alert.text_content() == SILENT
    page.clock.resume()
    page.evaluate("window.release()")
    settled(page)
    assert alert.text_content() == ""
    want = textgen.generate(*pocket, PROMPT, 5, seed=4)
    assert page.evaluate("window.state.text") == want == calls(page)[0]["outputs"][0]["generated_text"]
    page.clock.run_for(5000)
    assert alert.text_content() == ""  # nothing is waited for
    page.evaluate("() => { window.answer = () => new Promise(() => {}); }")
    slide(page, "top-k", -1)  # the bars ask too
    alert.wait_for()
    page.evaluate("window.gone = true")
    button(page, "Generate").click()
    assert alert.text_content() == SILENT  # at once


@pytest.mark.parametrize("in_browser", [True, False])
def test_a_tokenizer_smaller_than_the_model_is_as_in_generate(in_browser, page, monkeypatch):
    """The model draws ids that stand for no text."""
    monkeypatch.delenv(explore_widget.BOOK_BUILD, raising=False)
    tokenizer = Tokenizer.bpe(["Ada had a red kite. Ada ran and ran."] * 9, vocab_size=275)
    torch.manual_seed(0)
    model = textgen.GPT(textgen.GPTConfig(vocab_size=320, block_size=24, n_layer=1, n_head=2, n_embd=16))
    assert len(tokenizer) == 275
    in_notebook(page, textgen.live(model, tokenizer, "Ada", max_new_tokens=40, in_browser=in_browser))
    for seed in range(3):
        page.get_by_label("seed", exact=True).first.fill(str(seed))
        generate(page)
        assert page.get_by_role("alert").text_content() == ""
        (call,) = calls(page)
        assert call["parameters"]["seed"] == seed
        want = by_python((model, tokenizer), call)
        assert page.evaluate("window.state.text") == want == call["outputs"][0]["generated_text"]
    nothing = page.get_by_role("option", name="no text of its own")
    assert nothing.count() and {*nothing.all_text_contents()} == {"·"}
    tokens(page).nth(4).click()
    settled(page)
    page.locator(".tl-bars button").first.click()
    settled(page)
    assert page.get_by_role("alert").text_content() == ""


HASTE = """async () => {
  const busy = () => document.querySelector(".tl-runs").ariaBusy === "true";
  const go = document.querySelector(".tl-go");
  const still = async (wanted) => { while (busy() !== wanted) await new Promise((done) => setTimeout(done, 1)); };
  go.click();
  await still(true);
  while (!document.querySelector(".tl-text [role=option]")) await new Promise((done) => setTimeout(done, 1));
  const slider = document.querySelector(".tl-settings input");
  slider.value--;
  slider.dispatchEvent(new Event("input")); // while the first text is being written
  await still(false);
  document.querySelector("textarea").value = "Fox 7";
  go.click(); // before the first text is announced
  await still(true);
  await still(false);
}"""


def test_in_python_a_hasty_reader_gets_text_and_errors_alike(page, monkeypatch):
    """A setting moves while the first text is written, and a mistake follows before that text is announced."""
    monkeypatch.delenv(explore_widget.BOOK_BUILD, raising=False)
    letters = Tokenizer.char(["abcdefghijklmnopqrstuvwxyz ."])
    torch.manual_seed(0)
    model = textgen.LSTM(textgen.LSTMConfig(vocab_size=len(letters))).eval()
    w = textgen.live(model, letters, "a fox", max_new_tokens=40, seed=2)
    in_notebook(page, w)
    page.evaluate("""() => {
      window.said = [];
      const alert = document.querySelector("[role=alert]");
      new MutationObserver(() => window.said.push(alert.textContent)).observe(alert, { childList: true });
    }""")
    page.evaluate(HASTE)
    page.wait_for_function("window.said.some(Boolean)")
    page.wait_for_timeout(500)
    (said,) = [text for text in page.evaluate("window.said") if text]  # the mistake alone
    assert "'7'" in said and page.get_by_role("alert").text_content() == said


def test_every_page_of_the_book_with_controls_writes_what_python_writes(site, open_page, pocket):
    names = [path for path in sorted(site.glob("book/*.html")) if 'class="textgen-live"' in path.read_text()]
    assert "playground" in [path.stem for path in names]
    for path in names:
        page = open_page(path.as_uri())
        for i in range(page.locator(".textgen-live").count()):
            block = page.locator(".textgen-live").nth(i)
            block.get_by_role("button", name="Generate").click()
            block.locator(".tl-runs[aria-busy=false]").wait_for()
            page.wait_for_timeout(100)
            shown = json.loads(block.locator("pre").first.text_content())
            for call in shown if isinstance(shown, list) else [shown]:
                assert "seconds" in call and call["outputs"][0]["generated_text"] == by_python(pocket, call)
