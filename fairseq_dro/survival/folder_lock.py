"""One writer per folder: a lock that a kill opens, on one machine and across machines.

The file ``in_use.lock`` is in the folder while somebody writes there. It says who (JSON), and its
holder gives two signs of life:

- an flock on the file. The kernel drops it when the process ends, however it ends, so on one
  machine a killed run's folder is free at once. NFS passes it on to other machines, but not under
  every mount option, and some file systems have none.
- a beat: every ``BEAT_SECONDS`` a thread rewrites the file. A holder on another machine, or one
  on a file system without flock, counts as gone when no beat came for ``LIMIT_SECONDS`` by the
  clock of the file system, and none in ``WATCHED_SECONDS`` of being watched. Until then whoever
  wants the folder waits; at the first beat it is refused.

A holder that was silent for longer (stopped, or cut off from the file system) can so lose the
folder while it lives. Its thread notices before it writes another beat, and ends the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.survival import lock_file
from fairseq_dro.survival.lock_file import LOCK_FILE, Holder

BEAT_SECONDS = 15.0
WATCHED_SECONDS = 45.0
FIRST_BEAT_SECONDS = 2.0
"""So soon a holder finds out that another machine, whose flock it cannot see, began with it."""
_PATIENCE_SECONDS = 1.0  # a reader holds the flock for a moment, a new holder writes late


class FolderLock:
    """A folder that this process holds; made by ``take``, ended by ``release``."""

    def __init__(self, folder: Path, descriptor: int, holder: Holder) -> None:
        self.folder = folder
        self.holder = holder
        self._descriptor = descriptor
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="folder lock", daemon=True)
        _held.append(self)
        self._write()
        self._thread.start()

    def release(self) -> None:
        """Free the folder; nothing in a forked child, and nothing the second time."""
        if self not in _held:
            return
        self._ended.set()
        self._thread.join(timeout=5)
        _held.remove(self)
        path = self.folder / LOCK_FILE
        with contextlib.suppress(OSError):
            if lock_file.is_file_of(self._descriptor, path):
                path.unlink()
        os.close(self._descriptor)

    def _write(self) -> None:
        """In place, for the flock belongs to this very file; one write of fixed length."""
        record = json.dumps(asdict(self.holder)).encode().ljust(lock_file.RECORD_BYTES - 1) + b"\n"
        with contextlib.suppress(OSError):  # no beat then; the next one may come through
            os.pwrite(self._descriptor, record, 0)
            os.fsync(self._descriptor)

    def _beat(self) -> None:
        seconds = FIRST_BEAT_SECONDS
        while not self._ended.wait(seconds):
            seconds = BEAT_SECONDS
            path = self.folder / LOCK_FILE
            try:
                there = lock_file.read(path)
            except FileNotFoundError:
                self._put_back(path)
                continue
            except OSError:
                continue
            if there is not None and there.token != self.holder.token:
                _end_process(self.folder, there)
            self.holder = replace(self.holder, beat=self.holder.beat + 1)
            self._write()

    def _put_back(self, path: Path) -> None:
        """The file was removed by hand while the holder lives; with its folder, nothing is left."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError:
            return
        lock_file.flock(descriptor)
        os.dup2(descriptor, self._descriptor, inheritable=False)
        os.close(descriptor)
        self._write()


def take(
    folder: str | Path,
    *,
    named: str,
    instead: str,
    doing: Callable[[], str] = lambda: "",
    say: Callable[[str], None] = lambda text: None,
) -> FolderLock:
    """Hold a folder that exists.

    Args:
        named: the folder as the user knows it.
        instead: what to type to use another one.
        doing: how far the holder is, such as ``update 34``; asked only for the message.
        say: called with a sentence when this waits for a holder on another machine.

    Raises:
        UserError: somebody else holds it.
        OSError: the lock's file cannot be made.
    """
    path = Path(folder) / LOCK_FILE
    patience = time.monotonic() + _PATIENCE_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        lock = None
        try:
            locked = lock_file.flock(descriptor)
            there = lock_file.parse(os.pread(descriptor, lock_file.RECORD_BYTES, 0))
            is_here = there is None or there.machine == lock_file.machine()
            is_late = time.monotonic() > patience
            if not lock_file.is_file_of(descriptor, path):
                is_free = False  # the holder has just released it: there may be a new file
            elif locked is not False and (there is None or (locked and is_here)):
                is_free = locked is True or is_late  # else its maker may be about to write it
            elif locked is False and is_here:
                is_free = False
                if is_late:
                    raise UserError(_refusal(named, there, instead, doing))
            else:
                is_free = _is_gone(path, there, named, say, lambda there=there: UserError(
                    _refusal(named, there, instead, doing)
                ))  # fmt: skip
                if is_free and locked is False:
                    raise UserError(
                        f"{named}: process {there.pid} on host {there.host} shows no sign of "
                        f"life, but the file system still holds its lock: where that process has "
                        f"ended, remove {path}."
                    )
            if is_free:
                lock = _hold(Path(folder), descriptor)
                return lock
        finally:
            if lock is None:
                os.close(descriptor)
        time.sleep(0.05)


def _hold(folder: Path, descriptor: int) -> FolderLock:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    token = secrets.token_hex(8)
    holder = Holder(socket.gethostname(), lock_file.machine(), os.getpid(), now, token)
    return FolderLock(folder, descriptor, holder)


def _is_gone(
    path: Path,
    there: Holder,
    named: str,
    say: Callable[[str], None],
    refusal: Callable[[], UserError],
) -> bool:
    """Watch a holder that only its beats tell of; True once it counts as gone, False when the file
    has changed hands.

    Raises:
        UserError: ``refusal``, at its next sign of life.
    """
    silent, begun, said = _silent_seconds(path), time.monotonic(), False
    while True:
        watched = time.monotonic() - begun
        if watched >= WATCHED_SECONDS and silent + watched >= lock_file.LIMIT_SECONDS:
            return True
        if watched > _PATIENCE_SECONDS and not said:
            said = True
            wait = max(WATCHED_SECONDS, lock_file.LIMIT_SECONDS - silent)
            say(
                f"{named} was in use by process {there.pid} on host {there.host} (last sign of "
                f"life {silent:.0f} s ago): waiting up to {wait:.0f} s to see whether it still is"
            )
        time.sleep(min(1.0, BEAT_SECONDS / 4))
        try:
            now = lock_file.read(path)
        except OSError:
            return False
        if now is not None and now.token != there.token:
            return False
        if now is not None and now.beat != there.beat:
            raise refusal()


def _silent_seconds(path: Path) -> float:
    """Since the last beat, by the clock of the file system, as hosts may disagree on the time."""
    probe = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        probe.write_bytes(b"?")
        return max(0.0, probe.stat().st_mtime - path.stat().st_mtime)
    except OSError:
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _refusal(
    named: str, there: Holder | None, instead: str, doing: Callable[[], str]
) -> str:
    if there is None:
        return f"{named} is in use by another process. Wait for it, or {instead}"
    far = doing()
    where = "" if there.machine == lock_file.machine() else f" on {there.host}"
    kill = f"kill {there.pid}{where}"
    return (
        f"{named} is in use by process {there.pid} on host {there.host} (started "
        f"{_clock(there.started)}{', ' if far else ''}{far}). Wait for it, stop it ({kill}), or "
        f"{instead}"
    )


def _clock(started: str) -> str:
    """Local time of day, with the date where it is another one."""
    try:
        then = datetime.fromisoformat(started).astimezone()
    except ValueError:
        return started
    same_day = then.date() == datetime.now().astimezone().date()
    return then.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M")


def _end_process(folder: Path, there: Holder) -> None:
    """A fence: the folder has another writer now, and this process may be anywhere in its work."""
    sentence = (
        f"\nerror: {folder} was taken over by process {there.pid} on host {there.host}, since this "
        f"process gave no sign of life for {lock_file.LIMIT_SECONDS:.0f} s: nothing more is "
        "written here.\n"
    )
    sys.stdout.flush()
    os.write(2, sentence.encode(errors="replace"))
    os._exit(2)


_held: list[FolderLock] = []


def _let_go_in_child() -> None:
    """A loader process must not keep the flock of a trainer that is dead."""
    for lock in _held:
        os.close(lock._descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
