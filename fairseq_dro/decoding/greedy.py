"""Greedy CTC decoding of a batch on its device, in the place of fairseq's Viterbi decoder."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqModel

from fairseq_dro.criterions.greedy_decoder import frames_of_utterances, greedy_units

# Shapes: B utterances, T frames, V units.


class GreedyDecoder:
    """The same hypotheses as ``decoders/viterbi_decoder.py``, without copying [B, T, V] scores.

    fairseq copies all scores to the CPU and walks over the utterances there; here one [B, T]
    integer tensor is copied.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        # as decoders/base_decoder.py:21
        has_blank = "<ctc_blank>" in dictionary.indices
        self.blank = dictionary.index("<ctc_blank>") if has_blank else dictionary.bos()

    def generate(
        self, models: list[FairseqModel], sample: dict[str, Any], **_unused: Any
    ) -> list[list[dict[str, Any]]]:
        """One hypothesis for each of the B utterances, by the first model."""
        inputs = {key: x for key, x in sample["net_input"].items() if key != "prev_output_tokens"}
        model = models[0]
        net_output = model(**inputs)
        if hasattr(model, "get_logits"):
            scores = model.get_logits(net_output)  # [T, B, V]
        else:
            scores = model.get_normalized_probs(net_output, log_probs=True)
        lengths = frames_of_utterances(net_output, scores.size(0))
        return [
            [{"tokens": torch.from_numpy(units), "score": 0}]
            for units in greedy_units(scores, lengths, self.blank)
        ]
