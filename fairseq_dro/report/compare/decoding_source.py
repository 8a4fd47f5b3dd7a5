"""What was decoded into a folder of records: which split, with the checkpoint of which update."""

from __future__ import annotations

import json
from typing import NamedTuple

from fairseq_dro.report.training_run import TrainingRun


class DecodingSource(NamedTuple):
    """As ``scores.json`` beside the records has it; None where it does not say."""

    split: str | None
    update: int | None


def decoding_source(run: TrainingRun) -> DecodingSource:
    """What a run's records were decoded from; a file that cannot be read says nothing."""
    try:
        text = (run.folder / run.results / "scores.json").read_text(encoding="utf-8")
        decoded = json.loads(text)["decoded"]
        split, update = decoded.get("split"), decoded.get("update")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return DecodingSource(None, None)
    return DecodingSource(
        split if isinstance(split, str) else None, update if isinstance(update, int) else None
    )
