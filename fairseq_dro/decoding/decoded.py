"""One utterance as it was decoded."""

from __future__ import annotations

from typing import NamedTuple

from fairseq_dro.scoring.records import Record


class Decoded(NamedTuple):
    """An utterance's place in the manifest, its texts in the model's units, and its score."""

    row: int  # line of the manifest, counted from 0
    reference_units: str
    hypothesis_units: str
    scored: Record
