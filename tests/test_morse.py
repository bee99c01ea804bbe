"""Morse code: timing, noise by the decibel, what the reader gets, and a player that needs nothing."""

import base64
import io
import re
import wave

import numpy as np
import pytest
import torch
from textgen import morse


def test_the_code_is_the_one_in_use():
    assert morse.CODE["E"] == "." and morse.CODE["S"] + morse.CODE["O"] + morse.CODE["S"] == "...---..."
    assert len(set(morse.CODE.values())) == 26 and len(morse.LETTERS) == 27


def test_paris_takes_fifty_dots_with_the_space_after_it():
    assert sum(dots for _, dots in morse.keying("PARIS")) + 7 == 50  # the definition of a word a minute


def test_keying_alternates_and_knows_its_pauses():
    assert morse.keying("ET") == [(True, 1), (False, 3), (True, 3)]
    assert morse.keying("E E") == [(True, 1), (False, 7), (True, 1)]
    assert morse.keying("A") == [(True, 1), (False, 1), (True, 3)]


@pytest.mark.parametrize("text", ["fox", "FOX 1", "É"])
def test_keying_names_what_it_cannot_send(text):
    with pytest.raises(ValueError, match="letters from A to Z"):
        morse.keying(text)


def test_the_noise_is_as_many_decibels_below_the_tone_as_asked():
    clean = morse.sound("TTTTTTTTTTTT", snr=None, jitter=0, seed=1)
    down = np.abs(clean) > 0
    power = (clean**2).sum() / (0.5 * down.sum())
    assert 0.9 < power < 1.01  # the edges of the tones are soft
    for snr in (0, 10):
        noise = morse.sound("TTTTTTTTTTTT", snr=snr, jitter=0, seed=1) - clean
        assert 10 * np.log10(0.5 / np.mean(noise**2)) == pytest.approx(snr, abs=0.2)


def test_speed_sets_the_length_and_jitter_varies_it():
    slow, fast = (len(morse.sound("PARIS", wpm=wpm, snr=None, jitter=0)) for wpm in (10, 20))
    assert slow == pytest.approx(2 * fast, rel=0.01)
    lengths = {len(morse.sound("PARIS", seed=seed)) for seed in range(5)}
    assert len(lengths) > 1
    assert np.array_equal(morse.sound("FOX", seed=3), morse.sound("FOX", seed=3))


@pytest.mark.parametrize("pitch", [420, 610, 880])
def test_the_spectrogram_shows_the_pitch(pitch):
    strength, pitches = morse.spectrogram(morse.sound("TTT", pitch=pitch, snr=20))
    assert abs(pitches[strength.sum(0).argmax()] - pitch) < 32
    assert strength.shape[1] == len(pitches)


def test_the_reader_hears_the_same_at_any_pitch():
    low, high = (morse.listen(morse.sound("FOX", pitch=pitch, snr=None, jitter=0)) for pitch in (500, 750))
    assert low.shape == high.shape and low.shape[1] == 5 and low.dtype == np.float32
    assert np.corrcoef(low[:, 2], high[:, 2])[0, 1] > 0.99


def test_phrases_can_be_keyed_and_differ_by_split():
    splits = {split: morse.phrases(60, split=split) for split in ("train", "valid", "test")}
    for texts in splits.values():
        assert len(texts) == 60 and all(morse.keying(text) for text in texts)
        assert max(map(len, texts)) <= 10 and all(text == text.strip() for text in texts)
    random = {split: set(texts[2::3]) for split, texts in splits.items()}
    assert not random["train"] & random["valid"] | random["train"] & random["test"]


def test_messages_are_a_batch_for_fit():
    data = morse.Messages(["FOX", "A OWL", "E"], ["CAT"])
    frames, letters = data.batch("train", 5, None, torch.Generator().manual_seed(0))
    assert frames.shape[0] == letters.shape[0] == 5 and frames.shape[2] == 5 and frames.dtype == torch.float32
    for row in letters:
        text = "".join(morse.LETTERS[c - 1] for c in row.tolist() if c != -100)
        assert text in ("FOX", "A OWL", "E")
    again = data.batch("train", 5, None, torch.Generator().manual_seed(0))
    assert torch.equal(frames, again[0])


def test_what_is_missing_at_the_end_is_silence():
    rows = [morse.listen(morse.sound(text, snr=None)) for text in ("E", "FOX")]
    stacked = morse.stack(rows)
    assert torch.equal(
        stacked[0, len(rows[0]) :], torch.full_like(stacked[0, len(rows[0]) :], float(rows[0].min()))
    )
    assert np.array_equal(stacked[1].numpy(), rows[1])


@pytest.mark.parametrize(
    ("a", "b", "n"),
    [("FOX", "FOX", 0), ("", "KEY", 3), ("FOXES", "OXEN", 2), ("AB", "BA", 2), ("KITTEN", "SITTING", 3)],
)
def test_edits(a, b, n):
    assert morse.edits(a, b) == morse.edits(b, a) == n


def test_the_error_rate_counts_letters_sent():
    assert morse.error_rate(["FOX", "OWL"], ["FOX", "OWLS"]) == pytest.approx(1 / 7)


def test_the_player_holds_its_sound_and_says_what_it_is():
    sound = morse.sound("FOX", seed=1)
    page = morse.player(sound, 'FOX & "friends"')
    assert page.count("FOX &amp; &quot;friends&quot;") == 2 and "controls" in page and "http" not in page
    data = base64.b64decode(re.search(r"data:audio/wav;base64,([^\"]+)", page)[1])
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 1, 1)
        levels = np.frombuffer(file.readframes(file.getnframes()), np.uint8).astype(float) - 128
    assert len(levels) == 2 * len(sound) and 60 < np.abs(levels).max() <= 128
    pitches = np.fft.rfftfreq(len(levels), 1 / 8000)
    assert abs(pitches[np.abs(np.fft.rfft(levels)).argmax()] - 600) < 20


def test_a_player_without_words_is_refused():
    with pytest.raises(ValueError, match="words must say"):
        morse.player(morse.sound("E"), " ")
