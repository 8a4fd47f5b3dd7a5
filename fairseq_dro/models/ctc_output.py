"""What the criterion and the decoders ask of a model that scores units by CTC."""

from __future__ import annotations

from typing import Any

import torch
from fairseq import utils

# Shapes: B utterances, T frames, V units.

_BLANK = 0  # fairseq's first unit, as in wav2vec2_asr.py:226


class CtcOutput:
    """A mixin in front of a fairseq model whose output has ``encoder_out`` [T, B, V] scores."""

    def get_logits(self, net_output: dict[str, torch.Tensor]) -> torch.Tensor:
        """[T, B, V]; behind the end of an utterance the blank is certain.

        fairseq's decoders search all T frames of a batch, so ``wav2vec_ctc`` does the same
        (wav2vec2_asr.py:221).
        """
        scores, outside = net_output["encoder_out"], net_output["padding_mask"]
        if outside is None:
            return scores
        certain = scores.new_full((scores.size(-1),), -torch.inf)
        certain[_BLANK] = 0.0
        return torch.where(outside.T.unsqueeze(-1), certain, scores)

    def get_normalized_probs(
        self, net_output: dict[str, torch.Tensor], log_probs: bool, sample: Any = None
    ) -> torch.Tensor:
        """[T, B, V] in float32; what is behind an end means nothing."""
        function = utils.log_softmax if log_probs else utils.softmax
        return function(net_output["encoder_out"].float(), dim=-1)
