"""What was decoded into a folder of records: which split, with the checkpoint of which update."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple


class DecodingSource(NamedTuple):
    """As ``scores.json`` beside the records has it; None where it does not say."""

    split: str | None
    update: int | None


def decoding_source(folder: Path) -> DecodingSource:
    """What the records of a folder were decoded from; a file that cannot be read says nothing."""
    try:
        text = (folder / "scores.json").read_text(encoding="utf-8")
        decoded = json.loads(text)["decoded"]
        split, update = decoded.get("split"), decoded.get("update")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return DecodingSource(None, None)
    return DecodingSource(
        split if isinstance(split, str) else None, update if isinstance(update, int) else None
    )
