"""Items of hidden layers in the place of audio.

Shapes: B utterances, L hidden layers, T frames, C channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fairseq_dro.data.feature_file import FeatureFile
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.data.manifest_dataset import ManifestAudioDataset


class ManifestFeatureDataset(ManifestAudioDataset):
    """As the data set of the audio, whose sizes it has: in samples, not in frames.

    Args:
        rows: [N] the manifest's rows that are items.
        line_of: [rows of the manifest] which line of the features each has.
    """

    def __init__(
        self,
        manifest: Manifest,
        rows: np.ndarray,
        features: FeatureFile,
        line_of: np.ndarray,
        **options: Any,
    ) -> None:
        super().__init__(manifest, rows, **options)
        self.features = features
        self.lines = line_of[rows]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``source`` is [L, T, C] float16."""
        block = np.array(self.features[int(self.lines[index])])  # read from the disk here
        return {"id": index, "source": torch.from_numpy(block)}

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """``source`` [B, L, T, C] with zeros behind each end, ``padding_mask`` [B, T]."""
        if not samples:
            return {}
        blocks = [sample["source"] for sample in samples]
        lengths = torch.tensor([block.size(1) for block in blocks])
        n_layers, _, width = blocks[0].shape
        source = blocks[0].new_zeros(len(blocks), n_layers, int(lengths.max()), width)
        for row, block in zip(source, blocks):
            row[:, : block.size(1)] = block
        padding_mask = torch.arange(source.size(2)) >= lengths.unsqueeze(1)
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "net_input": {"source": source, "padding_mask": padding_mask},
        }
