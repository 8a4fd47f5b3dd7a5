"""A task that recognises text itself, in the place of fairseq's decoders."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.models import FairseqModel


class TextGenerator:
    """Hypotheses in fairseq's form, with their text.

    Args:
        task: has ``recognise(model, sample)``, which gives one ``RecognisedText`` an utterance, by
            its ``recogniser``.
        beam: width of the beam; 1: greedy.
    """

    def __init__(self, task: Any, beam: int = 1) -> None:
        self.task = task
        task.recogniser.use_beam(beam)

    def generate(
        self, models: list[FairseqModel], sample: dict[str, Any], **_unused: Any
    ) -> list[list[dict[str, Any]]]:
        """One hypothesis for each utterance, by the first model."""
        return [
            [
                {
                    "tokens": torch.tensor(one.tokens, dtype=torch.int64),
                    "score": one.score,
                    "text": one.text,
                    "detected": one.detected,
                    "stopped": one.stopped,
                }
            ]
            for one in self.task.recognise(models[0], sample)
        ]
