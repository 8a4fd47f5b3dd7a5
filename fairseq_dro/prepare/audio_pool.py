"""Read headers and convert audio with all cores, in the order of the jobs, in little memory."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.audio_conversion import convert_all
from fairseq_dro.prepare.audio_files import AudioJob, AudioResult, probe_all
from fairseq_dro.prepare.recording import ParquetAudio
from fairseq_dro.progress import with_progress

HEADERS_PER_CHUNK = 256
CONVERSIONS_PER_CHUNK = 16
CHUNKS_AHEAD = 4  # submitted per process: results wait in memory, so not all at once

Chunk = Sequence[AudioJob]


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    done = map(function, chunks) if workers <= 1 else _in_processes(function, chunks, workers)
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


def _in_processes(
    function: Callable[[Chunk], list[AudioResult]], chunks: Sequence[Chunk], workers: int
) -> Iterator[list[AudioResult]]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    try:
        left = iter(chunks)
        waiting: deque[Future] = deque(
            pool.submit(function, chunk) for chunk in islice(left, CHUNKS_AHEAD * workers)
        )
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, chunk) for chunk in islice(left, 1))
    except BrokenProcessPool:
        raise UserError(
            "A process that read audio was killed, perhaps for its memory: lower --workers and "
            "give the same command again; it goes on where it stopped."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let no process outlive a command that SIGKILL ended, and none answer Ctrl-C itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
