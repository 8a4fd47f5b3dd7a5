"""SpecAugment on log-mel frames (Park et al. 2019, arXiv 1904.08779, without time warping)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class SpecAugment:
    """How many masks of which greatest width are drawn for each utterance.

    Attributes:
        time_masks, time_mask_frames: masks along time; each covers 0 to that many frames, and at
            most ``time_mask_share`` of the utterance.
        frequency_masks, frequency_mask_bins: masks along the mel bins.
    """

    time_masks: int
    time_mask_frames: int
    frequency_masks: int
    frequency_mask_bins: int
    time_mask_share: float = 0.2

    def __call__(self, mel: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Set the masked part of [B, M, F] frames to 0, about the mean of a log-mel.

        Draws from numpy's global generator, which the task seeds at each step.

        Args:
            lengths: [B] frames of each utterance, without what it is padded with.
        """
        n_utterances, n_bins, total = mel.shape
        keep = np.ones((n_utterances, n_bins, total), dtype=bool)
        for utterance, n_frames in enumerate(lengths.tolist()):
            widest = min(self.time_mask_frames, int(self.time_mask_share * n_frames))
            for start, width in _spans(self.time_masks, widest, n_frames):
                keep[utterance, :, start : start + width] = False
            widest = min(self.frequency_mask_bins, n_bins)
            for start, width in _spans(self.frequency_masks, widest, n_bins):
                keep[utterance, start : start + width] = False
        return mel * torch.from_numpy(keep).to(mel.device)


def _spans(count: int, widest: int, size: int) -> list[tuple[int, int]]:
    """(start, width) of each mask, the width uniform on 0 to ``widest``."""
    spans = []
    for _ in range(count):
        width = np.random.randint(widest + 1)
        spans.append((np.random.randint(size - width + 1), width))
    return spans
