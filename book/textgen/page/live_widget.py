"""The sampling controls: `live` lets a reader play with a model, in a notebook and in the published book.

Both run the same JavaScript, joined by `script`: an anywidget there, a script here. A model that gpt.js can run is
handed to the browser; any other stays in Python, where `Live` answers what the browser asks.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path

import torch
from torch import Tensor

from .. import inputs
from ..gpt import GPT
from ..models import LanguageModel
from ..sample import MOST, generate, plain
from ..tokenizer import Tokenizer
from .explore_widget import describe, in_book
from .pack import misfit, pack, shipped_name

HERE = Path(__file__).parent
MODEL = ("gpt.js", "sample.js", "simd.js")
PARTS = ("engines", "dom", "settings", "run", "panel", "heads", "call", "player", "start")
CONTROLS = tuple(f"live/{part}.js" for part in PARTS)
SESSIONS = 2  # KV caches that are kept, one for each of two settings side by side


def live(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str = "",
    prompts: Mapping[str, str] | None = None,
    max_new_tokens: int = 60,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    compare: Mapping | None = None,
    in_browser: bool | None = None,
) -> "Live":
    """Show the model with all controls of sampling, and take its text back: `w = live(...)`, later `w.text`.

    The settings are those of `generate`, and from them the controls write the same text. `prompts` is a menu, a name
    for each prompt; `compare`, such as `{"temperature": 1.5}`, puts a second setting beside the first. A GPT with a
    byte-level tokenizer and up to 5 million weights runs in the browser, any other model in Python; `in_browser`
    decides otherwise. Raises ValueError for what `generate` refuses, for a model that cannot run in a browser but
    should, and in a book build for a model that does not ship with the course.
    """
    reason = misfit(model, tokenizer)
    if (in_browser or in_book()) and reason:
        raise ValueError(f"{reason}, or leave in_browser out.")
    settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    data = controls_data(model, tokenizer, prompt, prompts, max_new_tokens, compare, **settings)
    return Live(model, tokenizer, data, not reason if in_browser is None else in_browser)


def controls_data(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt="",
    prompts=None,
    max_new_tokens=60,
    compare=None,
    **settings,
) -> dict:
    """Return what the controls start from: settings, the text that each writes, and the sizes of the model."""
    usual = {"temperature": 1.0, "top_k": None, "top_p": None, "seed": 0}
    for name, one in (("prompts", prompts), ("compare", compare)):
        if not isinstance(one, Mapping | None):
            raise TypeError(f"{name} must be a dictionary or None, but {inputs.came(one)} came.")
    inputs.well_formed("prompt", prompt)
    for name, one in (prompts or {}).items():
        inputs.well_formed("prompts", name)
        inputs.well_formed("prompts", one)
    max_new_tokens = inputs.whole("max_new_tokens", max_new_tokens, 1, MOST)
    for name, given in (("settings", settings), ("compare", compare or {})):
        if unknown := set(given) - set(usual):
            came = ", ".join(map(str, unknown))
            raise ValueError(f"{name} must hold {', '.join(usual)} or some of them, but {came} came.")
    both = [plain(**usual | settings)] + ([plain(**usual | settings | compare)] if compare else [])
    data = {
        "prompt": prompt,
        "prompts": dict(prompts or {}),
        "max_new_tokens": max_new_tokens,
        "settings": both,
    }
    data["texts"] = [generate(model, tokenizer, prompt, max_new_tokens, **one) for one in both]
    data |= {"parameters": model.num_parameters(), "block_size": model.max_positions}
    if isinstance(model, GPT):
        data |= {"n_layer": model.config.n_layer, "n_head": model.config.n_head}
    return data


@cache
def widget_class() -> type:
    """Return the anywidget; made late, because the pages of the book need none."""
    import anywidget
    import traitlets

    class Player(anywidget.AnyWidget):
        _esm = script()
        _css = (HERE / "live.css").read_text(encoding="utf-8")
        data = traitlets.Dict().tag(sync=True)
        weights = traitlets.Bytes().tag(sync=True)
        text = traitlets.Unicode().tag(sync=True)

    return Player


def script(files: tuple[str, ...] = MODEL + CONTROLS) -> str:
    """Return these files as one ES module, by default all that the controls need; `MODEL` alone writes text."""
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in files)


def classic_script(files: tuple[str, ...] = MODEL + CONTROLS) -> str:
    """Return `script` as a classic script, which runs from file:// too; a browser refuses modules there."""
    module = re.sub(r"^export (default .*)?", "", script(files), flags=re.MULTILINE)
    return f'(() => {{\n"use strict";\n{module}}})();\n'


def written(data: dict) -> str:
    """Return a paragraph of HTML for each setting: the prompt in bold, what follows it, and the setting."""
    start = data["prompt"]
    return "".join(
        f"<p><b>{escape(start)}</b>{escape(text[len(start) :])}<br><small>{escape(describe(setting))}</small></p>"
        for text, setting in zip(data["texts"], data["settings"], strict=True)
    )


def block(data: dict) -> str:
    """Return the block from which start.js makes the controls; without JavaScript it reads as text."""
    name = data.get("model", "")
    return f"""<div class="textgen-live" data-model="{name}">
{written(data)}
<p>This is what {name or "the model"} wrote when the page was made. With JavaScript it runs here, in your browser, with
controls.</p>
{in_script(data)}
</div>"""


def in_script(data: dict) -> str:
    """Return a block's data as a script element that nothing in it can end."""
    return f'<script type="application/json">{json.dumps(data).replace("<", chr(92) + "u003c")}</script>'


class Live:
    """What `live` returns: displayed by a notebook; `text` is what the controls wrote last."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, data: dict, in_browser: bool):
        """Take what `live` prepares; makes the widget, or in a book build the page's block."""
        self.model, self.tokenizer, self.data = model, tokenizer, data
        self._widget, self._states = None, {}
        if in_book():
            packed = pack(model, tokenizer)
            self.data |= {"model": shipped_name(packed), "bytes": len(packed) * 4 // 3}
            return
        try:
            self._widget = widget_class()(data=data, text=data["texts"][0])
        except ImportError:
            return
        if in_browser:
            self._widget.weights = pack(model, tokenizer)
        else:
            self._widget.on_msg(self._answer)

    @property
    def text(self) -> str:
        """The prompt and what was written last, of the first setting."""
        return self._widget.text if self._widget else self.data["texts"][0]

    def _repr_mimebundle_(self, include=None, exclude=None):
        """Hand Jupyter the widget, with the text for where none can be, or the page's block."""
        if in_book():
            return {"text/html": self.page(), "text/plain": self.text}
        note = "Run the notebook to play with the model yourself."
        if self._widget is None:
            note = "The controls need anywidget (pip install anywidget)."
        bundle, metadata = self._widget._repr_mimebundle_() if self._widget else ({}, {})
        html = f"<div>{written(self.data)}<p>{note}</p></div>"
        return bundle | {"text/html": html, "text/plain": f"{self.text}\n({note})"}, metadata

    def page(self) -> str:
        """Return the block of a page of the book."""
        return block(self.data)

    def _answer(self, widget, question: dict, buffers: list) -> None:
        """Answer InPython: the method `question["ask"]`, its result, or the one sentence of what is wrong."""
        answers = {"open": self._open, "encode": self._encode, "decode": self._decode}
        answers |= {"next": self._next, "look": self._look}
        self.model.eval()
        reply, numbers = {"id": question["id"]}, []
        try:
            result = answers[question["ask"]](*question["with"])
            if isinstance(result, list):
                numbers = [t.detach().float().cpu().contiguous().numpy().tobytes() for t in result]
            else:
                reply |= result
        except Exception as error:  # noqa: BLE001 (nobody sees what a callback raises)
            reply["error"] = str(error)
        widget.send(reply, numbers)

    def _open(self) -> dict:
        ids = range(self.model.config.vocab_size)  # more than the tokenizer has may be, with no text
        pieces = [self.tokenizer.piece(id) for id in ids]
        return {"pieces": pieces, "end": self.tokenizer.bos}

    def _encode(self, text: str) -> dict:
        return {"ids": self.tokenizer.encode(text)}

    def _decode(self, ids: list[int]) -> dict:
        return {"text": self.tokenizer.decode(ids)}

    @torch.inference_mode()
    def _next(self, session: str, ids: list[int]) -> list[Tensor]:
        """Read the `ids` that are new since the session's last question, and return the next logits (V,).

        Only the newest sessions keep their state; any other reads all its ids again.
        """
        read, state = self._states.pop(session, ([], None))
        if len(read) >= len(ids) or ids[: len(read)] != read:
            read, state = [], None
        logits, state = self.model.next(self._row(ids[len(read) :]), state)
        self._states[session] = (ids, state)  # now the newest
        for oldest in list(self._states)[:-SESSIONS]:
            del self._states[oldest]
        return [logits[0]]

    @torch.inference_mode()
    def _look(self, ids: list[int]) -> list[Tensor]:
        """Return the logits (V,) after the last of `ids`, and of a GPT its attention (n_layer, n_head, T)."""
        if not isinstance(self.model, GPT):
            return [self.model(self._row(ids))[0][0, -1]]
        logits, _, attention = self.model(self._row(ids), return_attention=True)
        return [logits[0, -1], torch.stack([weights[0, :, -1] for weights in attention])]

    def _row(self, ids: list[int]) -> Tensor:
        return torch.tensor([ids], device=next(self.model.parameters()).device)
