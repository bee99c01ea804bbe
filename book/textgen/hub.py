"""Models by name: the course's own, GPT-2 from the Hugging Face hub, or a folder on disk."""

import os
from pathlib import Path

from .files import check_sha256, mending, problem, unwritable, verify
from .gpt import GPT
from .inputs import came
from .tokenizer import Tokenizer

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = ("pocket-gpt", "pocket-chat-sft", "pocket-chat")  # the last two after SFT, and after RLHF
WITHOUT = 'load("pocket-gpt"), load(folder) and all chapters work without it'
TIMEOUT = 10  # seconds without an answer from the hub
FILES = ("config.json", "model.safetensors", "tokenizer.json")
GPT2, REVISION = "openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"
GPT2_WEIGHTS = "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"


def load(name: str | os.PathLike) -> tuple[GPT, Tokenizer]:
    """A model, ready to use on the CPU, and its tokenizer.

    ``name`` is ``"pocket-gpt"``, ``"pocket-chat-sft"`` or ``"pocket-chat"`` (they ship with the course), ``"gpt2"``
    (548 MB from the hub the first time, from the cache after), or a Hugging Face folder that holds a GPT-2. Files
    that ``SHA256SUMS`` lists in a folder are checked against it. Raises FileNotFoundError for what is not there,
    ValueError for files that are truncated, altered or do not fit each other, and ConnectionError when the hub is
    out of reach.
    """
    if name == "gpt2":
        folder = _fetch_gpt2()
        # The hub's client takes a file that is there for whole, and keeps its bytes elsewhere in the model's folder.
        with mending(f'delete the folder {folder.parents[1]}, then load("gpt2") fetches it again'):
            check_sha256(folder / "model.safetensors", GPT2_WEIGHTS)
            return _read(folder)
    folder = (
        WEIGHTS / name if name in SHIPPED else Path(name) if isinstance(name, str | os.PathLike) else None
    )
    if folder is None or not folder.is_dir():
        names = ", ".join(f'"{one}"' for one in (*SHIPPED, "gpt2"))
        raise FileNotFoundError(
            f"name must be {names} or a folder with a GPT-2 in it, but there is no {folder or came(name)}."
        )
    verify(folder)
    return _read(folder)


def _read(folder: Path) -> tuple[GPT, Tokenizer]:
    """The model and the tokenizer of a folder, where they fit."""
    model, tokenizer = GPT.from_pretrained(folder), Tokenizer.from_file(folder / "tokenizer.json")
    if len(tokenizer) > model.config.vocab_size:
        sizes = f"{len(tokenizer)} tokens, but config.json says vocab_size = {model.config.vocab_size}"
        raise problem(ValueError, f"{folder}: tokenizer.json has {sizes}", "take both from one place")
    return model, tokenizer


def _fetch_gpt2() -> Path:
    """The folder of GPT-2 in the hub's cache, filled if need be."""
    import huggingface_hub as hub

    try:
        if not all(isinstance(hub.try_to_load_from_cache(GPT2, f, revision=REVISION), str) for f in FILES):
            # Offline this fails at once, where the download would try again for half a minute.
            hub.get_hf_file_metadata(hub.hf_hub_url(GPT2, FILES[0], revision=REVISION), timeout=TIMEOUT)
        paths = [hub.hf_hub_download(GPT2, f, revision=REVISION, etag_timeout=TIMEOUT) for f in FILES]
    except hub.errors.OfflineModeIsEnabled as error:
        raise ConnectionError(
            "\"gpt2\" is not in the hub's cache, and HF_HUB_OFFLINE keeps the hub's client from the network: "
            f"unset it and try again; {WITHOUT}."
        ) from error
    except Exception as error:  # the hub's client raises its own, the HTTP library's and the system's errors
        if why := unwritable(error):
            cache = f"the hub's cache, {hub.constants.HF_HUB_CACHE}, cannot be written ({why})"
            raise OSError(f'"gpt2": {cache}: set HF_HOME to a folder that can; {WITHOUT}.') from error
        raise ConnectionError(
            f'"gpt2" could not be fetched from the Hugging Face hub ({type(error).__name__}); check the '
            f"network and try again: {WITHOUT}."
        ) from error
    return Path(paths[0]).parent
