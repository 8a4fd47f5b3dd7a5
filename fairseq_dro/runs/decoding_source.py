"""What was decoded into a folder of records: which split, with the checkpoint of which update."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy

_SEARCH = ("decoder", "beam", "stop_at_loops")


class DecodingSource(NamedTuple):
    """As ``scores.json`` beside the records has it; None where it does not say.

    Attributes:
        checkpoint: name of the file, or of the files.
        group_by: what groups are there; languages where it does not say.
        train_seconds, constant_guess: by group, what the data folder said when it was decoded:
            seconds of training speech, and the CER of a constant guess (``constant_guess``). A run
            that was copied without its data still has them.
        search: decoder, beam and ``stop_at_loops``, as far as it says.
    """

    split: str | None
    update: int | None
    group_by: GroupBy = BY_LANGUAGE
    train_seconds: Mapping[str, float] = {}
    constant_guess: Mapping[str, float] = {}
    checkpoint: str = ""
    search: Mapping[str, Any] = {}


def decoding_source(folder: Path) -> DecodingSource:
    """What the records of a folder were decoded from; a file that cannot be read says nothing."""
    try:
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        by = GroupBy.parse(scores.get("group_by", BY_LANGUAGE))
        decoded = scores["decoded"]
        split, update = decoded.get("split"), decoded.get("update")
        checkpoint = ", ".join(map(str, decoded.get("checkpoint") or []))
        search = {name: decoded[name] for name in _SEARCH if name in decoded}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return DecodingSource(None, None)
    return DecodingSource(
        split if isinstance(split, str) else None, update if isinstance(update, int) else None, by,
        *(_numbers(scores, name) for name in ("train_seconds", "constant_guess")), checkpoint,
        search,
    )


def _numbers(scores: dict[str, Any], name: str) -> dict[str, float]:
    try:
        return {str(group): float(value) for group, value in scores["training"][name].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
