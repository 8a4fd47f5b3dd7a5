"""Read headers and convert audio with all cores, in the order of the jobs, in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fairseq_dro.prepare.audio_conversion import convert_all
from fairseq_dro.prepare.audio_files import AudioJob, AudioResult, probe_all
from fairseq_dro.prepare.recording import ParquetAudio
from fairseq_dro.processes import in_processes
from fairseq_dro.progress import with_progress

HEADERS_PER_CHUNK = 256
CONVERSIONS_PER_CHUNK = 16

Chunk = Sequence[AudioJob]


def probe(jobs: Sequence[AudioJob], workers: int) -> list[AudioResult]:
    """Headers of all jobs, in their order."""
    return _run(probe_all, jobs, HEADERS_PER_CHUNK, workers, "headers")


def convert(jobs: Sequence[AudioJob], workers: int) -> list[AudioResult]:
    """Convert all jobs, in their order.

    Raises:
        UserError: a file cannot be written, or a process was killed.
    """
    return _run(convert_all, jobs, CONVERSIONS_PER_CHUNK, workers, "files converted")


def _run(
    function: Callable[[Chunk], list[AudioResult]], jobs: Sequence[AudioJob], size: int,
    workers: int, unit: str,
) -> list[AudioResult]:  # fmt: skip
    chunks = list(_chunks(jobs, size))
    # A process costs most of a second to start, so few jobs are done here
    workers = min(workers, len(chunks))
    done = map(function, chunks) if workers <= 1 else in_processes(function, chunks, workers)
    results = (result for chunk in done for result in chunk)
    return list(with_progress(results, len(jobs), unit))


def _chunks(jobs: Sequence[AudioJob], size: int) -> Iterator[Chunk]:
    """Jobs that follow each other; those of one row group of a Parquet file stay together."""
    chunk: list[AudioJob] = []
    for job in jobs:
        new_group = bool(chunk) and _row_group(job) != _row_group(chunk[-1])
        if new_group or (len(chunk) >= size and _row_group(job) is None):
            yield chunk
            chunk = []
        chunk.append(job)
    if chunk:
        yield chunk


def _row_group(job: AudioJob) -> tuple | None:
    audio = job.audio
    return (audio.path, audio.row_group) if isinstance(audio, ParquetAudio) else None
