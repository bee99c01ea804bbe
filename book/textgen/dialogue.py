"""A conversation with a model that was trained on questions and answers: how it becomes ids, and one more answer.

An exchange is the start token, ``User: {question} Assistant:`` and `` {answer}``. The model ends its answer with the
end token, which is the start token of the next exchange. `chat/dialogue.js` follows the same rules in a browser.
"""

import sys
from collections.abc import Mapping, Sequence
from reprlib import repr as short

from .inputs import fits, whole
from .models import LanguageModel
from .sample import MOST, generate_ids
from .tokenizer import Tokenizer

ROLES = ("user", "assistant")
CHAT_TEMPLATE = (  # the format once more, in the language in which Hugging Face's tokenizers take it
    "{% for message in messages %}{% if message.role == 'user' %}"
    "{{ bos_token }}User: {{ message.content }} Assistant:"
    "{% else %} {{ message.content | trim }}{% endif %}{% endfor %}"
)


def chat_ids(messages: Sequence[Mapping[str, str]], tokenizer: Tokenizer) -> list[int]:
    """Token ids of a conversation, ``[{"role": "user", "content": "Hello"}, {"role": "assistant", ...}, ...]``.

    Raises ValueError where the roles do not alternate from ``"user"`` on, or a content is no text or a blank one.
    """
    ids = []
    for i, message in enumerate(messages):
        given = message if isinstance(message, Mapping) else {"role": message}
        role, content = given.get("role"), given.get("content")
        if role != ROLES[i % 2]:
            turns = f'must have the role "{ROLES[i % 2]}", since user and assistant take turns'
            raise ValueError(f"messages[{i}] {turns}, but {short(role)} came.")
        if not isinstance(content, str) or not content.strip():
            raise ValueError(f"messages[{i}] must have a text as its content, but {short(content)} came.")
        if role == "user":
            ids += [tokenizer.bos, *tokenizer.encode(f"User: {content} Assistant:")]
        else:
            ids += tokenizer.encode(f" {content}")
    return ids


def reply(
    model: LanguageModel,
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, str]],
    max_new_tokens: int = 120,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> str:
    """Answer the last of the messages, and return the answer without the blank before it.

    The model reads the newest exchanges: the oldest are dropped, whole ones, until what is left and
    ``max_new_tokens`` fit into its block. Answer n, from 0, draws with ``seed`` + n, so that a question asked twice may
    get two answers, and a conversation can be repeated word for word. The settings are those of ``generate``.
    Raises ValueError for what ``chat_ids`` and ``generate`` refuse, where the last message is not the user's, and where
    it does not fit by itself.
    """
    fits(model, tokenizer)
    max_new_tokens = whole("max_new_tokens", max_new_tokens, 1, MOST)
    ids, number = chat_ids(messages, tokenizer), len(messages) // 2
    if len(messages) % 2 == 0:
        came = "the last one is the assistant's" if messages else "there are none"
        raise ValueError(f"messages must end with one of the user, to be answered, but {came}.")
    limit = model.max_positions or sys.maxsize
    while len(ids) + max_new_tokens > limit and len(messages) > 1:
        messages = messages[2:]
        ids = chat_ids(messages, tokenizer)
    if len(ids) + max_new_tokens > limit:
        sizes = (
            f"{len(ids)} tokens, and with max_new_tokens={max_new_tokens} the model's {limit} are not enough"
        )
        raise ValueError(f"The last message takes {sizes}: shorten it, or lower max_new_tokens.")
    settings = (max_new_tokens, temperature, top_k, top_p, whole("seed", seed) + number)
    (written,) = generate_ids(model, [ids], *settings, end=tokenizer.bos)
    return tokenizer.decode(written).removeprefix(" ")
