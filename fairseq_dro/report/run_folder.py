"""Names inside a run folder (``hydra.run.dir``) that several commands agree on."""

from __future__ import annotations

RESULTS = "decode_test"
"""Sub-folder into which the test split is decoded, unless another is named."""
