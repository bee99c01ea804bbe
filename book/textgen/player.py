"""The sampling controls: `live` lets a reader play with a model, in a notebook and in the published book.

Both run gpt.js, fast.js and live.js, joined: an anywidget there, a script here. A model that gpt.js can run is handed to the
browser; any other stays in Python, where `Live` answers what the browser asks.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from html import escape
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from . import hub
from .controls import describe, in_book
from .gpt import GPT
from .models import LanguageModel
from .sample import generate
from .tokenizer import Tokenizer

HERE = Path(__file__).parent
LARGEST = 5_000_000  # weights; a browser would keep its reader waiting for more


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
    settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    if compare and (unknown := set(compare) - set(settings)):
        came = ", ".join(map(str, unknown))
        raise ValueError(f"compare must hold {', '.join(settings)} or some of them, but {came} came.")
    both = [settings] + ([settings | compare] if compare else [])
    fits = fits_browser(model, tokenizer)
    if (in_browser or in_book()) and not fits:
        raise ValueError(
            f"A browser runs a GPT with byte-level BPE, no window and at most {LARGEST:,} weights, not this "
            f"{type(model).__name__} of {model.num_parameters():,}; leave in_browser out."
        )
    data = {
        "prompt": prompt,
        "prompts": dict(prompts or {}),
        "max_new_tokens": max_new_tokens,
        "settings": both,
    }
    data["texts"] = [generate(model, tokenizer, prompt, max_new_tokens, **one) for one in both]
    data |= {"parameters": model.num_parameters(), "block_size": model.positions}
    if isinstance(model, GPT):
        data |= {"n_layer": model.config.n_layer, "n_head": model.config.n_head}
    return Live(model, tokenizer, data, fits if in_browser is None else in_browser)


def fits_browser(model: LanguageModel, tokenizer: Tokenizer) -> bool:
    """Tell whether gpt.js can run this model: dense, not large, and its tokenizer as in GPT-2."""
    if not isinstance(model, GPT) or model.config.window or model.num_parameters() > LARGEST:
        return False
    parts = json.loads(tokenizer.backend.to_str())
    before = parts["pre_tokenizer"] or {}
    plain = parts["normalizer"] is None and before.get("type") == "ByteLevel" and before["use_regex"]
    return plain and not before["add_prefix_space"] and parts["model"]["type"] == "BPE"


def pack(model: GPT, tokenizer: Tokenizer) -> bytes:
    """Return the one file that gpt.js reads: safetensors with settings and tokenizer in its header.

    A matrix on the int8 grid (`pretrain.round_to_int8`) takes a quarter of its size, without loss: its largest
    number, divided by 127, is the row's scale. Any other stays as it is.
    """
    tensors = {}
    for name, tensor in model.state_dict().items():
        tensors[name] = tensor = tensor.detach().float().cpu().contiguous()
        if tensor.dim() == 2:
            scale = tensor.abs().amax(1, keepdim=True).clamp_min(1e-30) / 127
            whole = (tensor / scale).round()
            if torch.equal(whole * scale, tensor):
                tensors |= {name: whole.to(torch.int8), f"{name}.scale": scale[:, 0].contiguous()}
    parts = {"config": asdict(model.config), "tokenizer": json.loads(tokenizer.backend.to_str())}
    header = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return save(tensors, {"gpt": header})  # one entry: safetensors would write several in any order


def shipped_name(model: GPT) -> str:
    """Return the name under which the course ships these weights; raises ValueError where it does not."""
    mine = model.state_dict()
    for folder in sorted(path for path in hub.WEIGHTS.iterdir() if path.is_dir()):
        with suppress(ValueError):  # not every model that ships is a GPT
            theirs = GPT.from_pretrained(folder).state_dict()
            if mine.keys() == theirs.keys() and all(torch.equal(mine[k].cpu(), theirs[k]) for k in mine):
                return folder.name
    raise ValueError('In the book model must be one that ships with the course: load("pocket-gpt").')


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


def script() -> str:
    """Return gpt.js, fast.js and live.js as one ES module."""
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("gpt.js", "fast.js", "live.js"))


class Live:
    """What `live` returns: displayed by a notebook; `text` is what the controls wrote last."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, data: dict, in_browser: bool):
        """Take what `live` prepares; makes the widget, or in a book build the page's block."""
        self.model, self.tokenizer, self.data = model, tokenizer, data
        self._widget, self._states = None, {}
        if in_book():
            self.data["model"] = shipped_name(model)
            self.data["bytes"] = len(pack(model, tokenizer)) * 4 // 3
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
        html = f"<div>{self._written()}<p>{note}</p></div>"
        return bundle | {"text/html": html, "text/plain": f"{self.text}\n({note})"}, metadata

    def _written(self) -> str:
        """Return a paragraph of HTML for each setting: the prompt in bold, what follows it, and the setting."""
        start = self.data["prompt"]
        return "".join(
            f"<p><b>{escape(start)}</b>{escape(text[len(start) :])}<br><small>{escape(describe(setting))}</small></p>"
            for text, setting in zip(self.data["texts"], self.data["settings"], strict=True)
        )

    def page(self) -> str:
        """Return the block from which live.js makes the controls; without JavaScript it reads as text."""
        model = self.data["model"]
        return f"""<div class="textgen-live" data-model="{model}">
{self._written()}
<p>This is what {model} wrote when the page was built. With JavaScript it runs here, in your browser, with controls.</p>
<script type="application/json">{json.dumps(self.data).replace("<", chr(92) + "u003c")}</script>
</div>"""

    def _answer(self, widget, question: dict, buffers: list) -> None:
        """Answer live.js: the method `question["ask"]`, its result, or the one sentence of what is wrong."""
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
        pieces = [self.tokenizer.piece(id) for id in range(len(self.tokenizer))]
        return {"pieces": pieces, "end": self.tokenizer.bos}

    def _encode(self, text: str) -> dict:
        return {"ids": self.tokenizer.encode(text)}

    def _decode(self, ids: list[int]) -> dict:
        return {"text": self.tokenizer.decode(ids)}

    @torch.inference_mode()
    def _next(self, session: str, ids: list[int]) -> list[Tensor]:
        """Read `ids`, those that are new since the session's last question, and return the next logits (V,)."""
        read, state = self._states.get(session, ([], None))
        if len(read) >= len(ids) or ids[: len(read)] != read:
            read, state = [], None
        logits, state = self.model.next(self._row(ids[len(read) :]), state)
        self._states[session] = (ids, state)
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
