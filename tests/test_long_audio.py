"""Cutting long audio at silences, and reading whatever soundfile reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_dro.decoding.long_audio import cut, read_audio
from fairseq_dro.errors import UserError

RATE = 16_000


def speech(seconds: float, pauses: list[tuple[float, float]], seed: int = 1) -> np.ndarray:
    """Noise, nearly silent in each pause (begin, end)."""
    rng = np.random.default_rng(seed)
    audio = rng.normal(0, 0.1, int(seconds * RATE)).astype(np.float32)
    for begin, end in pauses:
        audio[int(begin * RATE) : int(end * RATE)] *= 0.01
    return audio


@pytest.mark.parametrize("seconds", [0.0, 0.01, 3.0, 10.0, 10.01, 47.3, 200.0])
@pytest.mark.parametrize("most", [1.0, 10.0])
def test_pieces_follow_each_other_and_none_is_too_long(seconds, most):
    audio = speech(seconds, [])
    pieces = list(cut(audio, RATE, most))
    assert pieces[0].begin == 0 and pieces[-1].end == len(audio)
    for one, following in zip(pieces, pieces[1:]):
        assert one.end == following.begin
    lengths = [one.end - one.begin for one in pieces]
    assert max(lengths) <= most * RATE
    assert all(length >= 0.4 * most * RATE for length in lengths[:-1])
    assert len(pieces) == 1 or seconds > most


def test_cuts_go_through_the_pauses():
    pauses = [(7.0, 7.4), (15.2, 15.6), (21.0, 21.4), (29.9, 30.4)]
    pieces = list(cut(speech(36.0, pauses), RATE, 10.0))
    cuts = [one.end / RATE for one in pieces[:-1]]
    assert len(cuts) == len(pauses)
    for (begin, end), where in zip(pauses, cuts):
        assert begin + 0.1 < where < end - 0.1


def test_of_two_pauses_the_later_one_makes_longer_pieces():
    pieces = list(cut(speech(14.0, [(5.0, 5.4), (9.0, 9.4)]) * 0 + 0.0, RATE, 10.0))
    assert pieces[0].end > 9.5 * RATE  # silence everywhere: as late as may be


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("a.wav", 16_000, 1), ("b.flac", 44_100, 2), ("c.ogg", 48_000, 1), ("d.mp3", 22_050, 2),
     ("e.wav", 8_000, 3)],
)  # fmt: skip
def test_any_file_becomes_one_channel_at_the_rate_of_the_model(tmp_path, name, rate, channels):
    times = np.arange(int(2.5 * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 440 * times)
    soundfile.write(tmp_path / name, np.stack([tone] * channels, 1), rate)
    audio = read_audio(tmp_path / name, RATE)
    assert audio.dtype == np.float32 and audio.ndim == 1
    # MP3 encoders pad the beginning and the end
    assert abs(len(audio) - 2.5 * RATE) <= (0.1 * RATE if name.endswith("mp3") else 2)
    spectrum = np.abs(np.fft.rfft(audio[RATE // 2 : 3 * RATE // 2]))
    assert abs(int(np.argmax(spectrum)) - 440) <= 2
    assert abs(float(np.abs(audio).max()) - 0.3) < 0.05


def test_a_long_file_is_read_in_blocks_without_a_seam(tmp_path):
    rng = np.random.default_rng(2)
    audio = rng.normal(0, 0.1, 600_001)
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav", RATE), audio, atol=1e-6)


def test_what_is_no_audio_is_told(tmp_path):
    Path(tmp_path, "a.wav").write_text("no audio")
    with pytest.raises(UserError, match="a.wav cannot be read as audio"):
        read_audio(tmp_path / "a.wav", RATE)
    with pytest.raises(UserError, match="b.wav does not exist"):
        read_audio(tmp_path / "b.wav", RATE)
