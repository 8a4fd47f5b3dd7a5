"""Whether a run is finished, stopped or going, as far as what it leaves behind tells."""

from __future__ import annotations

import time

from fairseq_dro.runs.durations import in_one_unit
from fairseq_dro.runs.history import GROUP_WEIGHTS_FILE, HISTORY_FILE
from fairseq_dro.runs.progress import PROGRESS_FILE
from fairseq_dro.runs.training_run import LOG_FILE, TrainingRun
from fairseq_dro.survival.lock_file import look

_LAST = "checkpoint_last.pt"
_SILENT_SECONDS = 900  # files untouched for longer belong to no run that is still going


def state_of(run: TrainingRun, now: float | None = None) -> str:
    """``finished``, ``stopped at update 7 (...)`` or ``going (last sign of life 12 s ago)``.

    By the log's last line, else by the lock of the folder, else, for a run that took none, by how
    long the files are silent. A start that made no update says nothing of the run.

    Args:
        now: seconds since the epoch.
    """
    if run.log.finished:
        return "finished"
    alive = _is_alive(run)
    if run.log.stopped_at is not None and not alive:
        return f"stopped at update {run.log.stopped_at:,} ({run.log.how_to_resume})"
    if 0 < run.planned_updates <= run.updates and not alive:
        return "finished"
    silent = max(0.0, (time.time() if now is None else now) - _last_sign(run))
    if alive or (alive is None and silent < _SILENT_SECONDS):
        return f"going (last sign of life {in_one_unit(silent)} ago)"
    return f"stopped at update {run.updates:,} ({_how_to_resume(run)})"


def _is_alive(run: TrainingRun) -> bool | None:
    """None where the run is of a version, or of fairseq's own, that takes no lock."""
    use = look(run.folder)
    if use is not None:
        return use.is_alive
    return False if run.starts and "lock" in run.starts[-1] else None


def _last_sign(run: TrainingRun) -> float:
    """When a file of the run was last written, in seconds since the epoch."""
    names = [HISTORY_FILE, GROUP_WEIGHTS_FILE, PROGRESS_FILE]
    if not (run.log.waits and run.updates):
        names.append(LOG_FILE)
    files = [run.folder / name for name in names]
    return max((path.stat().st_mtime for path in files if path.exists()), default=0.0)


def _how_to_resume(run: TrainingRun) -> str:
    if not (run.checkpoints / _LAST).exists():
        return "no checkpoint was saved: the same command starts over"
    saved = run.log.saved_update
    if not saved:
        return f"the same command resumes from {_LAST}"
    again = max(0, run.updates - saved)
    repeats = f" and makes {again:,} update{'s' if again > 1 else ''} again" if again else ""
    return f"the same command resumes from update {saved:,}{repeats}"
