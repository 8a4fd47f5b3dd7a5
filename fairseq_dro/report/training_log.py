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
_END = "done training in"


@dataclass
class TrainingLog:
    """What the log of one run says, over all its starts.

    Attributes:
        n_starts: how often training was started; above 1 after a kill.
        wall_seconds: between the first and the last line of each start, summed.
        last_update: highest update that any line tells of.
        finished: whether the last start came to its end.
        validations: by split, lines by ascending update; rates are fractions.
    """

    n_starts: int = 0
    wall_seconds: float = 0.0
    last_update: int = 0
    finished: bool = False
    first_time: str = ""
    last_time: str = ""
    validations: dict[str, list[dict[str, float]]] = field(default_factory=dict)


def read_training_log(path: Path) -> TrainingLog:
    """Read a log of any length line by line; what cannot be read is passed over."""
    log = TrainingLog()
    start = latest = None
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            match = _LINE.match(line)
            if match is None:
                continue
            time = datetime.fromisoformat(match[1])
            if match[3].startswith(_START) and match[2] == "fairseq_cli.train":
                log.wall_seconds += _between(start, latest)
                log.n_starts += 1
                log.finished = False
                start = time
            start = start or time
            latest = time
            log.first_time = log.first_time or match[1]
            log.last_time = match[1]
            log.finished = log.finished or match[3].startswith(_END)
            _take(log, match[2], match[3])
    log.wall_seconds += _between(start, latest)
    log.n_starts = max(log.n_starts, int(start is not None))
    return log


def _between(start: datetime | None, end: datetime | None) -> float:
    return (end - start).total_seconds() if start and end else 0.0


def _take(log: TrainingLog, logger: str, message: str) -> None:
    numbers = _numbers(logger, message)
    update = int(numbers.get("num_updates", 0))
    log.last_update = max(log.last_update, update)
    if not update or logger in _TRAINING or "loss" not in numbers:
        return
    row = {"update": float(update), "loss": numbers["loss"]}  # bits, as fairseq logs it
    row.update({key: numbers[key] / 100 for key in ("uer", "cer", "wer") if key in numbers})
    kept = log.validations.setdefault(logger, [])
    while kept and kept[-1]["update"] >= update:  # an earlier start's, which a later one repeats
        kept.pop()
    kept.append(row)


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
