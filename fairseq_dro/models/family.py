"""What this package asks of a model, whatever its family.

A model of ours answers by methods of its own. For fairseq's wav2vec 2.0 ``models.wav2vec2`` does. A
new family is a model with these methods, or one more adapter in `family_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from fairseq_dro.models.wav2vec2 import Wav2Vec2

if TYPE_CHECKING:  # the doctor reads this file at its start
    import torch

FramesOf = Callable[[np.ndarray], np.ndarray]
"""[N] frames of [N] numbers of samples; below 1 where there is none."""


@runtime_checkable
class ModelFamily(Protocol):
    """The answers. What a pre-trained file must hold a model says when it is built from one."""

    def frames_of(self, n_samples: np.ndarray) -> np.ndarray:
        """[N] frames that the encoder makes of [N] samples of audio, int64."""

    def frozen_parameters(self) -> list[torch.nn.Parameter]:
        """Parameters that get no gradient at this update, and may later."""

    def require_options(self, cfg: Any) -> None:
        """Refuse options of the section ``model`` that do not agree with each other or the weights.

        Raises:
            UserError: naming the options and values that work.
        """


def family_of(model: torch.nn.Module) -> ModelFamily | None:
    """Who answers for a model; None for a model of fairseq that this package knows nothing of."""
    if isinstance(model, ModelFamily):
        return model
    return Wav2Vec2.of(model)


def least_samples(frames_of: FramesOf) -> int:
    """The fewest samples that make a frame.

    On fewer, torch's convolutions stop with "Calculated padded input size per channel".
    """
    bound = 1
    while frames_of(np.array([bound]))[0] < 1:
        bound *= 2
    return int(np.flatnonzero(frames_of(np.arange(bound + 1)) >= 1)[0])
