"""Read any audio file as one channel at the model's rate, and cut it at silences into pieces.

Shapes: S samples, F frames of 20 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairseq_dro.errors import UserError

FRAME_SECONDS = 0.02
PAUSE_SECONDS = 0.3
"""A cut goes through the middle of the quietest stretch of this length."""


class Piece(NamedTuple):
    """A stretch of a recording, in samples; ``end`` is the first that it does not hold."""

    begin: int
    end: int


def read_audio(path: str | Path, sample_rate: int) -> np.ndarray:
    """[S] float32 at ``sample_rate``, channels averaged; in blocks, so that hours fit.

    Raises:
        UserError: the file is not there, or is nothing that soundfile reads.
    """
    import soundfile
    import soxr

    if not Path(path).is_file():
        raise UserError(f"{path} does not exist: name an audio file.")
    blocks = []
    try:
        with soundfile.SoundFile(path) as audio:
            resample = soxr.ResampleStream(audio.samplerate, sample_rate, 1, dtype="float32")
            for block in audio.blocks(blocksize=1 << 18, dtype="float32", always_2d=True):
                mono = block.mean(axis=1, dtype=np.float32)
                is_same = audio.samplerate == sample_rate
                blocks.append(mono if is_same else resample.resample_chunk(mono))
            if audio.samplerate != sample_rate:
                blocks.append(resample.resample_chunk(np.empty(0, np.float32), last=True))
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{path} cannot be read as audio ({str(error).rstrip('.')}): convert it, for example "
            "with `ffmpeg -i IN OUT.wav`."
        ) from None
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)


def cut(audio: np.ndarray, sample_rate: int, most_seconds: float) -> Iterator[Piece]:
    """Pieces of at most ``most_seconds`` that follow each other without a gap.

    Where the rest is longer than a piece may be, the cut is where the audio is quietest between
    two fifths of that length and all of it.

    Args:
        audio: [S].
    """
    most = int(most_seconds * sample_rate)
    frame = max(int(FRAME_SECONDS * sample_rate), 1)
    begin = 0
    while len(audio) - begin > most:
        earliest = begin + 2 * most // 5
        power = _power(audio[earliest : begin + most], frame)  # [F]
        width = min(max(int(PAUSE_SECONDS / FRAME_SECONDS), 1), len(power))
        smooth = np.convolve(power, np.ones(width), mode="valid")
        quietest = len(smooth) - 1 - int(np.argmin(smooth[::-1]))  # the last of equals
        end = earliest + (quietest + width // 2) * frame
        yield Piece(begin, end)
        begin = end
    yield Piece(begin, len(audio))


def _power(audio: np.ndarray, frame: int) -> np.ndarray:
    n_frames = max(len(audio) // frame, 1)
    frames = audio[: n_frames * frame].astype(np.float64).reshape(n_frames, -1)
    return np.square(frames).mean(1)
