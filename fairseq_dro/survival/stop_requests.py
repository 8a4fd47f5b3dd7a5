"""Requests to stop, by signal: noted here, honoured by whoever trains.

SIGTERM is what schedulers send before they kill (Slurm, Kubernetes, torchrun, a spot instance);
SIGUSR1 is what Slurm's ``--signal=USR1@120`` sends as an early warning. Both only set a flag,
however often they come: a scheduler that signals every process and a launcher that passes the
signal on to its workers add up to two. SIGINT (Ctrl-C) still ends a run at once.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

EXIT_STATUS = 143
"""Of a run that was asked to stop and has saved: 128 + SIGTERM, what a shell reports for a process
that SIGTERM ended, so that schedulers and scripts take it for a preemption: neither done (0) nor
failed (1, 2)."""

INTERRUPTED_STATUS = 130
"""Of a run that Ctrl-C ended: 128 + SIGINT."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

_requested = False
_blocks_in_children = False


def requested() -> bool:
    """Whether a signal has asked this process to stop."""
    return _requested


def listen(forward: Callable[[int], None] | None = None) -> None:
    """Note `SIGNALS` from now on, except those that another part of the program listens to.

    Args:
        forward: called with the signal's number as well, in a process that only waits for others.

    Outside the main thread, where Python handles no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda number, frame: _note(number, frame, forward))
    if forward is None:
        _let_children_ignore_them()


def _note(number: int, frame: FrameType | None, forward: Callable[[int], None] | None) -> None:
    global _requested
    if not _requested:
        # logging could be interrupted in the middle of itself; a bare write cannot
        over_the_bar = "\r\x1b[K" if os.isatty(2) else ""
        name = signal.Signals(number).name
        os.write(2, f"{over_the_bar}{name}: saving at the next update\n".encode())
    _requested = True
    if forward is not None:
        forward(number)


def _let_children_ignore_them() -> None:
    """Loader processes must outlive a signal to the whole process group, as Slurm sends it.

    One that dies takes the training process with it (torch raises "DataLoader worker is killed by
    signal"), and their own handler comes after any that they inherit; a blocked signal stays
    blocked. They end when training does: see ``end_children``.
    """
    global _blocks_in_children
    if not _blocks_in_children:
        _blocks_in_children = True
        os.register_at_fork(
            after_in_child=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        )
        # multiprocessing was imported before, so that its own exit function comes after this one
        atexit.register(end_children)


def end_children() -> None:
    """Kill the loader processes that are left when training is over.

    multiprocessing ends daemons at exit by SIGTERM, which these do not hear, and waits for them.
    """
    children = [child for child in multiprocessing.active_children() if child.daemon]
    if children and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's would report them as lost
    for child in children:
        child.kill()
        child.join()
