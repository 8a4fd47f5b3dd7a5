"""fairseq's audio data set with the group of each utterance in every sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, FairseqDataset

from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError


class GroupedAudioDataset(BaseWrapperDataset):
    """Adds ``sample["group"]`` and errors that name the utterance.

    Args:
        dataset: fairseq's ``AddTargetDataset`` over audio files.
        manifest: the lines it was made of.
        rows: [N] line index in the manifest of each item; the two differ where fairseq skipped
            utterances below ``min_sample_size`` (``raw_audio_dataset.py:279``).
        groups: [N] int64 group of each item, -1 for a language that training does not know.
    """

    def __init__(
        self, dataset: FairseqDataset, manifest: Manifest, rows: np.ndarray, groups: np.ndarray
    ) -> None:
        super().__init__(dataset)
        self.manifest = manifest
        self.rows = rows
        self.groups = groups

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = int(self.rows[index])
        try:
            item = self.dataset[index]
        except MemoryError:
            raise
        except Exception as error:  # soundfile, libsndfile and fairseq raise many kinds
            raise UserError(
                f"{self.manifest.where(row)}: {self.manifest.audio_path(row)} cannot be read "
                f"({str(error).rstrip('.')}): mend the file or remove its line from all files of "
                "the split."
            ) from error
        expected, found = int(self.sizes[index]), item["source"].numel()
        if found != expected:
            raise UserError(
                f"{self.manifest.where(row)}: {self.manifest.audio_path(row)} holds {found} "
                f"samples and the manifest says {expected}: the file was cut or changed; make it "
                "or its manifest line again."
            )
        return item

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """fairseq's batch and ``group`` [B] int64, ``n_samples`` [B] int64, ``seed_id`` (an int).

        ``seed_id`` is the first utterance's id as a Python number, so that seeding a step by it
        need not fetch it back from the GPU.
        """
        batch = self.dataset.collater(samples)
        if batch:
            ids = batch["id"].numpy()
            batch["group"] = torch.from_numpy(self.groups[ids])
            batch["n_samples"] = torch.from_numpy(self.sizes[ids])
            batch["seed_id"] = int(ids[0])
        return batch

    def filter_indices_by_size(self, indices, max_sizes):
        """Delegated: ``BaseWrapperDataset`` would not."""
        return self.dataset.filter_indices_by_size(indices, max_sizes)
