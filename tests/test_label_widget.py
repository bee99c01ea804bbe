"""`label` in Python: what the page is told, what comes back of it, and what stands where no button can work.

What Chromium makes of the control is in test_label_site.py.
"""

import json
import random
import re
import sys
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest
import textgen
from conftest import ROOT
from textgen.page import label_widget
from textgen.storyworld import Like, Listener, stories
from textgen.storyworld.taste import sigmoid

sys.path.insert(0, str(ROOT / "book/_ext"))
import textgen_book

ATTACK = "<img src=x onerror=alert(1)></script>"
VIEW = "application/vnd.jupyter.widget-view+json"
LISTENER = Listener()


def some_pairs(n):
    """Pairs with a common beginning: a whole story, and the same story cut short."""
    pairs = []
    for i, story in enumerate(stories(n, seed=7)):
        cut = story.text.index(".") + 1
        prompt, rest = story.text[:cut], story.text[cut:]
        both = [rest, rest[: len(rest) // 2]]
        pairs.append((prompt, *both[:: 1 if i % 2 else -1]))
    return pairs


PAIRS = some_pairs(20)


def test_it_is_a_public_name():
    assert textgen.label is label_widget.label and "label" in dir(textgen)


def test_the_page_is_told_what_the_listener_hears(book):
    data = textgen.label(PAIRS).data
    for (prompt, *texts), told in zip(PAIRS, data["pairs"], strict=True):
        assert (told["prompt"], told["texts"]) == (prompt, texts)
        assert told["heard"] == [LISTENER.parts(prompt + text) for text in texts]
        a, b = (LISTENER.score(prompt + text) for text in texts)
        assert told["prefers"] == pytest.approx(sigmoid(a - b), abs=1e-8)
    both = [(prompt + a, prompt + b) for prompt, a, b in PAIRS]
    certain = [max(pair["prefers"], 1 - pair["prefers"]) for pair in data["pairs"]]
    assert sum(certain) / len(certain) == pytest.approx(LISTENER.ceiling(both), abs=1e-8)


def test_equal_worths_are_equal_and_the_taste_may_be_another(book):
    """Summed in another order, the same parts may differ in the last digit."""
    worths = {"a": [0.1, 0.2, 0.3], "b": [0.3, 0.2, 0.1]}
    other = SimpleNamespace(parts=lambda text: dict(zip("xyz", worths[text], strict=True)))
    (pair,) = textgen.label([("", "a", "b")], other, repeats=0).data["pairs"]
    assert sum(worths["a"]) != sum(worths["b"]) and pair["prefers"] == 0.5
    lover = Listener(likes={"an owl": Like(2.0, r"\bowl\b")}, unfinished=0.0, nonsense=0.0)
    (pair,) = textgen.label([("", "Once there was a shy owl", "Once there was a shy fox")], lover, 0).data[
        "pairs"
    ]
    assert pair["heard"] == [{"an owl": 2.0}, {}] and pair["prefers"] == sigmoid(2.0)


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_a_repeat_comes_later_swapped_and_never_next(n):
    for repeats in range(n + 1):
        order = label_widget.questions(n, repeats, random.Random(n))
        first = [pair for pair, again in order if not again]
        again = [pair for pair, again in order if again]
        assert sorted(first) == list(range(n)) and len(order) == n + repeats
        assert len(set(again)) == repeats
        for pair in again:
            assert order.index([pair, 1]) - order.index([pair, 0]) > 1


def test_the_order_is_drawn_from_the_seed(book):
    w, same, other = (textgen.label(PAIRS, seed=seed) for seed in (3, 3, 4))
    assert w.data == same.data and w.data["pairs"] == other.data["pairs"]
    assert w.data["questions"] != other.data["questions"]
    assert len(w.repeated) == 5 and w.repeated == sorted(
        {pair for pair, again in w.data["questions"] if again}
    )
    for seed in range(30):
        order = label_widget.questions(20, 5, random.Random(seed))
        apart = [order.index([pair, 1]) - order.index([pair, 0]) for pair, again in order if again]
        assert min(apart) >= 5  # nobody has the pair before their eyes any more


@pytest.mark.parametrize(
    "arguments, said",
    [
        (([],), r"pairs is empty: give at least one \(prompt, a, b\)\."),
        ((PAIRS[:3],), r"repeats must be from 0 to 3 for 3 pairs, but 5 came\."),
        ((PAIRS[:3], None, -1), r"repeats must be from 0 to 3 for .*, but -1 came\."),
        ((PAIRS[:1], None, 1), r"repeats must be from 0 to 0 for 1 pairs, but 1 came\."),
        (
            ([*PAIRS[:5], ("a", "b")],),
            r"pairs\[5\] must be three strings, \(prompt, a, b\), but \('a', 'b'\) came\.",
        ),
        ((["abc"] * 5,), r"pairs\[0\] must be three strings, .* but 'abc' came\."),
        (([("a", "b", 3)] * 5,), r"pairs\[0\] must be three strings, .* but \('a', 'b', 3\) came\."),
    ],
)
def test_what_does_not_fit_is_one_sentence(book, arguments, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        textgen.label(*arguments)


def test_in_the_book_a_block_and_no_widget(book, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)  # an import would raise
    w = textgen.label([(ATTACK, ATTACK, "b & c"), *PAIRS[:5]])
    bundle = w._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"} and bundle["text/plain"] == "6 pairs of stories"
    html = bundle["text/html"]
    assert html.startswith('<div class="textgen-label">')
    words, _, rest = html.partition('<script type="application/json">')
    script, _, end = rest.partition("</script>")
    assert "<img" not in html and end == "</div>"
    assert json.loads(script) == w.data
    shown = unescape(re.sub("</?b>", "", words))
    for pair in PAIRS[:5]:  # readable as it stands, with no JavaScript
        assert all(text in shown for text in pair)
    assert ATTACK in shown and "With JavaScript you can label" in words
    assert w.labels == [None] * 6 and w.repeats == [None] * 5


def test_in_a_notebook_a_widget_whose_labels_come_back(notebook):
    w = textgen.label([(ATTACK, "a", "b"), *PAIRS[:5]], repeats=3, seed=2)
    bundle, _ = w._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain", VIEW}
    assert "<img" not in bundle["text/html"] and "&lt;img src=x" in bundle["text/html"]
    assert "Run the notebook" in bundle["text/html"] and "Run the notebook" in bundle["text/plain"]
    assert w._widget.data == w.data and w._widget.answers == []
    assert w.labels == [None] * 6 and w.repeats == [None] * 3
    w._widget.answers = [0]  # as the browser's message does: the left one
    first = w.data["questions"][0][0]
    assert w.labels[first] == 0 and w.labels.count(None) == 5
    w._widget.answers = [0] * 9  # always the left one: in a repeat that is b
    assert w.labels == [0] * 6 and w.repeats == [1] * 3
    w._widget.answers = [again for _, again in w.data["questions"]]  # always story a
    assert w.labels == [0] * 6 and w.repeats == [0] * 3
    sides = {0: 1, 3: 1}  # b of the first and the fourth pair, and of no repeat
    w._widget.answers = [
        again ^ (sides.get(pair, 0) if not again else 0) for pair, again in w.data["questions"]
    ]
    assert w.labels == [1, 0, 0, 1, 0, 0] and w.repeats == [0, 0, 0]


def test_the_widget_is_label_js_with_nothing_loaded_from_elsewhere(notebook):
    source = (Path(label_widget.__file__).parent / "label.js").read_text()
    widget = textgen.label(PAIRS)._widget
    assert widget._esm == source + "export default textgenLabel;\n"
    for elsewhere in ("innerHTML", "fetch(", "http", "Storage", "import ", "cookie"):
        assert elsewhere not in source


def test_without_anywidget_the_pairs_and_what_is_missing(notebook, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    label_widget.widget_class.cache_clear()
    w = textgen.label(PAIRS)
    bundle, _ = w._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert "pip install anywidget" in bundle["text/html"] and PAIRS[3][1].strip()[:30] in unescape(
        bundle["text/html"]
    )
    assert w.labels == [None] * 20


def test_the_book_loads_script_and_style_where_a_page_needs_them(book):
    assert {"label.js", "label.css"} <= {path.name for path in textgen_book.CONTROLS if path.exists()}
    for body, needed in (
        (textgen.label(PAIRS).page(), ["label.js", "label.css"]),
        ("<p>textgen-label</p>", []),
    ):
        added = []
        app = SimpleNamespace(add_js_file=lambda name, **_: added.append(name), add_css_file=added.append)  # noqa: B023
        textgen_book.finish_page(app, "page", "", {"body": body, "script_files": []}, None)
        assert added == needed
