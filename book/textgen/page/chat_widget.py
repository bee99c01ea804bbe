"""The chat: with `chat` a reader talks to a model, or to several side by side, in a notebook and in the published book.

Both run the same JavaScript, an anywidget there and a script here, on the models that gpt.js runs in the browser.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape

from ..dialogue import ROLES, chat_ids, reply
from ..gpt import GPT
from ..inputs import whole
from ..sample import plain
from ..tokenizer import Tokenizer
from .explore_widget import in_book
from .live_widget import HERE, MODEL, in_script, script
from .pack import misfit, pack, shipped_name

MOST = 4  # models: more would not stand side by side
SHARED = tuple(f"live/{part}.js" for part in ("engines", "dom", "settings", "run"))
FILES = (*MODEL, *SHARED, *(f"chat/{part}.js" for part in ("dialogue", "exchange", "chat", "start")))


def chat(
    models: GPT | Mapping[str, GPT],
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, str]] = (),
    prompts: Sequence[str] = (),
    max_new_tokens: int = 100,
    temperature: float = 0.7,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> "Chat":
    """Talk to the model, and take the conversation back: `w = chat(...)`, later `w.messages`.

    `models` is one model, or up to four by name, such as `{"base": ..., "RLHF": ...}`, which the reader chooses from or
    asks all at once. `messages` is how the conversation begins: where it ends with a question, every model answers that
    first. `prompts` are suggestions for the first message. Answers are those of `textgen.reply` with the same settings.
    Raises ValueError for what `reply` refuses, for a model that does not run in a browser (see `live`), and in a book
    build for one that does not ship with the course.
    """
    settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    data = controls_data(models := named(models), tokenizer, messages, prompts, max_new_tokens, **settings)
    return Chat(models, tokenizer, data)


def named(models: GPT | Mapping[str, GPT]) -> dict[str, GPT]:
    """Return the models by name, also where one came alone."""
    models = dict(models) if isinstance(models, Mapping) else {"Assistant": models}
    if not 1 <= len(models) <= MOST or not all(isinstance(name, str) and name.strip() for name in models):
        came = ", ".join(map(repr, models)) or "none"
        raise ValueError(f"models must be one model, or up to {MOST} with a name each, but {came} came.")
    return models


def controls_data(models, tokenizer, messages=(), prompts=(), max_new_tokens=100, **settings) -> dict:
    """Return what the chat starts from; `talk` has the turns, each a question with the answer of every model asked."""
    usual = {"temperature": 0.7, "top_k": None, "top_p": None, "seed": 0}
    if unknown := settings.keys() - usual:
        raise ValueError(
            f"settings must be some of {', '.join(usual)}, but {', '.join(sorted(unknown))} came."
        )
    settings = plain(**usual | settings)
    max_new_tokens = whole("max_new_tokens", max_new_tokens)
    about, answers = [], {}
    for name, model in models.items():
        if reason := misfit(model, tokenizer):
            raise ValueError(f"{name}: {reason}.")
        sizes = {"parameters": model.num_parameters(), "block_size": model.max_positions}
        about.append({"name": name, "file": f"model-{len(about)}"} | sizes)
    smallest = min(one["block_size"] for one in about)
    if not 1 <= max_new_tokens < smallest:
        room = f"from 1 to {smallest - 1}, to leave room for a question in the block of {smallest} tokens"
        raise ValueError(f"max_new_tokens must be {room}, but {max_new_tokens} came.")
    if isinstance(prompts, str) or not all(isinstance(one, str) and one.strip() for one in prompts):
        raise ValueError(f"prompts must be a list of texts, but {prompts!r} came.")
    chat_ids(messages, tokenizer)
    said = [message["content"] for message in messages]
    turns = [{"question": q, "answers": {about[0]["name"]: a}} for q, a in zip(said[::2], said[1::2])]
    if len(said) % 2:
        for name, model in models.items():
            answers[name] = reply(model, tokenizer, messages, max_new_tokens, **settings)
        turns.append({"question": said[-1], "answers": answers})
    talk = {"name": about[0]["name"], "turns": turns}
    limits = {"max_new_tokens": max_new_tokens, "settings": settings}
    return {"models": about, "talk": talk, "prompts": list(prompts)} | limits


@cache
def widget_class() -> type:
    """Return the anywidget; made late, because the pages of the book need none."""
    import anywidget
    import traitlets

    class Chatting(anywidget.AnyWidget):
        _esm = script(FILES)
        _css = (HERE / "chat.css").read_text(encoding="utf-8")
        data = traitlets.Dict().tag(sync=True)
        weights = traitlets.Dict().tag(sync=True)  # name -> bytes
        talk = traitlets.Dict().tag(sync=True)  # the name of the model chosen, and the turns

    return Chatting


class Chat:
    """What `chat` returns: displayed by a notebook; `messages` is the conversation so far, as `reply` takes it."""

    def __init__(self, models: dict[str, GPT], tokenizer: Tokenizer, data: dict):
        self.data, self._widget = data, None
        packed = {name: pack(model, tokenizer) for name, model in models.items()}
        if in_book():
            for one, weights in zip(data["models"], packed.values()):
                one |= {"file": shipped_name(weights), "bytes": len(weights) * 4 // 3}
            return
        try:
            self._widget = widget_class()(data=data, weights=packed, talk=data["talk"])
        except ImportError:
            return

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation with the model chosen last; an exchange in which it wrote nothing is left out."""
        talk, said = self._widget.talk if self._widget else self.data["talk"], []
        for turn in talk["turns"]:
            answer = turn["answers"].get(talk["name"], next(iter(turn["answers"].values())))
            if answer.strip():
                both = zip(ROLES, (turn["question"], answer))
                said += [{"role": role, "content": content} for role, content in both]
        return said

    def _repr_mimebundle_(self, include=None, exclude=None):
        """Hand Jupyter the widget, with the conversation as text for where none can be, or the page's block."""
        plain = f"A chat with {', '.join(one['name'] for one in self.data['models'])}"
        if in_book():
            return {"text/html": block(self.data), "text/plain": plain}
        note, bundle, metadata = "The chat needs anywidget (pip install anywidget).", {}, {}
        if self._widget:
            note = "Run the notebook to talk to the model yourself."
            bundle, metadata = self._widget._repr_mimebundle_()
        html = f"<div>{written(self.data)}<p>{note}</p></div>"
        return bundle | {"text/html": html, "text/plain": f"{plain}\n({note})"}, metadata


def written(data: dict) -> str:
    """Return a paragraph of HTML for each message and each answer."""
    turns = data["talk"]["turns"]
    lines = [line for turn in turns for line in [("You", turn["question"]), *turn["answers"].items()]]
    return "".join(f"<p><b>{escape(name)}:</b> {escape(text)}</p>\n" for name, text in lines)


def block(data: dict) -> str:
    """Return the block that chat/start.js makes into the chat; without JavaScript it reads as text."""
    names = " ".join(dict.fromkeys(one["file"] for one in data["models"]))
    note = "With JavaScript you can talk to the model here, in your browser."
    return f'<div class="textgen-chat" data-model="{names}">\n{written(data)}<p>{note}</p>\n{in_script(data)}\n</div>'
