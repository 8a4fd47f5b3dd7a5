"""What the criterion and the decoders ask of a model that scores units by CTC."""

from __future__ import annotations

from typing import Any

import torch
from fairseq import utils

# Shapes: B utterances, T frames, V units.


class CtcOutput:
    """A mixin in front of a fairseq model whose output has ``encoder_out`` [T, B, V] scores."""

    def get_logits(self, net_output: dict[str, torch.Tensor]) -> torch.Tensor:
        """[T, B, V]."""
        return net_output["encoder_out"]

    def get_normalized_probs(
        self, net_output: dict[str, torch.Tensor], log_probs: bool, sample: Any = None
    ) -> torch.Tensor:
        """[T, B, V] in float32."""
        function = utils.log_softmax if log_probs else utils.softmax
        return function(self.get_logits(net_output).float(), dim=-1)
