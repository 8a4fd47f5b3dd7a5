"""One audio file: how long it is, and whether it can be used where it lies.

16 kHz mono PCM and FLAC are; everything else is converted (``audio_conversion.py``). Functions here
run in worker processes.
"""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import soundfile

from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.errors import UserError
from fairseq_dro.prepare.adjusted import ROUNDED_DURATION, UNFINISHED_HEADER
from fairseq_dro.prepare.audio_container import (
    UNKNOWN_BYTES,
    Container,
    container_of,
    has_second_ogg,
)
from fairseq_dro.prepare.flac import flac_continues
from fairseq_dro.prepare.mp3 import Mp3, frames_of
from fairseq_dro.prepare.parquet_file import open_parquet
from fairseq_dro.prepare.recording import ParquetAudio

MISSING = "audio file missing"
UNREADABLE = "audio cannot be read"
EMPTY = "audio is empty"
NO_LENGTH = "length unknown"
OUTSIDE = "offset and duration (seconds) are outside the file"
NOT_NUMBERS = "audio holds NaN or infinity"
CUT = "audio is shorter than its header says"
CONTINUES = "audio continues behind the end that its header gives"
TOO_LOUD = "a few samples are so far beyond full scale that the rest is silence beside them"

_UNFIT_FOR_A_MANIFEST = ("\t", "\n", "\r", "/ ")  # a line there loses leading spaces
_NO_ZIP_SLICES = (".wav", ".flac", ".ogg")  # else fairseq takes what follows a colon for a place
_UNKNOWN_LENGTH = 2**40  # samples, two years; libsndfile gives 2**63 - 1 where a header has none
_CUT_SECONDS, _CUT_SHARE = 0.1, 0.02  # the length of an MP3 may be off by some frames
ROUNDED_SECONDS = 0.025
"""A duration that is longer than its file by no more is a rounded one: lhotse's
``LHOTSE_AUDIO_DURATION_MISMATCH_TOLERANCE``."""
_SAME_SECONDS = 0.005 + 1e-6  # half of the last of two decimals
_NO_EXCESS = 1e-4  # half a sample of the lowest rate
_WAV_DATA = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)  # libsndfile's log


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


@dataclass(frozen=True, slots=True)
class AudioResult:
    """What was found.

    Attributes:
        seconds: duration, of the part that is meant; 0 where there is an error.
        n_samples: of the file as it stands or was converted, at 16 kHz; 0 where it must be
            converted first.
        error: a reason from this module, or empty.
        adjusted: what was put right, phrases of ``adjusted.py``.
    """

    seconds: float = 0.0
    n_samples: int = 0
    error: str = ""
    detail: str = ""
    adjusted: tuple[str, ...] = ()


def probe_all(jobs: Sequence[AudioJob]) -> list[AudioResult]:
    """Read the headers; never raises because of a file."""
    return [guarded(_probe, job) for job in jobs]


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


def guarded(function: Callable[[AudioJob], AudioResult], job: AudioJob) -> AudioResult:
    """What a function finds in a file; a file that cannot be read is a result as well."""
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
    """What to add where a file is missing that is there in another spelling."""
    written, suffix = str(path), path.suffix
    spellings = {
        f"the same in {form}": unicodedata.normalize(form, written) for form in ("NFC", "NFD")
    }
    spellings["the same with / for \\"] = written.replace("\\", "/")
    for other in (suffix.lower(), suffix.upper()):
        spellings[f"the same with {other}"] = written.removesuffix(suffix) + other
    for how, other in spellings.items():
        if other != written and os.path.isfile(other):
            return f" (there is a file whose name is {how}: rename it or its row)"
    return ""


def open_audio(audio: Path | ParquetAudio) -> tuple[soundfile.SoundFile, Container]:
    """The file as libsndfile can read it, and what its bytes say."""
    with _stream(audio) as stream:
        container = container_of(stream)
    if isinstance(audio, Path) and container.is_read_in_place:
        return soundfile.SoundFile(str(audio)), container
    return soundfile.SoundFile(io.BytesIO(container.readable(_bytes_of(audio)))), container


def _stream(audio: Path | ParquetAudio) -> BinaryIO:
    if isinstance(audio, Path):
        return open(audio, "rb", buffering=0)
    return io.BytesIO(_bytes_of(audio))


def _bytes_of(audio: Path | ParquetAudio) -> bytes:
    if isinstance(audio, Path):
        return audio.read_bytes()
    return _row_group(audio.path, audio.row_group)[audio.row]


@lru_cache(maxsize=1)
def _mp3(audio: Path | ParquetAudio) -> Mp3:
    """One is kept: all parts of a long file are asked about in turn."""
    return frames_of(_bytes_of(audio))


@lru_cache(maxsize=1)
def _row_group(path: Path, group: int) -> list[bytes]:
    """The encoded audio of one row group; one is kept, so jobs come in the order of the file."""
    table = open_parquet(path).read_row_group(group, columns=["audio"])
    return [(audio or {}).get("bytes") or b"" for audio in table.column("audio").to_pylist()]


def _probe(job: AudioJob) -> AudioResult:
    file, container = open_audio(job.audio)
    with file:
        is_mp3 = file.subtype == "MPEG_LAYER_III" and file.format == "MP3"
        if file.frames >= _UNKNOWN_LENGTH or (is_mp3 and _mp3(job.audio).is_length_unknown):
            detail = f"{job.audio}: its header does not say how long it is; encode it again"
            return AudioResult(error=NO_LENGTH, detail=detail)
        seconds = file.frames / file.samplerate
        if seconds == 0:
            return AudioResult(error=EMPTY, detail=str(job.audio))
        adjusted = () if container.unfinished is None else (UNFINISHED_HEADER,)
        if not _means_all(job, seconds):
            return _probe_part(job, seconds, adjusted)
        is_fit = container.is_read_in_place and _is_used_in_place(file, job.audio)
        cut = _cut_short(file, is_decoded=not is_fit)
        if cut:
            return AudioResult(error=CUT, detail=f"{cut} in {job.audio}")
        more = _continues(file, container, job.audio)
        if more:
            return AudioResult(error=CONTINUES, detail=f"{more} in {job.audio}")
        return AudioResult(seconds, file.frames if is_fit else 0, adjusted=adjusted)


def _means_all(job: AudioJob, seconds: float) -> bool:
    """Whether a file is meant as a whole: no part, or one as long as the file but for rounding."""
    if job.start_seconds:
        return False
    return job.duration_seconds is None or abs(job.duration_seconds - seconds) <= _SAME_SECONDS


def _probe_part(job: AudioJob, seconds: float, adjusted: tuple[str, ...]) -> AudioResult:
    """The part of a file of some seconds that is meant; a rounded duration ends with the file."""
    start = job.start_seconds
    end = seconds if job.duration_seconds is None else start + job.duration_seconds
    if end > seconds + ROUNDED_SECONDS or min(end, seconds) <= start:
        detail = f"{start:g} s to {end:g} s of {seconds:.3f} s in {job.audio}"
        if 10 * seconds < end <= 1000 * (seconds + ROUNDED_SECONDS):
            detail += "; are these milliseconds?"
        return AudioResult(error=OUTSIDE, detail=detail)
    if end > seconds + _NO_EXCESS:
        adjusted = (*adjusted, ROUNDED_DURATION)
    return AudioResult(min(end, seconds) - start, adjusted=adjusted)


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
    if found is None or int(found[1]) >= UNKNOWN_BYTES:
        return ""
    promised, there = int(found[1]), int(found[2])
    seconds = file.frames / file.samplerate
    full = seconds * promised / there
    return f"{seconds:.2f} s of {full:.2f} s" if is_cut(seconds, full) else ""


def _continues(
    file: soundfile.SoundFile, container: Container, audio: Path | ParquetAudio
) -> str:
    """What a file holds behind the end that its header gives, found without decoding it."""
    seconds = file.frames / file.samplerate
    if file.format in ("FLAC", "OGG"):
        data = container.readable(_bytes_of(audio))
        if file.format == "OGG":
            return f"a second Ogg stream behind {seconds:.2f} s" * has_second_ogg(data)
        return f"more than {seconds:.2f} s" * flac_continues(data, file.frames)
    full = seconds * (1 + container.share_beyond)
    if file.format == "MP3" and file.subtype == "MPEG_LAYER_III":
        mp3 = _mp3(audio)
        if mp3.has_two_rates:
            return "frames of two sample rates"
        if mp3.seconds_said is not None:
            seconds, full = mp3.seconds_said, mp3.seconds
    return f"{full:.2f} s of audio behind a header of {seconds:.2f} s" * is_cut(seconds, full)


def is_cut(seconds: float, full: float) -> bool:
    """Whether so much of a full length is missing that words may be."""
    return full - seconds > max(_CUT_SECONDS, _CUT_SHARE * full)


def _is_used_in_place(file: soundfile.SoundFile, audio: Path | ParquetAudio) -> bool:
    if not isinstance(audio, Path) or not file.seekable():
        return False
    if file.samplerate != SAMPLE_RATE or file.channels != 1:
        return False
    if any(part in str(audio) for part in _UNFIT_FOR_A_MANIFEST):
        return False
    if ":" in str(audio) and audio.suffix not in _NO_ZIP_SLICES:
        return False
    return file.subtype.startswith("PCM_")  # so is FLAC's
