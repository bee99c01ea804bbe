"""Morse code as sound: tones in noise, the features that a reader sees, and a player for the page.

The code is ITU-R M.1677. Sounds are float32 arrays of 4,000 samples a second, so that noise reaches from 0 to 2 kHz.
"""

import base64
import html
import io
import re
import wave
from itertools import groupby

import numpy as np
import torch

from . import storyworld
from .identity import Identified

RATE = 4000  # samples a second
MARKS = ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
CODE = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", MARKS.split()))
LETTERS = " " + "".join(CODE)
WINDOW, HOP = 128, 64  # samples: a frame sees 32 ms, and a new one begins every 16 ms
LOWEST, HIGHEST = 350, 950  # Hz: where a frame looks for the tone
EDGE = np.hanning(22)[1:-1] / np.hanning(22)[1:-1].sum()  # 5 ms: a tone that starts abruptly clicks


def keying(text: str) -> list[tuple[bool, int]]:
    """How long the key is down and up for `text`: [(down, dots), ...]; "ET" is down 1, up 3, down 3.

    Raises ValueError for a character that is neither a letter from A to Z nor a space.
    """
    if unknown := sorted(set(text) - set(LETTERS)):
        raise ValueError(f"text must consist of letters from A to Z and spaces, but holds {unknown[0]!r}.")
    words = [["0".join({".": "1", "-": "111"}[m] for m in CODE[x]) for x in w] for w in text.split()]
    line = "0000000".join("000".join(letters) for letters in words)
    return [(key == "1", len(list(run))) for key, run in groupby(line)]


def sound(
    text: str,
    wpm: float = 22,
    pitch: float = 600,
    snr: float | None = 10,
    jitter: float = 0.12,
    seed: int = 0,
) -> np.ndarray:
    """Samples (n,) of `text` in Morse code, keyed by a slightly uneven hand.

    `wpm`: words a minute, a dot lasts 1.2 / wpm seconds. `pitch`: Hz. `snr`: power of the tone while the key is down
    over the power of the noise in 0 to 2 kHz, in decibels; None for no noise. `jitter`: how much the length of a
    tone or pause varies (standard deviation, as a share of its length).
    """
    rng = np.random.default_rng(seed)
    dot = 1.2 / wpm * RATE
    key = [np.zeros(int(dot * rng.uniform(1, 4)))]
    for down, dots in keying(text):
        length = dot * dots * (1 + jitter * np.clip(rng.standard_normal(), -2, 2))
        key.append(np.full(round(length), float(down)))
    key = np.convolve(np.concatenate([*key, np.zeros(int(4 * dot))]), EDGE, "same")
    tone = key * np.sin(2 * np.pi * (pitch / RATE * np.arange(len(key)) + rng.random()))
    noise = 0 if snr is None else rng.standard_normal(len(key), np.float32) * np.sqrt(0.5 / 10 ** (snr / 10))
    return (tone + noise).astype(np.float32)  # a sine has the power 0.5


def spectrogram(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strength (frames, pitches) of each pitch from LOWEST to HIGHEST in each frame, and those pitches in Hz."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * np.hanning(WINDOW)
    pitches = np.fft.rfftfreq(WINDOW, 1 / RATE)
    heard = (pitches >= LOWEST) & (pitches <= HIGHEST)
    return np.abs(np.fft.rfft(frames))[:, heard], pitches[heard]


def listen(sound: np.ndarray) -> np.ndarray:
    """The reader's input, (frames, 5) float32: the loudest pitch and its neighbours, mean 0, standard deviation 1."""
    strength, _ = spectrogram(sound)
    loudest = (strength**2).sum(0).argmax()
    near = np.pad(strength, ((0, 0), (2, 2)), "edge")[:, loudest : loudest + 5]
    return ((near - near.mean()) / near.std()).astype(np.float32)


def phrases(n: int, seed: int = 0, split: str = "train", longest: int = 10) -> list[str]:
    """`n` texts to send: words of stories, and every third one random letters, such as "QX JZV"."""
    rng = np.random.default_rng([seed, *split.encode()])
    told = " ".join(story.text for story in storyworld.stories(500, split=split))
    words = re.findall("[A-Z]+", told.upper())
    made = []
    while len(made) < n:
        if len(made) % 3 == 2:
            text = "".join(rng.choice(list(LETTERS[1:]), longest - 4))
            made.append(f"{text[:2]} {text[2:]}")
            continue
        at = rng.integers(len(words) - 3)
        made.append(" ".join(words[at : at + 3])[:longest].strip())
    return made


def message(text: str, snr: float | None, seed: int) -> np.ndarray:
    """The sound of `text` at a random speed (18 to 28 words a minute) and pitch (400 to 900 Hz)."""
    rng = np.random.default_rng(seed)
    return sound(text, rng.uniform(18, 28), rng.uniform(400, 900), snr, seed=seed)


class Messages(Identified):
    """Sounds with their letters as data for `fit`; the noise of each is between 0 and 20 dB below its tone."""

    def __init__(self, train: list[str], valid: list[str]):
        """Synthesise every text once, about a millisecond each."""
        self._rows = {}
        for number, (split, texts) in enumerate({"train": train, "valid": valid}.items()):
            snr = np.random.default_rng(number).uniform(0, 20, len(texts))
            rows = [listen(message(t, s, 10**6 * number + i)) for i, (t, s) in enumerate(zip(texts, snr))]
            self._rows[split] = [(torch.from_numpy(row), encode(text)) for row, text in zip(rows, texts)]

    def batch(self, split: str, batch_size: int, block_size: int | None = None, generator=None):
        """Draw messages: frames (B, T, 5), padded with silence, and letters (B, L), padded with -100."""
        rows = self._rows[split]
        picked = torch.randint(len(rows), (batch_size,), generator=generator).tolist()
        frames, letters = zip(*(rows[i] for i in picked))
        return stack(frames), torch.nn.utils.rnn.pad_sequence(letters, True, -100)


def stack(frames: list) -> torch.Tensor:
    """Messages of different lengths as one tensor (B, T, 5), padded with silence at the end."""
    rows = [torch.as_tensor(row) for row in frames]
    out = torch.stack([row.min() for row in rows])[:, None, None].repeat(1, max(map(len, rows)), 5)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def encode(text: str) -> torch.Tensor:
    """The letters as classes for CTC, int64 (n,): 0 is its blank, 1 a space, 2 to 27 the letters."""
    return torch.tensor([LETTERS.index(letter) + 1 for letter in text])


def error_rate(read: list[str], sent: list[str]) -> float:
    """Letters to insert, delete or change to turn what was read into what was sent, per letter sent."""
    return sum(map(edits, read, sent)) / sum(map(len, sent))


def edits(a: str, b: str) -> int:
    """The edit distance of two strings (Levenshtein 1966), by dynamic programming row by row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return row[-1]


def player(sound: np.ndarray, words: str) -> str:
    """HTML that plays `sound` (8 bits, 8 kHz) without a network, with `words` for those who cannot hear it.

    Raises ValueError where `words` is empty.
    """
    if not words.strip():
        raise ValueError("words must say what the sound is, such as 'FOX in Morse code, no noise'.")
    full = np.fft.irfft(np.fft.rfft(sound), 2 * len(sound)) * 2  # 8,000 samples a second, same pitches
    levels = np.clip(128 + 40 * full / max(0.7, full.std()), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1), file.setsampwidth(1), file.setframerate(2 * RATE)
        file.writeframes(levels.tobytes())
    data, words = base64.b64encode(buffer.getvalue()).decode(), html.escape(words)
    return (
        f'<figure style="margin:0.5em 0"><figcaption>&#128266; {words}</figcaption>'
        f'<audio controls preload="metadata" aria-label="{words}" style="max-width:100%" '
        f'src="data:audio/wav;base64,{data}">This browser plays no sound.</audio></figure>'
    )
