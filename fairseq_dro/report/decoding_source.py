"""What was decoded into a folder of records: which split, with the checkpoint of which update."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy


class DecodingSource(NamedTuple):
    """As ``scores.json`` beside the records has it; None where it does not say.

    Attributes:
        group_by: what groups are there; languages where it does not say.
    """

    split: str | None
    update: int | None
    group_by: GroupBy = BY_LANGUAGE


def decoding_source(folder: Path) -> DecodingSource:
    """What the records of a folder were decoded from; a file that cannot be read says nothing."""
    try:
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        by = GroupBy.parse(scores.get("group_by", BY_LANGUAGE))
        decoded = scores["decoded"]
        split, update = decoded.get("split"), decoded.get("update")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return DecodingSource(None, None)
    return DecodingSource(
        split if isinstance(split, str) else None, update if isinstance(update, int) else None, by
    )
