"""One audio file: what its header says, and its 16 kHz mono FLAC where it needs one.

16 kHz mono PCM and FLAC are used where they lie. Everything else is decoded by soundfile, mixed to
one channel, resampled by soxr and written as 16-bit FLAC. Functions here run in worker processes.
"""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import soundfile

from fairseq_dro.corpora.mp3 import has_unknown_length
from fairseq_dro.corpora.recording import ParquetAudio
from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.errors import UserError

MISSING = "audio file missing"
UNREADABLE = "audio cannot be read"
EMPTY = "audio is empty"
NO_LENGTH = "length unknown"
OUTSIDE = "offset and duration are outside the file"
NOT_NUMBERS = "audio holds NaN or infinity"
CUT = "audio is shorter than its header says"

_UNFIT_FOR_A_MANIFEST = ("\t", "\n", "\r", "/ ")  # a line there loses leading spaces
_NO_ZIP_SLICES = (".wav", ".flac", ".ogg")  # else fairseq takes what follows a colon for a place
_UNKNOWN_LENGTH = 2**40  # samples, two years; libsndfile gives 2**63 - 1 where a header has none
_CUT_SECONDS, _CUT_SHARE = 0.1, 0.02  # the length of an MP3 may be off by some frames
_WAV_DATA = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)  # libsndfile's log
_UNKNOWN_BYTES = 0x7FFF0000  # and above: what programs write that stream a WAV


@dataclass(frozen=True, slots=True)
class AudioJob:
    """What is to be read.

    Attributes:
        target: where the converted file goes; None to read the header only.
    """

    audio: Path | ParquetAudio
    start_seconds: float = 0.0
    duration_seconds: float | None = None
    target: Path | None = None

    @property
    def is_segment(self) -> bool:
        """Whether a part of the file is meant."""
        return bool(self.start_seconds) or self.duration_seconds is not None


@dataclass(frozen=True, slots=True)
class AudioResult:
    """What was found.

    Attributes:
        seconds: duration, of the part that is meant; 0 where there is an error.
        n_samples: of the file as it stands or was converted, at 16 kHz; 0 where it must be
            converted first.
        error: a reason from this module, or empty.
    """

    seconds: float = 0.0
    n_samples: int = 0
    error: str = ""
    detail: str = ""


def probe_all(jobs: Sequence[AudioJob]) -> list[AudioResult]:
    """Read the headers; never raises because of a file."""
    return [_guarded(_probe, job) for job in jobs]


def convert_all(jobs: Sequence[AudioJob]) -> list[AudioResult]:
    """Write the target of each job, unless a whole one is there already.

    Raises:
        UserError: a file cannot be written, as when the disk is full.
    """
    return [_guarded(_convert, job) for job in jobs]


def require_decoders(audio: Sequence[Path | ParquetAudio]) -> None:
    """soundfile can decode MP3 if any file is MP3.

    Raises:
        UserError: it cannot; the sentence says what to install.
    """
    mp3 = next((a for a in audio if isinstance(a, Path) and a.suffix.lower() == ".mp3"), None)
    if mp3 is not None and "MP3" not in soundfile.available_formats():
        raise UserError(
            f"{mp3} cannot be decoded: libsndfile {soundfile.__libsndfile_version__} reads no MP3, "
            "which needs 1.1 or newer: type `pip install --upgrade soundfile` (0.12 or newer "
            "carries one)."
        )


def _guarded(function, job: AudioJob) -> AudioResult:
    try:
        if isinstance(job.audio, Path) and not job.audio.is_file():
            return AudioResult(error=MISSING, detail=f"{job.audio}{_other_spelling(job.audio)}")
        return function(job)
    except UserError:
        raise
    # TypeError is soundfile's word for a name such as a.raw, whose rate it would have to be told
    except (OSError, EOFError, TypeError, ValueError, RuntimeError) as e:  # soundfile's too
        return AudioResult(error=UNREADABLE, detail=f"{job.audio}: {e}".replace("\n", " "))


def _other_spelling(path: Path) -> str:
    """What to add where a file is missing that is there in another Unicode normal form."""
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, str(path))
        if other != str(path) and os.path.isfile(other):
            return f" (there is a file whose name is the same in {form}: rename it or its row)"
    return ""


def _open(audio: Path | ParquetAudio) -> soundfile.SoundFile:
    if isinstance(audio, Path):
        return soundfile.SoundFile(str(audio))
    return soundfile.SoundFile(io.BytesIO(_bytes_of(audio)))


def _bytes_of(audio: Path | ParquetAudio) -> bytes:
    if isinstance(audio, Path):
        return audio.read_bytes()
    return _row_group(audio.path, audio.row_group)[audio.row]


@lru_cache(maxsize=1)
def _has_unknown_length(audio: Path | ParquetAudio) -> bool:
    """One is kept: all parts of a long file are asked about in turn."""
    return has_unknown_length(_bytes_of(audio))


@lru_cache(maxsize=1)
def _row_group(path: Path, group: int) -> list[bytes]:
    """The encoded audio of one row group; one is kept, so jobs come in the order of the file."""
    from fairseq_dro.corpora.ml_superb_parquet import open_parquet

    table = open_parquet(path).read_row_group(group, columns=["audio"])
    return [(audio or {}).get("bytes") or b"" for audio in table.column("audio").to_pylist()]


def _probe(job: AudioJob) -> AudioResult:
    with _open(job.audio) as file:
        if file.frames >= _UNKNOWN_LENGTH or (
            file.format == "MP3" and _has_unknown_length(job.audio)
        ):
            detail = f"{job.audio}: its header does not say how long it is; encode it again"
            return AudioResult(error=NO_LENGTH, detail=detail)
        seconds = file.frames / file.samplerate
        n_samples = file.frames if _is_used_in_place(file, job) else 0
        cut = ""
        if file.frames and not job.is_segment:
            cut = _cut_short(file, is_decoded=not n_samples)
    if seconds == 0:
        return AudioResult(error=EMPTY, detail=str(job.audio))
    if cut:
        return AudioResult(error=CUT, detail=f"{cut} in {job.audio}")
    if job.is_segment:
        to_the_end = job.duration_seconds is None
        end = seconds if to_the_end else job.start_seconds + job.duration_seconds
        # Half a sample of the lowest rate is rounding, not a mistake
        if end > seconds + 1e-4 or end <= job.start_seconds:
            detail = f"{job.start_seconds:g} s to {end:g} s of {seconds:.3f} s in {job.audio}"
            return AudioResult(error=OUTSIDE, detail=detail)
        seconds = end - job.start_seconds
    return AudioResult(seconds, n_samples)


def _cut_short(file: soundfile.SoundFile, is_decoded: bool) -> str:
    """What a file lacks that its header promises, found without decoding it; empty if nothing.

    Args:
        is_decoded: it will be converted, which finds what is cut.
    """
    if file.format == "FLAC" and not is_decoded:
        try:
            file.seek(file.frames - 1)
            last = len(file.read(1, dtype="int16"))
        except soundfile.LibsndfileError:
            last = 0
        return "" if last else f"the last of {file.frames / file.samplerate:.2f} s is not there"
    # libsndfile shortens a cut WAV to what is there, and says so in its log
    log = file.extra_info if file.format in ("WAV", "WAVEX") else ""
    found = _WAV_DATA.search(log) if "(should be" in log else None
    if found is None or int(found[1]) >= _UNKNOWN_BYTES:
        return ""
    promised, there = int(found[1]), int(found[2])
    seconds = file.frames / file.samplerate
    full = seconds * promised / there
    if full - seconds <= max(_CUT_SECONDS, _CUT_SHARE * full):
        return ""
    return f"{seconds:.2f} s of {full:.2f} s"


def _is_used_in_place(file: soundfile.SoundFile, job: AudioJob) -> bool:
    if not isinstance(job.audio, Path) or job.is_segment:
        return False
    if file.samplerate != SAMPLE_RATE or file.channels != 1:
        return False
    if any(part in str(job.audio) for part in _UNFIT_FOR_A_MANIFEST):
        return False
    if ":" in str(job.audio) and job.audio.suffix not in _NO_ZIP_SLICES:
        return False
    return file.subtype.startswith("PCM_")  # so is FLAC's


def _convert(job: AudioJob) -> AudioResult:
    assert job.target is not None
    done = _already_converted(job)
    if done:
        return AudioResult(done / SAMPLE_RATE, done)
    import numpy as np
    import soxr

    with _open(job.audio) as file:
        rate = file.samplerate
        start = round(job.start_seconds * rate)
        n_frames = file.frames - start
        if job.duration_seconds is not None:
            n_frames = min(n_frames, round(job.duration_seconds * rate))
        file.seek(start)
        samples = file.read(n_frames, dtype="float32", always_2d=True)  # [T, channels]
    if not len(samples):
        return AudioResult(error=EMPTY, detail=str(job.audio))
    # libsndfile finds most cut files itself; an MP3's first frame promises what is not there
    if len(samples) < n_frames - max(_CUT_SECONDS * rate, _CUT_SHARE * n_frames):
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
    encoded = io.BytesIO()
    soundfile.write(
        encoded, np.clip(mono, -1.0, 1.0), SAMPLE_RATE, format="FLAC", subtype="PCM_16"
    )
    _write_whole(job.target, encoded.getbuffer())
    return AudioResult(len(mono) / SAMPLE_RATE, len(mono))


def _already_converted(job: AudioJob) -> int:
    """Samples of a target that an earlier, killed call has written whole; 0 if there is none."""
    assert job.target is not None
    source = job.audio if isinstance(job.audio, Path) else job.audio.path
    try:
        if job.target.stat().st_mtime_ns < source.stat().st_mtime_ns:
            return 0
        with soundfile.SoundFile(str(job.target)) as file:
            return file.frames if file.samplerate == SAMPLE_RATE and file.channels == 1 else 0
    except (OSError, soundfile.LibsndfileError):
        return 0


def _write_whole(target: Path, data: memoryview) -> None:
    """Write a file that is whole or absent under its name, whenever the process is killed."""
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as stream:
            stream.write(data)
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"{target} cannot be written ({error.strerror}): make room or choose another folder; "
            "the same command goes on where it stopped."
        ) from None
