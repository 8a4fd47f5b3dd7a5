"""What can be seen of a run from outside, looked at again and again at little cost."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from fairseq_dro.runs.history import GROUP_WEIGHTS_FILE, HISTORY_FILE, read_records
from fairseq_dro.runs.progress import PROGRESS_FILE, Progress, read_progress
from fairseq_dro.survival.lock_file import LOCK_FILE, look

_TAIL_BYTES = 1 << 18  # of group_weights.jsonl, whose lines have 8 kB for 143 groups
_FILES = (HISTORY_FILE, GROUP_WEIGHTS_FILE, PROGRESS_FILE, LOCK_FILE, "hydra_train.log")


class SeenRun:
    """A run folder; ``look`` renews what it says.

    Attributes:
        progress: update n of N and what goes with it; None before the first update.
        validations: lines of ``history.jsonl`` of the first split, by ascending update.
        q: latest weight of each group.
        is_going: whether somebody writes in the folder; for a run without a lock, whether its files
            changed in the last quarter of an hour.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.progress: Progress | None = None
        self.validations: list[dict[str, Any]] = []
        self.q: dict[str, float] = {}
        self.is_going = False
        self._history_then: tuple[int, int] | None = None

    @property
    def is_run(self) -> bool:
        """Whether the folder holds anything of a run."""
        return any((self.folder / name).exists() for name in _FILES)

    @property
    def update(self) -> int:
        """The latest update that any file tells of."""
        known = [int(record["update"]) for record in self.validations[-1:]]
        known += [self.progress.update] if self.progress is not None else []
        return max(known, default=0)

    @property
    def is_finished(self) -> bool:
        """Whether the planned updates are made."""
        return self.progress is not None and 0 < (self.progress.of or 0) <= self.progress.update

    def look(self) -> None:
        """Read what has changed."""
        self.progress = read_progress(self.folder)
        path = self.folder / HISTORY_FILE
        now = _mark(path)
        if now is not None and now != self._history_then:
            self._history_then = now
            records = [r for r in read_records(path) if isinstance(r.get("languages"), dict)]
            first = records[0].get("subset") if records else None
            self.validations = [record for record in records if record.get("subset") == first]
        self.q = self._latest_q()
        use = look(self.folder)
        self.is_going = use.is_alive if use is not None else self._is_fresh_without_lock()

    def _latest_q(self) -> dict[str, float]:
        last = self.validations[-1] if self.validations else {"update": -1, "languages": {}}
        q = {g: row["q"] for g, row in last["languages"].items() if row.get("q") is not None}
        move = _last_record(self.folder / GROUP_WEIGHTS_FILE)
        if move is not None and move["update"] >= last["update"]:
            q = dict(move["q"])
        return q

    def _is_fresh_without_lock(self) -> bool:
        if (self.folder / PROGRESS_FILE).exists():  # of a version that takes a lock
            return False
        marks = [_mark(self.folder / name) for name in _FILES]
        newest = max((mark[0] / 1e9 for mark in marks if mark is not None), default=0.0)
        return time.time() - newest < 900


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _last_record(path: Path) -> dict[str, Any] | None:
    """The last whole line of a file that may be large and is being written."""
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            lines = stream.read().split(b"\n")
    except OSError:
        return None
    for line in reversed(lines):
        try:
            record = json.loads(line)
            if isinstance(record["q"], dict) and record["update"] >= 0:
                return record
        except (ValueError, TypeError, KeyError):
            continue
    return None
