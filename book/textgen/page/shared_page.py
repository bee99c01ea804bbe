"""A model to give away: `share` writes it with its controls as one HTML file, which a browser opens, no network needed.

The controls are those of `live`, or the chat.
"""

import os
from collections.abc import Mapping
from html import escape
from pathlib import Path

from ..files import write_atomically
from ..models import LanguageModel
from ..tokenizer import Tokenizer
from . import chat_widget, live_widget
from .live_widget import HERE, classic_script
from .pack import as_script, misfit, pack

# The policy lets a browser fetch nothing: what a reader types stays in the page.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'wasm-unsafe-eval'">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{block}
</main>
<script>
{controls}</script>
<script>
{weights}</script>
</body>
</html>
"""


def share(
    model: LanguageModel | Mapping[str, LanguageModel],
    tokenizer: Tokenizer,
    path: str | os.PathLike,
    title: str = "A small language model",
    chat: bool = False,
    **settings,
) -> Path:
    """Write the model with its controls as one HTML file, and return its path: open it, mail it, put it on a site.

    The file holds all it needs, and runs from a disk without a network, in a browser of the last years.
    ``settings`` are those of ``live``: ``prompt``, ``prompts``, ``max_new_tokens``, ``temperature``, ``top_k``,
    ``top_p``, ``seed``, ``compare``. With ``chat`` the controls are those of ``textgen.chat``, with its settings
    (``messages``, ``prompts``, ...), and ``model`` may be several by name. It takes 5.4 bytes a weight, since each is kept exactly, or 1.4 where
    ``round_to_int8`` has rounded them. Raises ValueError for a model or tokenizer that the page cannot run (it
    runs a GPT with byte-level BPE, no sliding window and up to 5 million weights) and for what ``generate``
    refuses, FileNotFoundError when the folder of ``path`` does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f'path must end in ".html", so that a browser opens it, but {str(path)!r} came.')
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{str(path.parent)!r} does not exist: make that folder, or give another path."
        )
    if chat:
        models = chat_widget.named(model)
        data = chat_widget.controls_data(models, tokenizer, **settings)
        style, block, script = "chat.css", chat_widget.block(data), classic_script(chat_widget.FILES)
        files = dict(zip((one["file"] for one in data["models"]), models.values()))
    else:
        if reason := misfit(model, tokenizer):
            raise ValueError(f"{reason}.")
        block = live_widget.block(live_widget.controls_data(model, tokenizer, **settings))
        style, script, files = "live.css", classic_script(), {"model": model}
    page = PAGE.format(
        title=escape(title),
        css="".join((HERE / name).read_text(encoding="utf-8") for name in (style, "shared_page.css")),
        block=block,
        controls=script,
        weights="".join(as_script(name, pack(one, tokenizer)) for name, one in files.items()),
    )
    write_atomically(path, page)
    return path
