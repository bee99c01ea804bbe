"""`chat` in Python: what the page is told, what comes back of it, and what stands where no script can work.

What Chromium makes of the control is in test_chat_site.py.
"""

import json
import re
import sys
from html import unescape
from types import SimpleNamespace

import pytest
import textgen
from conftest import ROOT
from test_dialogue import said, talker
from textgen.page import chat_widget, pack

sys.path.insert(0, str(ROOT / "book/_ext"))
import textgen_book

ATTACK = "<img src=x onerror=alert(1)></script>"
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def pocket():
    return textgen.load("pocket-gpt")


def two():
    """Two small models by name, and the tokenizer of both."""
    (one, tokenizer), (other, _) = talker(), talker(1)
    return {"base": one, "RLHF": other}, tokenizer


def test_it_is_a_public_name():
    assert textgen.chat is chat_widget.chat and {"chat", "reply"} <= set(dir(textgen))
    assert textgen.reply is textgen.dialogue.reply


def test_in_the_book_a_block_and_no_widget(book, pocket, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)  # an import would raise
    model, tokenizer = pocket
    models, settings = {"base": model, "again": model}, {"temperature": 1.3, "seed": 5}
    w = textgen.chat(models, tokenizer, said("Hello", "Good day", ATTACK), [ATTACK], 20, **settings)
    bundle = w._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"} and bundle["text/plain"] == "A chat with base, again"
    html = bundle["text/html"]
    assert html.startswith('<div class="textgen-chat" data-model="pocket-gpt">')
    words, _, rest = html.partition('<script type="application/json">')
    script, _, end = rest.partition("</script>")
    assert "<img" not in html and end == "\n</div>"
    data = json.loads(script)
    answer = textgen.reply(model, tokenizer, said("Hello", "Good day", ATTACK), 20, **settings)
    assert data["talk"]["turns"] == [
        {"question": "Hello", "answers": {"base": "Good day"}},
        {"question": ATTACK, "answers": {"base": answer, "again": answer}},
    ]
    assert data["settings"] == {"temperature": 1.3, "top_k": None, "top_p": None, "seed": 5}
    assert [one["file"] for one in data["models"]] == ["pocket-gpt"] * 2
    assert {one["block_size"] for one in data["models"]} == {256} and data["models"][0]["bytes"] > 1e6
    shown = unescape(re.sub("</?b>", "", words))  # readable as it stands, with no JavaScript
    assert f"base: {answer}" in shown and f"again: {answer}" in shown and "You: Hello" in shown
    assert ATTACK in shown and "With JavaScript you can talk" in words
    assert w.messages == said("Hello", "Good day", *([ATTACK, answer] if answer.strip() else []))


def test_in_the_book_the_model_must_ship(book):
    with pytest.raises(ValueError, match=r"^In the book model must be one that ships with the course: .*\.$"):
        textgen.chat(*talker(), max_new_tokens=5)


def test_in_a_notebook_a_widget_whose_conversation_comes_back(notebook):
    models, tokenizer = two()
    w = textgen.chat(models, tokenizer, said(ATTACK), max_new_tokens=10)
    bundle, _ = w._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain", VIEW}
    assert "<img" not in bundle["text/html"] and "&lt;img src=x" in bundle["text/html"]
    assert "Run the notebook" in bundle["text/html"] and "Run the notebook" in bundle["text/plain"]
    assert w._widget.weights == {name: pack.pack(model, tokenizer) for name, model in models.items()}
    w._widget.talk = {  # as the browser's message does
        "name": "RLHF",
        "turns": [
            {"question": "one", "answers": {"base": "1"}},
            {"question": "two", "answers": {"base": "2", "RLHF": "zwei"}},
            {"question": "three", "answers": {"base": "3", "RLHF": " "}},
        ],
    }
    assert w.messages == said("one", "1", "two", "zwei")
    w._widget.talk |= {"name": "base"}
    assert w.messages == said("one", "1", "two", "2", "three", "3")
    assert textgen.dialogue.chat_ids(w.messages, tokenizer)


def test_without_anywidget_the_conversation_and_what_is_missing(notebook, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    chat_widget.widget_class.cache_clear()
    w = textgen.chat(*talker(), said("What has Ada?"), max_new_tokens=30, temperature=0)
    bundle, _ = w._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"} and "pip install anywidget" in bundle["text/html"]
    answer = textgen.reply(*talker(), said("What has Ada?"), 30, 0)
    assert f"<b>Assistant:</b> {answer}" in bundle["text/html"]
    assert w.messages == said("What has Ada?", answer)


def test_the_script_loads_nothing_from_elsewhere():
    source = chat_widget.script(chat_widget.FILES)
    assert "export default { render };" in source and "\nimport " not in source
    for elsewhere in ("innerHTML", "fetch(", "http", "Storage", "cookie"):
        assert elsewhere not in "".join(
            (chat_widget.HERE / f).read_text() for f in chat_widget.FILES if "/" in f
        )


def test_what_does_not_fit_is_one_sentence(notebook):
    model, tokenizer = talker()
    lstm = textgen.LSTM(textgen.LSTMConfig(len(tokenizer), n_hidden=8))
    for models, settings, words in (
        ({}, {}, r"models must be one model, or up to 4 with a name each, but none came\."),
        (dict.fromkeys("abcde", model), {}, r"models must be one .*, but 'a', 'b', 'c', 'd', 'e' came\."),
        ({" ": model}, {}, r"models must be .* a name each, but ' ' came\."),
        (lstm, {}, r"Assistant: model must be a GPT .*, but LSTM came: train a GPT\."),
        ({"a": model, "b": lstm}, {}, r"b: model must be a GPT .*, but LSTM came: .*\."),
        (model, {"max_new_tokens": 72}, r"max_new_tokens must be from 1 to 71, .* 72 tokens, but 72 came\."),
        (model, {"max_new_tokens": 0}, r"max_new_tokens must be from 1 to 71, .*, but 0 came\."),
        (model, {"prompts": "Hi"}, r"prompts must be a list of texts, but 'Hi' came\."),
        (model, {"prompts": ["Hi", " "]}, r"prompts must be a list of texts, but .* came\."),
        (model, {"temperature": -1}, r"temperature must be .*, not -1\."),
        (model, {"top_k": 0}, r"top_k .* must be .*, not 0\."),
        (model, {"top_p": 2}, r"top_p must be .*, not 2\."),
        (
            model,
            {"messages": said("Hi", "")},
            r"messages\[1\] must have a text as its content, but '' came\.",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{words}$"):
            textgen.chat(models, tokenizer, **({"max_new_tokens": 10} | settings))


def test_a_shared_chat_refuses_a_setting_that_it_does_not_have(tmp_path):
    with pytest.raises(ValueError, match=r"^settings must be some of .*, but top_q came\.$"):
        textgen.share(*two(), tmp_path / "chat.html", chat=True, top_q=0.9)


def test_the_book_publishes_script_style_and_models_where_a_page_needs_them(book, pocket, tmp_path):
    assert "chat.css" in {path.name for path in textgen_book.CONTROLS if path.exists()}
    body = chat_widget.block(textgen.chat(*pocket, prompts=["Hi"]).data)
    for one, needed in ((body, ["chat.js", "chat.css"]), ("<p>textgen-chat</p>", [])):
        added = []
        app = SimpleNamespace(
            outdir=tmp_path,
            add_js_file=lambda name, **_: added.append(name),  # noqa: B023
            add_css_file=added.append,
        )
        textgen_book.finish_page(app, "page", "", {"body": one, "script_files": []}, None)
        assert added == needed
    names = {path.relative_to(tmp_path / "_static").as_posix() for path in tmp_path.rglob("*.js")}
    assert names == {"live.js", "chat.js", "live/pocket-gpt.js"}
