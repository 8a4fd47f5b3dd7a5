"""Names inside a run folder that several commands share."""

from __future__ import annotations

RESULTS = "decode_test"  # sub-folder that holds what fairseq-dro-infer wrote of the test split
