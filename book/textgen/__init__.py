"""The helper package of *Text Generation: from logistic regression to ChatGPT*.

Names load on first use (PEP 562), so that ``import textgen`` costs nothing: PyTorch, Matplotlib and the
rest are imported by the module that needs them, at the moment you need it.
"""

from importlib import import_module

__version__ = "0.2.0"

_MODULES = (
    "storyworld",
    "corpus",
    "tokenizer",
    "models",
    "gpt",
    "train",
    "sample",
    "dialogue",
    "metrics",
    "rlhf",
    "hub",
    "files",
    "seq2seq",
    "morse",
    "page",
    "plots",
    "check",
)
_HOME = {
    "load": "hub",
    "generate": "sample",
    "fit": "train",
    "bits_per_char": "metrics",
    "explore": "page.explore_widget",
    "reply": "dialogue",
    "live": "page.live_widget",
    "chat": "page.chat_widget",
    "label": "page.label_widget",
    "guess": "page.guessing",
    "share": "page.shared_page",
    "results": "recorded",
    "Tokenizer": "tokenizer",
}
for _name in ("Bigram", "WindowMLP", "RNN", "LSTM", "GPT"):
    _HOME[_name] = _HOME[f"{_name}Config"] = "gpt" if _name == "GPT" else "models"


def __getattr__(name: str):
    """Import a public name when it is first used; raises AttributeError for any other name."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"textgen has no {name!r}; it offers {', '.join([*_HOME, *_MODULES])}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})
