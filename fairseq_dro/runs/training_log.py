"""fairseq's own log: rates, updates and wall time of a run, whatever its task and criterion.

Each line is ``[time][logger][level] - message`` (hydra's format). The messages of interest end an
epoch (``[train]``) or a validation (the name of the split), in the words of one of fairseq's
progress bars (``logging/progress_bar.py:242`` and ``:305``):

    [2026-11-22 17:58:26,633][valid][INFO] - epoch 001 | valid on 'valid' subset | wer 100 | ...
    [2026-11-22 17:58:26,633][valid][INFO] - {"epoch": 1, "valid_wer": "100", ...}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_LINE = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+\]\[([^\]]+)\]\[\w+\] - (.*)")
_TRAINING = ("train", "train_inner")
_START = "{'_name': None, 'common':"  # fairseq_cli/train.py:58 logs the configuration first
_BEGUN = "Start iterating over samples"
_END = "done training in"
_PLANNED = re.compile(r"'max_update': (\d+)")
_SAVED = re.compile(r"Saved checkpoint .* \(epoch \d+ @ (\d+) updates")  # checkpoint_utils.py:155
_STOPPED = re.compile(r"stopped as asked at update (\d+)[^;]*; (.+)")  # survival/preemption.py


@dataclass
class TrainingLog:
    """What the log of one run says, over all its starts that trained.

    Attributes:
        n_starts: how often training was started; above 1 after a kill.
        waits: whether the last start has made no update: it was refused, or has yet to begin.
        planned_updates: ``optimization.max_update`` of the last start that trained, or 0.
        stopped_at: the update at which the last start stopped as it was asked to.
        how_to_resume: what it said then.
        wall_seconds: between the first and the last line of each start, summed.
        last_update: highest update that any line tells of.
        saved_update: of the newest checkpoint; 0 where no line tells of one.
        finished: whether the last start came to its end.
        validations: by split, lines by ascending update; rates are fractions.
    """

    n_starts: int = 0
    wall_seconds: float = 0.0
    last_update: int = 0
    saved_update: int = 0
    finished: bool = False
    waits: bool = False
    planned_updates: int = 0
    stopped_at: int | None = None
    how_to_resume: str = ""
    validations: dict[str, list[dict[str, float]]] = field(default_factory=dict)


def read_training_log(path: Path) -> TrainingLog:
    """Read a log of any length line by line; what cannot be read is passed over."""
    log = TrainingLog()
    start = latest = None
    planned = 0
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            match = _LINE.match(line)
            if match is None:
                continue
            time, logger, message = datetime.fromisoformat(match[1]), match[2], match[3]
            if message.startswith(_START) and logger == "fairseq_cli.train":
                if not log.waits:
                    log.wall_seconds += _between(start, latest)
                log.waits, start = True, time
                planned = int((_PLANNED.search(message) or (0, 0))[1])
            start = start or time
            latest = time
            made_updates = _take(log, logger, message)
            if log.waits and (made_updates or message.startswith(_BEGUN)):
                log.waits, log.finished, log.stopped_at = False, False, None
                log.planned_updates = planned
                log.n_starts += 1
            if message.startswith(_END):
                log.finished, log.waits = True, False
            saved = _SAVED.match(message)
            if saved:
                log.saved_update = int(saved[1])
            stopped = _STOPPED.match(message)
            if stopped:
                log.stopped_at, log.how_to_resume = int(stopped[1]), stopped[2]
    if not log.waits:
        log.wall_seconds += _between(start, latest)
    log.n_starts = max(log.n_starts, int(start is not None))
    return log


def _between(start: datetime | None, end: datetime | None) -> float:
    return (end - start).total_seconds() if start and end else 0.0


def _take(log: TrainingLog, logger: str, message: str) -> bool:
    """Keep what one line tells; whether it tells of updates."""
    numbers = _numbers(logger, message)
    update = int(numbers.get("num_updates", 0))
    log.last_update = max(log.last_update, update)
    if not update or logger in _TRAINING or "loss" not in numbers:
        return update > 0
    row = {"update": float(update), "loss": numbers["loss"]}  # bits, as fairseq logs it
    row.update({key: numbers[key] / 100 for key in ("uer", "cer", "wer") if key in numbers})
    kept = log.validations.setdefault(logger, [])
    while kept and kept[-1]["update"] >= update:  # an earlier start's, which a later one repeats
        kept.pop()
    kept.append(row)
    return True


def _numbers(logger: str, message: str) -> dict[str, float]:
    """The numbers of one progress line by name, without the prefix that JSON lines carry."""
    if message.startswith("{"):
        try:
            pairs = list(json.loads(message).items())
        except (json.JSONDecodeError, AttributeError):
            return {}
        pairs = [(key.removeprefix(f"{logger}_"), value) for key, value in pairs]
    elif " | " in message:
        pairs = [part.rsplit(" ", 1) for part in message.split(" | ") if " " in part.strip()]
    else:  # "epoch 001:  50 / 64 loss=126.4, num_updates=50, ..."
        pairs = [part.split()[-1].split("=", 1) for part in message.split(",") if "=" in part]
    numbers = {}
    for pair in pairs:
        try:
            numbers[str(pair[0]).strip()] = float(pair[1])
        except (TypeError, ValueError, IndexError):
            continue
    return numbers
