"""The chat in Chromium, from a file and with no network: answer by answer the text of `reply`, by hand and by keyboard."""

import base64

import pytest
import textgen
from conftest import PATIENCE, ROOT, need
from test_chat_widget import ATTACK, textgen_book, two
from test_dialogue import QUESTIONS, said, talk, talker
from textgen.page import chat_widget, explore_widget

PAGE = '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>t</title><link rel="stylesheet" href="{css}"><main>{block}</main><script src="_static/chat.js" defer></script>'
SETTINGS = {"max_new_tokens": 24, "temperature": 0.7, "top_k": 100, "seed": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pages that `share` wrote: one model, and two with a question that both have answered."""
    root = tmp_path_factory.mktemp("chat")
    prompts = [QUESTIONS[0], ATTACK]
    textgen.share(*talker(), root / "one.html", chat=True, prompts=prompts, **SETTINGS)
    textgen.share(*two(), root / "two.html", chat=True, messages=said(QUESTIONS[1]), **SETTINGS)
    return root


@pytest.fixture
def open_page(browser, folder):
    """A function that opens a page with the network off; at the end nothing on it may have raised or asked."""
    pages = []

    def open_one(name="one", width=1000, path=None, motion="reduce", **context):
        size = {"width": width, "height": 900}
        page = browser.new_context(viewport=size, offline=True, reduced_motion=motion, **context).new_page()
        page.set_default_timeout(PATIENCE)
        page.troubles = []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("dialog", lambda dialog: (page.troubles.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda one: page.troubles.append(one.url) if "http" in one.url else None)
        page.goto((path or folder / f"{name}.html").as_uri())
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


def settled(page):
    page.locator(".ch-log[aria-busy=false]").wait_for()


def ask(page, text):
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")
    settled(page)


def answers(page):
    return page.locator(".ch-answers .ch-said p:last-child").all_text_contents()


def questions(page):
    return page.locator(".ch-you .ch-text").all_text_contents()


def by_python(pair, messages, **settings):
    return textgen.reply(*pair, messages, **(SETTINGS | settings))


def focused(page):
    return page.evaluate("document.activeElement.textContent || document.activeElement.tagName")


def test_a_conversation_is_that_of_reply_and_says_what_it_has_dropped(page):
    asked = [*QUESTIONS, QUESTIONS[0]]
    messages = talk(asked, lambda so_far: by_python(talker(), so_far))
    assert all(message["content"].strip() for message in messages)
    whole = len(textgen.dialogue.chat_ids(messages, talker()[1]))
    assert whole > 72  # more than the model sees
    for i, question in enumerate(asked):
        ask(page, question)
        assert answers(page) == [message["content"] for message in messages[1 : 2 * i + 2 : 2]]
    note = page.locator(".ch-log + p").text_content()
    unseen = page.locator(".ch-unseen").count()
    assert (
        2 <= unseen <= 4
        and note == f"The model no longer sees the first {unseen} exchanges: its window holds 72 tokens."
    )
    assert page.locator(".ch-mark:visible").count() == unseen
    assert page.locator(".ch-mark").first.inner_text() == "Out of the window, no longer seen"
    button(page, "Start over").click()
    assert page.locator(".ch-log + p").text_content() == "" and questions(page) == []
    ask(page, asked[0])
    assert answers(page) == [messages[1]["content"]]  # the whole can be repeated


def test_settings_are_those_of_reply(page):
    page.get_by_text("Sampling settings").click()
    temperature = page.get_by_role("slider", name="temperature")
    for _ in range(6):
        temperature.press("ArrowRight")
    page.get_by_role("slider", name="top-p").press("ArrowLeft")
    page.get_by_label("seed", exact=True).fill("41")
    ask(page, QUESTIONS[2])
    assert answers(page) == [by_python(talker(), said(QUESTIONS[2]), temperature=1.0, top_p=0.99, seed=41)]


def test_it_streams_word_by_word_and_announces_only_the_end(open_page):
    page = open_page(motion="no-preference")
    page.evaluate("""() => {
      window.seen = [];
      window.loud = [];
      new MutationObserver((all) => {
        for (const { addedNodes, target } of all) {
          const [node, element] = [addedNodes[0], target.nodeType === 1 ? target : target.parentElement];
          if (!node) continue;
          if (element.closest("[aria-hidden=true]")) window.seen.push(node.textContent);
          else window.loud.push(node.textContent);
        }
      }).observe(document.querySelector(".ch-log"), { childList: true, subtree: true });
    }""")
    ask(page, QUESTIONS[1])
    (answer,) = answers(page)
    seen = page.evaluate("window.seen")
    assert len(seen) >= 5 and all(answer.startswith(words) for words in seen)
    assert [len(words.split()) for words in seen] == list(range(1, len(seen) + 1))
    assert page.evaluate("window.loud.slice(1)") == [answer]  # after the question
    log = page.get_by_role("log", name="Conversation")
    assert log.get_attribute("aria-live") == "polite" and log.locator("[aria-hidden]").count() == 0


SEND_AND_THEN = """async (name) => {
  const find = (words) => [...document.querySelectorAll("button")].find((one) => one.textContent === words);
  document.querySelector("textarea").value = "Where is the boat?";
  find("Send").click();
  while ((document.querySelector(".ch-answers [aria-hidden]")?.textContent ?? "…") === "…") {
    await new Promise((done) => setTimeout(done, 1));
  }
  find(name).focus();
  find(name).click();
}"""


def test_stop_keeps_what_was_written_and_the_conversation_goes_on(open_page):
    page = open_page(motion="no-preference")
    assert not button(page, "Stop").is_visible()
    page.evaluate(SEND_AND_THEN, "Stop")
    settled(page)
    assert (
        page.evaluate("document.activeElement.tagName") == "TEXTAREA"
        and not button(page, "Stop").is_visible()
    )
    page.locator(".ch-answers").wait_for()
    page.wait_for_timeout(100)
    (part,) = answers(page)
    whole = by_python(talker(), said("Where is the boat?"))
    assert part and part != whole and whole.startswith(part)
    ask(page, QUESTIONS[0])
    assert answers(page)[1] == by_python(talker(), said("Where is the boat?", part, QUESTIONS[0]))
    page.evaluate(SEND_AND_THEN, "Edit last message")
    page.wait_for_timeout(100)
    assert page.get_by_label("Your message").input_value() == "Where is the boat?" and len(answers(page)) == 2
    page.evaluate(SEND_AND_THEN, "Start over")
    page.wait_for_timeout(100)
    assert answers(page) == [] and page.locator("[role=alert]").text_content() == ""
    ask(page, "Where is the boat?")
    assert answers(page) == [whole]


def test_edit_takes_the_exchange_away_and_loses_nothing(page):
    for name in ("Edit last message", "Start over"):
        assert button(page, name).is_disabled()
    for question in QUESTIONS[:2]:
        ask(page, question)
    first = answers(page)[0]
    page.get_by_label("Your message").fill("and more")
    button(page, "Edit last message").click()
    box = page.get_by_label("Your message")
    assert box.input_value() == f"{QUESTIONS[1]}\nand more" and questions(page) == [QUESTIONS[0]]
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    ask(page, QUESTIONS[3])
    assert answers(page)[1] == by_python(talker(), said(QUESTIONS[0], first, QUESTIONS[3]))
    page.get_by_label("Your message").fill("word " * 80)
    page.keyboard.press("Enter")
    settled(page)
    alert = page.get_by_role("alert").text_content()
    assert alert.startswith("Your message is too long: it takes ") and alert.endswith("Please shorten it.")
    assert box.input_value() == "word " * 80 and len(questions(page)) == 2  # nothing is lost


def test_side_by_side_each_keeps_its_own_conversation(open_page):
    page, (models, tokenizer) = open_page("two"), two()
    pairs = {name: (model, tokenizer) for name, model in models.items()}
    own = {name: said(QUESTIONS[1], by_python(pair, said(QUESTIONS[1]))) for name, pair in pairs.items()}
    assert answers(page) == [messages[1]["content"] for messages in own.values()]  # what the build wrote
    assert page.get_by_label("Side by side").is_checked() and len({*answers(page)}) == 2
    ask(page, QUESTIONS[2])
    for name, pair in pairs.items():
        own[name] += said(QUESTIONS[2])
        own[name] += [{"role": "assistant", "content": by_python(pair, own[name])}]
    assert answers(page)[2:] == [messages[3]["content"] for messages in own.values()]
    left, right = (page.locator(".ch-exchange").last.locator(".ch-answers .ch-said").nth(i) for i in (0, 1))
    assert left.bounding_box()["x"] < right.bounding_box()["x"]
    page.get_by_label("RLHF").check()
    ask(page, QUESTIONS[0])
    assert answers(page)[4:] == [by_python(pairs["RLHF"], own["RLHF"] + said(QUESTIONS[0]))]
    assert page.locator(".ch-exchange").last.locator(".ch-name").all_text_contents() == ["You", "RLHF"]


def test_everything_by_keyboard(page):
    prompt = button(page, QUESTIONS[0])
    prompt.focus()
    page.keyboard.press("Enter")
    settled(page)
    assert questions(page) == [QUESTIONS[0]] and not prompt.is_visible()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "log"
    page.keyboard.press("Tab")
    page.keyboard.type("Where is")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("it?")
    assert len(questions(page)) == 1
    page.keyboard.press("Tab")
    assert focused(page) == "Send"
    page.keyboard.press("Space")
    settled(page)
    assert questions(page)[1] == "Where is\nit?" and focused(page) == "Send"
    for name in ("Edit last message", "Start over", "Sampling settings"):
        page.keyboard.press("Tab")
        assert focused(page) == name
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid"
    page.get_by_label("Your message").fill(" \n")
    page.get_by_label("Your message").press("Enter")
    assert len(questions(page)) == 2


def test_what_is_typed_and_written_is_text(page):
    button(page, ATTACK).click()
    settled(page)
    ask(page, "<b>bold</b> 🦊 שלום")
    assert questions(page) == [ATTACK, "<b>bold</b> 🦊 שלום"]
    assert page.locator(".textgen-chat :is(img, .ch-log b)").count() == 0
    messages = said(ATTACK, answers(page)[0], questions(page)[1])
    assert answers(page)[1] == by_python(talker(), messages)


FIFTY = """async () => {
  const [box, log] = [document.querySelector("textarea"), document.querySelector(".ch-log")];
  for (let i = 0; i < 25; i++) {
    box.value = "Where is the boat?";
    box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    while (log.ariaBusy === "true") await new Promise((done) => setTimeout(done, 1));
  }
}"""


def test_fifty_turns_keep_no_memory(page):
    wire = page.context.new_cdp_session(page)

    def memory():
        wire.send("HeapProfiler.collectGarbage")
        heap = wire.send("Runtime.getHeapUsage")
        return heap["usedSize"] + heap.get("backingStorageSize", 0)

    page.evaluate(FIFTY)
    before = memory()
    page.evaluate(FIFTY)
    assert memory() - before < 500_000
    assert len(questions(page)) == 50 and page.locator("[role=alert]").text_content() == ""
    messages = []
    for question, answer in zip(questions(page), answers(page), strict=True):
        if not answer.startswith("It wrote nothing"):
            messages += said(question, answer)
    assert messages[-1]["content"] == by_python(talker(), messages[:-1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_and_fits_a_telephone(scheme, open_page):
    axe = ROOT / "node_modules/axe-core/axe.min.js"
    if not axe.exists():
        need("axe-core is not in node_modules: run `npm ci --ignore-scripts` first.")
    page = open_page("two", color_scheme=scheme)
    page.evaluate(axe.read_text())
    ask(page, "x" * 40)
    page.get_by_text("Sampling settings").click()
    colours = (
        "(node) => getComputedStyle(node).backgroundColor.match(/\\d+/g).reduce((a, b) => a + Number(b), 0)"
    )
    for part in ("html", ".textgen-chat", ".ch-log"):
        assert (page.locator(part).evaluate(colours) > 384) == (scheme == "light")
    for width in (1000, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        found = page.evaluate("axe.run()")["violations"] if width > 320 else []
        assert not [(rule["id"], node["html"][:150]) for rule in found for node in rule["nodes"]]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(media="print")
    assert page.locator("button:visible, textarea:visible, input:visible").count() == 0
    assert page.locator(".ch-exchange").last.is_visible()


def test_without_javascript_it_is_a_page_to_read(open_page):
    page, (models, tokenizer) = open_page("two", java_script_enabled=False), two()
    words = page.locator(".textgen-chat").inner_text()
    for name, model in models.items():
        assert f"{name}: {by_python((model, tokenizer), said(QUESTIONS[1]))}" in words
    assert (
        f"You: {QUESTIONS[1]}" in words and "With JavaScript you can talk" in words and "crc32" not in words
    )


def test_in_the_book_a_model_arrives_when_it_is_asked(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv(explore_widget.BOOK_BUILD, "1")
    model, tokenizer = textgen.load("pocket-gpt")
    w = textgen.chat({"a": model, "b": model}, tokenizer, max_new_tokens=20, temperature=1.5)
    textgen_book.publish_models(tmp_path / "_static", {"pocket-gpt"})
    css = (chat_widget.HERE / "chat.css").as_uri()
    (tmp_path / "index.html").write_text(PAGE.format(css=css, block=chat_widget.block(w.data)))
    script = tmp_path / "_static/live/pocket-gpt.js"
    good = script.read_text()
    script.unlink()
    page = open_page(path=tmp_path / "index.html")
    page.get_by_label("Side by side").check()
    ask(page, "Hello")
    assert page.get_by_role("alert").text_content().startswith("The model did not arrive (pocket-gpt.js)")
    assert page.get_by_label("Your message").input_value() == "Hello" and questions(page) == []
    script.write_text(good)
    ask(page, "Ada had a red kite.")
    want = textgen.reply(model, tokenizer, said("Ada had a red kite."), 20, 1.5)
    assert (
        want.strip() and answers(page) == [want, want] and page.locator("[role=alert]").text_content() == ""
    )


NOTEBOOK = """async ([module, data, talk, weights]) => {
  const { default: widget } = await import(URL.createObjectURL(new Blob([module], { type: "text/javascript" })));
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const packed = Object.fromEntries(Object.entries(weights).map(([name, text]) => [name, bytes(text)]));
  const state = { data, talk, weights: packed };
  window.state = state;
  const model = { get: (name) => state[name], set: (name, value) => (state[name] = value), save_changes() {} };
  widget.render({ el: document.querySelector("main"), model });
}"""


def test_in_a_notebook_the_conversation_comes_back_to_python(open_page, tmp_path, monkeypatch):
    monkeypatch.delenv(explore_widget.BOOK_BUILD, raising=False)
    models, tokenizer = two()
    w = textgen.chat(models, tokenizer, **SETTINGS)
    (tmp_path / "blank.html").write_text("")
    page = open_page(path=tmp_path / "blank.html")
    weights = {name: base64.b64encode(packed).decode() for name, packed in w._widget.weights.items()}

    def show():
        page.set_content('<!doctype html><html lang="en"><title>t</title><main></main>')
        page.evaluate(NOTEBOOK, [w._widget._esm, w.data, w._widget.talk, weights])

    show()
    page.get_by_label("RLHF").check()
    ask(page, QUESTIONS[0])
    w._widget.talk = page.evaluate("window.state.talk")
    answer = by_python((models["RLHF"], tokenizer), said(QUESTIONS[0]))
    assert w.messages == said(QUESTIONS[0], answer)
    show()  # again, in another cell
    assert answers(page) == [answer] and page.get_by_label("RLHF").is_checked()
    ask(page, QUESTIONS[1])
    w._widget.talk = page.evaluate("window.state.talk")
    assert w.messages[3]["content"] == by_python((models["RLHF"], tokenizer), w.messages[:3])
