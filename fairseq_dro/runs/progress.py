"""``progress.json``: how far a run is, rewritten after an update, every two seconds at most.

    {"format": 1, "update": 164, "of": 300, "loss": 84.8, "q_max": 0.19, "q_max_group": "ell",
     "seconds_per_update": 1.7, "seconds_left": 230.0, "validating": null, "time": 1764086400.0}

``loss`` is what fairseq logs, in bits; what is not known is null. ``of`` is null without
``optimization.max_update``. ``validating`` is the split at work. The file is for people who look at
a run from outside: nothing of a training depends on it.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fairseq_dro.whole_file import whole_file

PROGRESS_FILE = "progress.json"
FORMAT = 1


@dataclass(frozen=True)
class Progress:
    """See the head of this file; ``time`` is in seconds since the epoch."""

    update: int
    of: int | None = None
    loss: float | None = None
    q_max: float | None = None
    q_max_group: str | None = None
    seconds_per_update: float | None = None
    seconds_left: float | None = None
    validating: str | None = None
    time: float = 0.0


def write_progress(folder: str | Path, progress: Progress) -> None:
    """Replace the file, whole or not at all; a full disk stops nothing."""
    with contextlib.suppress(OSError), whole_file(Path(folder) / PROGRESS_FILE) as partial:
        partial.write_text(json.dumps({"format": FORMAT, **asdict(progress)}), encoding="utf-8")


def read_progress(folder: str | Path) -> Progress | None:
    """None where there is no such file, or none that can be read."""
    try:
        record: dict[str, Any] = json.loads((Path(folder) / PROGRESS_FILE).read_text("utf-8"))
        known = {field.name for field in fields(Progress)}
        return Progress(**{key: value for key, value in record.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
