"""Work on audio in several processes, in the order of the jobs, in little memory."""

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
from typing import TypeVar

from fairseq_dro.errors import UserError

JOBS_AHEAD = 4  # submitted per process: results wait in memory, so not all at once
Job = TypeVar("Job")
Result = TypeVar("Result")


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[Result]:
    """What ``function`` makes of each job; a process costs most of a second to start.

    Raises:
        UserError: a process was killed.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    try:
        left = iter(jobs)
        waiting: deque[Future] = deque(
            pool.submit(function, job) for job in islice(left, JOBS_AHEAD * workers)
        )
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, job) for job in islice(left, 1))
    except BrokenProcessPool:
        raise UserError(
            "A process that read audio was killed, perhaps for its memory: lower --workers and "
            "run the same command again; it resumes where it stopped."
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
