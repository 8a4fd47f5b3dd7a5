"""What a lock's file says of who holds a folder, and a look at it that changes nothing.

The file has one record (JSON) of fixed length; its time of change is the holder's last beat.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE = "in_use.lock"
LIMIT_SECONDS = 120.0
"""Without a beat for so long, a holder of which the flock does not tell counts as gone."""
RECORD_BYTES = 512
_NO_FLOCK = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


@dataclass(frozen=True)
class Holder:
    """Who writes in a folder, as the lock's file says.

    Attributes:
        machine: tells one start of one kernel from all others; host names are not unique.
        started: when it took the folder, ISO 8601 in UTC.
        token: of this one holding.
        beat: how many beats it has written.
    """

    host: str
    machine: str
    pid: int
    started: str
    token: str
    beat: int = 0


@dataclass(frozen=True)
class Use:
    """What a look at a lock's file tells; ``silent_seconds`` since the last beat."""

    holder: Holder | None
    is_alive: bool
    silent_seconds: float


def look(folder: str | Path) -> Use | None:
    """Whether somebody writes in a folder; None where there is no lock's file. Changes nothing."""
    path = Path(folder) / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        silent = max(0.0, time.time() - os.fstat(descriptor).st_mtime)
        holder = parse(os.pread(descriptor, RECORD_BYTES, 0))
        locked = flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
    is_here = holder is not None and holder.machine == machine()
    if locked is False or (locked is True and is_here):
        return Use(holder, not locked, silent)
    return Use(holder, silent < LIMIT_SECONDS, silent)


def machine() -> str:
    """Of this start of this kernel; the host's name where the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


def flock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool | None:
    """Whether it is ours now; None where the file system knows no such thing."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno in _NO_FLOCK:
            return None
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise


def is_file_of(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except OSError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def read(path: Path) -> Holder | None:
    with open(path, "rb") as stream:
        return parse(stream.read(RECORD_BYTES))


def parse(record: bytes) -> Holder | None:
    """None for a file that is not written yet, or in the middle of a write."""
    try:
        return Holder(**json.loads(record))
    except (ValueError, TypeError):
        return None
