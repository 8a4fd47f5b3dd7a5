"""What is used of fairseq's own ``examples/speech_recognition/new/infer.py``."""

from __future__ import annotations

from fairseq_dro.compat import examples_alias

if examples_alias.needed():
    examples_alias.apply()

from examples.speech_recognition.new.infer import (  # noqa: E402
    InferConfig,
    InferenceProcessor,
    get_wer_file,
)

__all__ = ["InferConfig", "InferenceProcessor", "get_wer_file"]
