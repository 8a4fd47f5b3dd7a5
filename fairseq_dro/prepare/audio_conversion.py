"""The 16 kHz mono FLAC of an audio file that cannot be used where it lies.

It is decoded by soundfile, mixed to one channel, resampled by soxr and written with 16 bits. What
exceeds full scale (floats, and what lossy codecs and resampling make of loud speech) is scaled as a
whole and never clipped. Functions here run in worker processes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import soundfile

from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.errors import UserError
from fairseq_dro.prepare.adjusted import BEYOND_FULL_SCALE
from fairseq_dro.prepare.audio_files import (
    CUT,
    EMPTY,
    NOT_NUMBERS,
    TOO_LOUD,
    AudioJob,
    AudioResult,
    guarded,
    is_cut,
    open_audio,
)
from fairseq_dro.whole_file import whole_file

_LEAST_LOUD = 2**-8
"""Share of the peak that one sample in a thousand must reach: 16 bits then leave speech 8."""
_SCALED = "scaled to full scale by fairseq-dro prepare"  # comment in a converted file
_PIECE = 1 << 16  # frames


def convert_all(jobs: Sequence[AudioJob]) -> list[AudioResult]:
    """Write the target of each job, unless a whole one is there already.

    Raises:
        UserError: a file cannot be written, as when the disk is full.
    """
    return [guarded(_convert, job) for job in jobs]


def _convert(job: AudioJob) -> AudioResult:
    assert job.target is not None
    done = _already_converted(job)
    if done is not None:
        return done
    import numpy as np
    import soxr

    file, _ = open_audio(job.audio)
    with file:
        rate = file.samplerate
        start = round(job.start_seconds * rate)
        n_frames = file.frames - start
        if job.duration_seconds is not None:
            n_frames = min(n_frames, round(job.duration_seconds * rate))
        _go_to(file, start)
        samples = file.read(n_frames, dtype="float32", always_2d=True)  # [T, channels]
    if not len(samples):
        return AudioResult(error=EMPTY, detail=str(job.audio))
    # libsndfile finds most cut files itself; an MP3's first frame promises what is not there
    if is_cut(len(samples) / rate, n_frames / rate):
        detail = f"{len(samples) / rate:.2f} s of {n_frames / rate:.2f} s in {job.audio}"
        return AudioResult(error=CUT, detail=detail)
    n_channels = samples.shape[1]
    # A product, for numpy's mean over so short an axis takes longer than the resampling
    mono = samples[:, 0] if n_channels == 1 else samples @ np.full(n_channels, 1 / n_channels, "f4")
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE)
    if not len(mono):
        return AudioResult(error=EMPTY, detail=str(job.audio))
    if not np.isfinite(mono).all():  # a WAV of floats may hold them; FLAC cannot
        return AudioResult(error=NOT_NUMBERS, detail=str(job.audio))
    magnitude = np.abs(mono)
    peak = float(magnitude.max())
    if peak > 1 and np.quantile(magnitude, 0.999) < _LEAST_LOUD * peak:
        return AudioResult(error=TOO_LOUD, detail=f"a peak of {peak:g} in {job.audio}")
    # Floats, and what lossy codecs and resampling make of loud speech, exceed full scale
    if peak > 1:
        mono = mono / np.float32(peak)
    encoded = io.BytesIO()
    with soundfile.SoundFile(
        encoded, "w", SAMPLE_RATE, channels=1, format="FLAC", subtype="PCM_16"
    ) as target:
        if peak > 1:
            target.comment = f"{_SCALED}; its peak was {peak:g}"
        target.write(mono)
    _write_whole(job.target, encoded.getbuffer())
    adjusted = (BEYOND_FULL_SCALE,) if peak > 1 else ()
    return AudioResult(len(mono) / SAMPLE_RATE, len(mono), adjusted=adjusted)


def _go_to(file: soundfile.SoundFile, frame: int) -> None:
    """Go to a place; a format in which that cannot be done (GSM 6.10, G.721) is read up to it."""
    if file.seekable():
        file.seek(frame)
        return
    while frame > 0 and len(read := file.read(min(frame, _PIECE), dtype="float32")):
        frame -= len(read)


def _already_converted(job: AudioJob) -> AudioResult | None:
    """Of a target that an earlier, killed call has written whole; None if there is none."""
    assert job.target is not None
    source = job.audio if isinstance(job.audio, Path) else job.audio.path
    try:
        if job.target.stat().st_mtime_ns < source.stat().st_mtime_ns:
            return None
        with soundfile.SoundFile(str(job.target)) as file:
            if file.samplerate != SAMPLE_RATE or file.channels != 1 or not file.frames:
                return None
            adjusted = (BEYOND_FULL_SCALE,) if file.comment.startswith(_SCALED) else ()
            return AudioResult(file.frames / SAMPLE_RATE, file.frames, adjusted=adjusted)
    except (OSError, soundfile.LibsndfileError):
        return None


def _write_whole(target: Path, data: memoryview) -> None:
    """Write a file that is whole or absent under its name, whenever the process is killed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise UserError(
            f"{target} cannot be written ({error.strerror}): make room or choose another folder; "
            "the same command resumes where it stopped."
        ) from None
