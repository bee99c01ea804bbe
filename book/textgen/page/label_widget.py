"""The labelling control: with `label` the reader is the human of RLHF, in a notebook and in the published book."""

import json
import random
from functools import cache
from html import escape
from importlib.resources import files
from reprlib import repr as short

from ..storyworld.taste import Listener, sigmoid
from .explore_widget import in_book


def label(pairs: list[tuple], listener: Listener | None = None, repeats: int = 5, seed: int = 0) -> "Label":
    """Ask the reader which of two stories is better, and take the labels back: `w = label(...)`, later `w.labels`.

    Each pair is (prompt, a, b), with two ways to go on after the prompt. When a pair first comes, a stands on the left,
    so let chance decide which of the two is a. `repeats` of them come again later with the sides swapped; `seed` draws
    which, and the order. At the end the reader sees how far they agree with the listener's taste, and with themselves.
    Raises ValueError without pairs, for a pair that is not three strings, and for more repeats than pairs.
    """
    pairs, listener, judged = list(pairs), listener or Listener(), []
    if not pairs:
        raise ValueError("pairs is empty: give at least one (prompt, a, b).")
    most = len(pairs) if len(pairs) > 1 else 0  # alone, a pair would follow itself
    if not 0 <= repeats <= most:
        raise ValueError(f"repeats must be from 0 to {most} for {len(pairs)} pairs, but {repeats} came.")
    for i, pair in enumerate(pairs):
        if not isinstance(pair, list | tuple) or [isinstance(text, str) for text in pair] != [True] * 3:
            raise ValueError(f"pairs[{i}] must be three strings, (prompt, a, b), but {short(pair)} came.")
        prompt, *texts = pair
        heard = [listener.parts(prompt + text) for text in texts]
        margin = round(sum(heard[0].values()) - sum(heard[1].values()), 9)  # so that equal worths are equal
        judged.append({"prompt": prompt, "texts": texts, "heard": heard, "prefers": sigmoid(margin)})
    return Label({"pairs": judged, "questions": questions(len(pairs), repeats, random.Random(seed))})


def questions(pairs: int, repeats: int, rng: random.Random) -> list[list[int]]:
    """Return the questions in order, each the number of a pair, and 1 where it comes again with its sides swapped."""
    shown = [*range(pairs), *rng.sample(range(pairs), repeats)]

    def closest(order: list[int]) -> int:  # how far a repeat at least stands from where its pair first came
        back = order[::-1].index
        return min((len(order) - 1 - back(pair) - order.index(pair) for pair in shown[pairs:]), default=0)

    order = max((rng.sample(shown, len(shown)) for _ in range(200)), key=closest)
    return [[pair, int(pair in order[:i])] for i, pair in enumerate(order)]


@cache
def widget_class() -> type:
    """Return the anywidget; made late, because the pages of the book need none."""
    import anywidget
    import traitlets

    class Labelling(anywidget.AnyWidget):
        _esm = (files(__package__) / "label.js").read_text("utf-8") + "export default textgenLabel;\n"
        _css = (files(__package__) / "label.css").read_text("utf-8")
        data = traitlets.Dict().tag(sync=True)
        answers = traitlets.List().tag(sync=True)  # question by question the side chosen, 0 or 1

    return Labelling


class Label:
    """What `label` returns: displayed by a notebook; `labels` and `repeats` are what the reader chose so far."""

    def __init__(self, data: dict):
        self.data = data
        self.repeated = sorted(pair for pair, again in data["questions"] if again)
        try:
            self._widget = None if in_book() else widget_class()(data=data)
        except ImportError:
            self._widget = None

    @property
    def labels(self) -> list[int | None]:
        """The label of each pair in the order given: 0 where a is better, 1 where b is, None where not answered."""
        return self._chosen(range(len(self.data["pairs"])), 0)

    @property
    def repeats(self) -> list[int | None]:
        """The second label of each pair that came again; their numbers are in `repeated`."""
        return self._chosen(self.repeated, 1)

    def _chosen(self, pairs, again: int) -> list[int | None]:
        answered = zip(self.data["questions"], self._widget.answers if self._widget else [])
        given = {(pair, swapped): side ^ swapped for (pair, swapped), side in answered}
        return [given.get((pair, again)) for pair in pairs]

    def _repr_mimebundle_(self, include=None, exclude=None):
        """Hand Jupyter the widget, with the pairs as text for where none can be, or the page's block."""
        if in_book():
            return {"text/html": self.page(), "text/plain": f"{len(self.labels)} pairs of stories"}
        note, bundle, metadata = "The buttons need anywidget (pip install anywidget).", {}, {}
        if self._widget:
            note = "Run the notebook to label these pairs yourself."
            bundle, metadata = self._widget._repr_mimebundle_()
        return bundle | {"text/html": self._as_text(note), "text/plain": note}, metadata

    def page(self) -> str:
        """Return the block that label.js makes into the control in a page; without it the pairs are text."""
        data = json.dumps(self.data).replace("<", chr(92) + "u003c")
        html = self._as_text("With JavaScript you can label these pairs here.")
        return f'<div class="textgen-label">{html}\n<script type="application/json">{data}</script></div>'

    def _as_text(self, note: str) -> str:
        row = "<li><p>{}</p>\n<p><b>A:</b> {}</p>\n<p><b>B:</b> {}</p></li>\n".format
        rows = (row(*map(escape, (pair["prompt"], *pair["texts"]))) for pair in self.data["pairs"])
        return f"<ol>\n{''.join(rows)}</ol>\n<p>{note}</p>"
