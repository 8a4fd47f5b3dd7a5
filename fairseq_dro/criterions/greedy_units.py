"""Greedy CTC decoding of a whole batch on its device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

# Shapes: B utterances, T frames, V units.


def frames_of_utterances(net_output: dict[str, Any], n_frames: int) -> torch.Tensor:
    """[B] frames of each utterance that are no padding.

    Args:
        net_output: of the encoder, with ``encoder_out`` [T, B, V] and ``padding_mask`` [B, T], None
            where nothing is padded.
    """
    padding_mask = net_output["padding_mask"]
    if padding_mask is None:
        encoded = net_output["encoder_out"]
        return torch.full((encoded.size(1),), n_frames, device=encoded.device)
    return (~padding_mask).long().sum(-1)


def greedy_units(
    log_probs: torch.Tensor, lengths: torch.Tensor, blank: int
) -> list[np.ndarray]:
    """Best unit of each frame, repeats merged, blanks dropped.

    The search for the best units is done on the device and [T, B] integers are copied, where stock
    ``ctc`` copies all [B, T, V] log probabilities and walks over them (``criterions/ctc.py:163``).

    Args:
        log_probs: [T, B, V].
        lengths: [B] frames of each utterance.

    Returns:
        B integer arrays of unit indices.
    """
    best = log_probs.argmax(-1).to(torch.int32).cpu().numpy()  # [T, B]
    keep = best != blank
    keep[1:] &= best[1:] != best[:-1]
    keep &= np.arange(len(best))[:, None] < lengths.cpu().numpy()
    return [column[kept] for column, kept in zip(best.T, keep.T)]
