"""Whether a run is finished, stopped or going, as far as what it leaves behind tells."""

from __future__ import annotations

import time

from fairseq_dro.report.blocks import duration
from fairseq_dro.report.history import GROUP_WEIGHTS_FILE, HISTORY_FILE
from fairseq_dro.report.process import is_alive
from fairseq_dro.report.training_run import LOG_FILE, TrainingRun

_LAST = "checkpoint_last.pt"
_SILENT_SECONDS = 900  # files untouched for longer belong to no run that is still going


def state_of(run: TrainingRun, now: float | None = None) -> str:
    """``finished``, ``stopped at update 7 (...)`` or ``going (last sign of life 12 s ago)``.

    By the log's last line, else by the process that trained last, where it was one of this
    machine, else by how long the files are silent. A start that made no update says nothing of
    the run.

    Args:
        now: seconds since the epoch.
    """
    if run.log.finished:
        return "finished"
    alive = is_alive(run.starts[-1].get("process")) if run.starts else None
    if run.log.stopped_at is not None and not alive:
        return f"stopped at update {run.log.stopped_at:,} ({run.log.how_to_go_on})"
    if 0 < run.planned_updates <= run.updates and not alive:
        return "finished"
    silent = max(0.0, (time.time() if now is None else now) - _last_sign(run))
    if alive or (alive is None and silent < _SILENT_SECONDS):
        return f"going (last sign of life {duration(silent)} ago)"
    return f"stopped at update {run.updates:,} ({_how_to_go_on(run)})"


def _last_sign(run: TrainingRun) -> float:
    """When a file of the run was last written, in seconds since the epoch."""
    names = [HISTORY_FILE, GROUP_WEIGHTS_FILE]
    if not (run.log.waits and run.updates):
        names.append(LOG_FILE)
    files = [run.folder / name for name in names]
    return max((path.stat().st_mtime for path in files if path.exists()), default=0.0)


def _how_to_go_on(run: TrainingRun) -> str:
    if (run.checkpoints / _LAST).exists():
        return f"the same command goes on from {_LAST}"
    return f"there is no {_LAST} to go on from"
