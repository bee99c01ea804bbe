"""Long texts cut into pieces, so that what reads them needs little memory, shows a bar, and can be interrupted."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import takewhile

from .progress import progress_bar

PIECE = 8192  # characters
GROUP = 2**18  # characters that are tokenised at once: a fraction of a second
SAMPLE = 2**20  # characters from which byte pairs are learnt: more would hardly change them
WORD = 1000  # letters of a word from which byte pairs are learnt: the time grows with its square
# Where no tokenizer joins what stands on both sides, the best place first: lines, words, marks after a letter, and
# before a special token.
BOUNDARIES = [
    re.compile(pattern)
    for pattern in (
        r"(?<=\S)(?=\n)",
        r"(?<=[^\W_])(?= [^\W_])",
        r"(?<=[^\W_])(?=[.,;:!?。，、；：！？])",
        r"(?=<\|)",
    )
]
LONG_RUN = re.compile(rf"(?<!\S)\S{{{WORD + 1}}}|(?<!\s)\s{{{WORD + 1}}}")
SHORT_RUNS = re.compile(rf"\s{{0,{WORD}}}\S{{1,{WORD}}}|\s{{1,{WORD}}}")


def pieces(text: str) -> Iterator[str]:
    """Cut a text into pieces of at most `PIECE` characters, between tokens where it can be."""
    at = 0
    while len(text) - at > PIECE:
        found = (one.search(text, at + PIECE // 2, at + PIECE) for one in BOUNDARIES)
        end = next((match.start() for match in found if match), at + PIECE)
        yield text[at:end]
        at = end
    yield text[at:]


def groups(rows: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Gather numbered texts until they hold `GROUP` characters."""
    some, size = [], 0
    for row in rows:
        some.append(row)
        size += len(row[1])
        if size >= GROUP:
            yield some
            some, size = [], 0
    if some:
        yield some


def short_words(texts: Iterable[str]) -> Iterator[str]:
    """The pieces of these texts; those that hold a run of more than `WORD` letters, or white spaces, word by word."""
    for piece in (piece for text in texts for piece in pieces(text)):
        yield from SHORT_RUNS.findall(piece) if LONG_RUN.search(piece) else [piece]


def sample(text: str) -> list[str]:
    """About `SAMPLE` characters of a text, in pieces from all of it; all where it has no more."""
    share, found = min(1.0, SAMPLE / max(1, len(text))), list(pieces(text))
    return [piece for i, piece in enumerate(found) if int((i + 1) * share) > int(i * share)]


def watched(texts: list[str], doing: str) -> Iterator[str]:
    """The pieces of these texts, with a bar for someone who watches, if it takes more than a second."""
    characters = sum(map(len, texts))
    with progress_bar(characters, unit="char", doing=doing, delay=1, unit_scale=True) as bar:
        for piece in (piece for text in texts for piece in pieces(text)):
            yield piece
            bar.update(len(piece))


def interruptible(learn: Callable, texts: Iterable[str]) -> None:
    """Call `learn(texts)`, which may stay in compiled code for long, so that Ctrl-C is answered at once.

    It runs in a thread of its own, which gets no more texts after an interruption and soon comes to its end.
    """
    stopped, pool = threading.Event(), ThreadPoolExecutor(1)
    until = takewhile(lambda _: not stopped.is_set(), texts)
    try:
        learning = pool.submit(learn, until)
        while not wait([learning], timeout=0.2).done:  # on Windows nothing else lets Ctrl-C in
            pass
        learning.result()
    finally:
        stopped.set()
        pool.shutdown(wait=False)
