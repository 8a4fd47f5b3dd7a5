"""Findings about audio files, by their headers or by reading them.

Shapes: T samples, C channels.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import soundfile

from fairseq_dro.checks.finding import (
    MOST_PLACES,
    SPOILS_FROM,
    Finding,
    Severity,
    counts_by_language,
    in_languages,
    places,
)
from fairseq_dro.data.lines import split_zip_slice
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.processes import in_processes

SILENT_DBFS = -60.0
"""A file whose loudest 20 ms are below this holds no speech that a microphone recorded."""
CLIPPED_SHARE = 1e-3
"""Share of samples in runs of three or more at the file's largest value, from which it is clipped.
In 250 recordings of 17 sources that were not clipped the most was 3 in 10^4."""
QUIET = 0.01  # below this peak a few equal samples are steps of quantisation, not clipping
UNREADABLE = (OSError, EOFError, RuntimeError, TypeError, ValueError)
"""What soundfile raises: TypeError for the suffix .raw, whose rate stands nowhere."""
LEAST_SPOILT = 3  # bad files without which a share of a small sample says nothing

FIXES = {
    "audio_missing": "restore the files, or fix the root folder in line 1 of the .tsv",
    "audio_unreadable": "restore the files, or remove their lines from all files of the split",
    "audio_cut": "restore the files, or write their lines again with `fairseq-dro prepare`",
    "audio_rate": "convert them with `fairseq-dro prepare`, or `sox IN -r {rate} -c 1 OUT`",
    "audio_channels": "convert them with `fairseq-dro prepare`, or `sox IN -c 1 OUT`; training "
    "averages the channels, which can cancel a voice",
    "audio_silent": "listen to them, and remove those without speech from all files of the split",
}
CLIPPED = (
    "listen to them: speech is heard through it, and training can start; the recordings came "
    "clipped (`fairseq-dro prepare` scales and never clips), so only a better source helps"
)
WHATS = {
    "audio_missing": "files that do not exist",
    "audio_unreadable": "files that cannot be read",
    "audio_cut": "files that do not hold the samples that the manifest says",
    "audio_rate": "another sample rate than {rate} Hz",
    "audio_channels": "more than one channel",
    "audio_silent": "silence",
}
SPOILS = {"audio_silent": SPOILS_FROM}
"""Share of a language's files from which a defect is an error; speech is heard through clipping."""
STOPS_TRAINING = ("audio_missing", "audio_unreadable", "audio_cut", "audio_rate")


@dataclass(frozen=True)
class AudioJob:
    """A file and what the manifest says of it."""

    row: int
    path: str
    n_samples: int
    sample_rate: int


def audio_findings(
    chosen: Iterable[tuple[Manifest, Sequence[int]]], sample_rate: int, workers: int = 1
) -> list[Finding]:
    """Read the audio of some rows of each split and report by kind and split.

    Silence is an error where a language has it in more than ``SPOILS`` of its files that were read.
    Clipping is reported once, of all splits together.
    """
    findings, clipped = [], []
    n_read = 0
    for manifest, rows in chosen:
        jobs = [_job(manifest, row, sample_rate) for row in rows]
        n_read += len(jobs)
        found: dict[str, list[tuple[int, str]]] = {}
        for job, defects in zip(jobs, _examine_all(jobs, workers)):
            for kind, detail in defects:
                found.setdefault(kind, []).append((job.row, detail))
        if "audio_clipped" in found:
            clipped.append((manifest, found.pop("audio_clipped")))
        findings += [
            _finding(manifest, kind, found[kind], jobs, sample_rate)
            for kind in WHATS
            if kind in found
        ]
    return [*findings, *_clipping(clipped, n_read)]


def header_findings(
    manifest: Manifest, rows: Sequence[int], sample_rate: int
) -> list[Finding]:
    """What the headers of some rows tell, by kind: files that training could not use."""
    jobs = [_job(manifest, row, sample_rate) for row in rows]
    found: dict[str, list[tuple[int, str]]] = {}
    for job in jobs:
        for kind, detail in header_defects(job):
            found.setdefault(kind, []).append((job.row, detail))
    return [_finding(manifest, kind, bad, jobs, sample_rate) for kind, bad in found.items()]


def _job(manifest: Manifest, row: int, sample_rate: int) -> AudioJob:
    path, n_samples = str(manifest.audio_path(row)), int(manifest.n_samples[row])
    return AudioJob(int(row), path, n_samples, sample_rate)


def _finding(
    manifest: Manifest, kind: str, bad: Sequence[tuple[int, str]], jobs: Sequence[AudioJob],
    sample_rate: int,
) -> Finding:  # fmt: skip
    rows = [row for row, _ in bad]
    is_error = kind in STOPS_TRAINING
    if kind in SPOILS:
        n_bad = counts_by_language(manifest, rows)
        n_read = counts_by_language(manifest, [job.row for job in jobs])
        is_error = bool((n_bad >= np.maximum(LEAST_SPOILT, SPOILS[kind] * n_read)).any())
    return Finding(
        kind,
        Severity.ERROR if is_error else Severity.WARNING,
        f"{WHATS[kind].format(rate=sample_rate)}: {len(bad)} of {len(jobs)} files read "
        f"of {manifest.split}{in_languages(manifest, rows)}",
        FIXES[kind].format(rate=sample_rate),
        len(bad),
        places(manifest, rows, "tsv", [detail for _, detail in bad]),
    )


def _clipping(
    clipped: Sequence[tuple[Manifest, list[tuple[int, str]]]], n_read: int
) -> list[Finding]:
    """One warning for all splits."""
    if not clipped:
        return []
    told, named = [], []
    for manifest, bad in clipped:
        rows = [row for row, _ in bad]
        told += places(manifest, rows, "tsv", [detail for _, detail in bad])
        named.append(f"{len(bad)} of {manifest.split}{in_languages(manifest, rows)}")
    count = sum(len(bad) for _, bad in clipped)
    return [
        Finding(
            "audio_clipped", Severity.WARNING,
            f"clipping in {count} of {n_read} files read: {', '.join(named)}",
            CLIPPED, count,
            tuple(told[:MOST_PLACES]),
        )
    ]  # fmt: skip


def header_defects(job: AudioJob) -> list[tuple[str, str]]:
    """(kind, detail) of each defect that the header of one file tells, or that it is not there."""
    path, zip_slice = split_zip_slice(job.path)
    if not os.path.exists(path):
        return [("audio_missing", path)]
    if zip_slice is not None:
        return []
    try:
        header = soundfile.info(path)
    except UNREADABLE as error:
        return [_unreadable(error)]
    return _stated(job, header.samplerate, header.frames)


def _unreadable(error: Exception) -> tuple[str, str]:
    return "audio_unreadable", str(error).rstrip(".").replace("\n", " ")


def _stated(job: AudioJob, rate: int, n_samples: int) -> list[tuple[str, str]]:
    """Defects of what a file states, beside what the manifest says."""
    defects = []
    if rate != job.sample_rate:
        defects.append(("audio_rate", f"{rate} Hz"))
    if n_samples != job.n_samples:
        defects.append(("audio_cut", f"{n_samples} samples, the manifest says {job.n_samples}"))
    return defects


def examine(job: AudioJob) -> list[tuple[str, str]]:
    """(kind, detail) of each defect of one file; never raises because of a file."""
    path, zip_slice = split_zip_slice(job.path)
    if not os.path.exists(path):
        return [("audio_missing", path)]
    try:
        source = path if zip_slice is None else io.BytesIO(_slice(path, *zip_slice))
        with soundfile.SoundFile(source) as file:
            rate, channels, frames = file.samplerate, file.channels, file.frames
            audio = file.read(dtype="float32", always_2d=True)  # [T, C]
    except UNREADABLE as error:
        return [_unreadable(error)]
    defects = _stated(job, rate, len(audio))
    if len(audio) < frames and len(audio) == job.n_samples:
        defects.append(("audio_cut", f"{len(audio)} samples, the header says {frames}"))
    if channels > 1:
        defects.append(("audio_channels", f"{channels} channels"))
    if len(audio):
        defects += sound_defects(audio.mean(axis=1), rate)
    return defects


def sound_defects(audio: np.ndarray, rate: int) -> list[tuple[str, str]]:
    """Silence and clipping of [T] samples in -1 to 1."""
    loudest = loudest_dbfs(audio, rate)
    if not np.isfinite(audio).all():
        return [("audio_unreadable", "it holds numbers that are not finite")]
    if loudest < SILENT_DBFS:
        return [("audio_silent", f"the loudest 20 ms have {loudest:.0f} dBFS")]
    clipped = clipped_share(audio)
    if clipped >= CLIPPED_SHARE:
        return [("audio_clipped", f"{100 * clipped:.1f} % of the samples")]
    return []


def loudest_dbfs(audio: np.ndarray, rate: int) -> float:
    """Root mean square of the loudest 20 ms, in dB of full scale; -inf where all is zero."""
    size = max(rate // 50, 1)
    whole = audio[: len(audio) // size * size] if len(audio) >= size else audio
    power = np.square(whole.astype(np.float64)).reshape(-1, min(size, len(audio))).mean(axis=1)
    return float(10 * np.log10(power.max())) if power.max() > 0 else float("-inf")


def clipped_share(audio: np.ndarray) -> float:
    """Share of samples in runs of three or more that lie at the largest absolute value.

    Clipping need not be at full scale: a clipped recording that was turned down has its flat tops
    lower.
    """
    magnitude = np.abs(audio)
    if len(audio) < 3 or magnitude.max() < QUIET:
        return 0.0
    at_top = magnitude >= magnitude.max() * (1 - 2**-10)
    inner = at_top[:-2] & at_top[1:-1] & at_top[2:] & (np.sign(audio[:-2]) == np.sign(audio[2:]))
    in_run = np.zeros(len(audio), bool)
    for shift in range(3):
        in_run[shift : shift + len(inner)] |= inner
    return float(in_run.mean())


def _examine_all(jobs: Sequence[AudioJob], workers: int) -> Iterable[list[tuple[str, str]]]:
    if workers <= 1 or len(jobs) < 200:
        return map(examine, jobs)
    chunks = [jobs[first : first + 50] for first in range(0, len(jobs), 50)]
    return chain.from_iterable(in_processes(_examine_some, chunks, workers))


def _examine_some(jobs: Sequence[AudioJob]) -> list[list[tuple[str, str]]]:
    return [examine(job) for job in jobs]


def _slice(path: str, offset: int, length: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


def sample_per_language(manifest: Manifest, at_most: int) -> list[int]:
    """Evenly spaced utterances of each language, ``at_most`` of each."""
    order = np.argsort(manifest.languages.codes, kind="stable")
    sizes = np.bincount(manifest.languages.codes, minlength=len(manifest.languages.names))
    chosen = [
        order[end - size + np.linspace(0, size - 1, min(at_most, size)).astype(int)]
        for end, size in zip(np.cumsum(sizes).tolist(), sizes.tolist())
    ]
    return np.sort(np.concatenate(chosen)).tolist() if chosen else []
