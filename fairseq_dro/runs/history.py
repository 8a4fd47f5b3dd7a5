"""``history.jsonl``: one line per validation, from which reports are made.

    {"format": 1, "update": 100, "epoch": 3, "subset": "valid", "objective": "ctc_dro",
     "group_by": "language", "loss_unit": "nats a batch of about 50 s",
     "loss_nats": 41.0, "loss_nats_per_character": 0.9, "cer": 0.3, "wer": 0.7,
     "mean_cer": 0.31, "worst_cer": 0.5, "worst_language": "deu",
     "languages": {"deu": {"q": 0.2, "train_loss_nats": 310.0, "n_utterances": 20,
                           "loss_nats": 41.2, "cer": 0.5, "wer": 0.8}, ...}}

``languages`` holds a row a group, and ``worst_language`` is one: languages, unless ``group_by``
(``task.group_by``) names other columns. Rates are fractions. ``loss_nats`` is the mean over
utterances of the validation split; ``train_loss_nats`` the group loss that last moved q, in
``loss_unit``, null before the group was first seen. A criterion that does not decode in validation
leaves the error rates out. Beside it, ``group_weights.jsonl`` holds one line per move of q:
{"format": 1, "update": 17, "q": {"deu": 0.2, ...}, "group_loss_nats": {...}}.

A run that was killed and started again repeats updates: the later lines count.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from pathlib import Path
from typing import Any

from fairseq_dro.errors import UserError

logger = logging.getLogger(__name__)

HISTORY_FORMAT = 1
HISTORY_FILE = "history.jsonl"
GROUP_WEIGHTS_FILE = "group_weights.jsonl"


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Write one line, whole or not at all as far as readers can see; NaN becomes null.

    Raises:
        UserError: the disk is full, or refuses otherwise.
    """
    line = json.dumps({"format": HISTORY_FORMAT, **_without_nan(record)}, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b") as stream:
            if stream.tell() > 0:  # a killed run can leave half a line: end it, do not extend it
                stream.seek(-1, 2)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(line.encode() + b"\n")
    except OSError as error:
        raise UserError(
            f"{path.absolute()} cannot be written: {error.strerror or error}: free some space or "
            "fix the disk, and run the same command again to resume from the last checkpoint."
        ) from error


def read_records(path: Path) -> list[dict[str, Any]]:
    """All whole lines by ascending update.

    Where the update falls back, a run resumed from an earlier checkpoint or started over: then
    the lines that it left behind do not count. A line that a kill cut in half does not either; a
    warning names it.
    """
    by_subset: dict[str, list[dict[str, Any]]] = {}
    with open(path, encoding="utf-8", errors="replace") as stream:
        lines = stream.read().split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            record["update"] + 0
        except (json.JSONDecodeError, TypeError, KeyError):
            logger.warning(
                "%s:%d is not a whole record, as a killed run leaves one; it is left out",
                path, number,
            )
            continue
        kept = by_subset.setdefault(record.get("subset", ""), [])
        while kept and kept[-1]["update"] >= record["update"]:
            kept.pop()
        kept.append(record)
    return sorted(
        (record for records in by_subset.values() for record in records),
        key=lambda record: record["update"],
    )


def count_falls(path: Path) -> int:
    """How often a line of a file is not of a later update than the one before it (of its subset).

    A run that was killed and started again falls back once per start, at most.
    """
    last: dict[str, float] = {}
    falls: Counter[str] = Counter()
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            try:
                record = json.loads(line)
                subset, update = record.get("subset", ""), record["update"] + 0
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
            falls[subset] += update <= last.get(subset, -math.inf)
            last[subset] = update
    return max(falls.values(), default=0)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
