"""What both models on Whisper's encoder answer (``models.family.ModelFamily``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fairseq_dro.models.whisper.log_mel import n_positions


class WhisperFamily:
    """A mixin in front of a fairseq model with ``encoder`` and ``freeze_encoder_updates``."""

    num_updates = 0
    takes_int16 = True
    """Whether audio may come in 16 bits, too."""

    def set_num_updates(self, num_updates: int) -> None:
        super().set_num_updates(num_updates)
        self.num_updates = num_updates

    @property
    def encoder_is_frozen(self) -> bool:
        """Whether the encoder gets no gradient at this update."""
        updates = self.freeze_encoder_updates
        return updates < 0 or self.num_updates < updates

    def frozen_parameters(self) -> list[torch.nn.Parameter]:
        """Parameters that are trained later, but not at this update."""
        return list(self.encoder.parameters()) if self.encoder_is_frozen else []

    def frames_of(self, n_samples: np.ndarray) -> np.ndarray:
        """[N] encoder positions at true length, of 20 ms."""
        return n_positions(n_samples)

    def require_options(self, cfg: Any) -> None:
        """Every option agrees with every other (``require_ranges`` looks at each)."""
