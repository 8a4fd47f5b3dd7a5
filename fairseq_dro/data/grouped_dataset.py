"""fairseq's audio data set with language and group of each utterance in every sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, FairseqDataset
from fairseq.data.data_utils import post_process

from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError
from fairseq_dro.scoring.text import scored_characters, split_language_token


class GroupedAudioDataset(BaseWrapperDataset):
    """Adds what the criterion needs of each utterance, and errors that name it.

    Args:
        dataset: fairseq's ``AddTargetDataset`` over audio files.
        manifest: the lines it was made of.
        rows: [N] line index in the manifest of each item; the two differ where fairseq skipped
            utterances below ``min_sample_size`` (``raw_audio_dataset.py:279``).
        groups: [N] int64 group of each item, by which it is weighted; -1 for one that training
            does not know.
        languages: [N] int64 language of each item, which decides text rules.
        post_process: how a label line becomes text (``fairseq.data.data_utils.post_process``).
    """

    def __init__(
        self,
        dataset: FairseqDataset,
        manifest: Manifest,
        rows: np.ndarray,
        groups: np.ndarray,
        languages: np.ndarray,
        *,
        post_process: str = "letter",
    ) -> None:
        super().__init__(dataset)
        self.manifest = manifest
        self.rows = rows
        self.groups = groups
        self.languages = languages
        self.post_process = post_process

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = int(self.rows[index])
        try:
            item = self.dataset[index]
        except MemoryError:
            raise
        except Exception as error:  # soundfile, libsndfile and fairseq raise many kinds
            raise UserError(
                f"{self.manifest.where(row)}: {self.manifest.audio_path(row)} cannot be read "
                f"({str(error).rstrip('.')}): fix the file or remove its line from all files of "
                "the split."
            ) from error
        expected, found = int(self.sizes[index]), item["source"].numel()
        is_audio = item["source"].dim() == 1  # not so for features computed before
        if is_audio and found != expected:
            raise UserError(
                f"{self.manifest.where(row)}: {self.manifest.audio_path(row)} holds {found} "
                f"samples and the manifest says {expected}: the file was cut or changed; make it "
                "or its manifest line again."
            )
        return item

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """fairseq's batch and, [B] int64, ``group``, ``language``, ``n_samples`` of audio and
        ``n_characters`` of the reference; and ``seed_id``, an int.

        ``seed_id`` is the first utterance's id as a Python number, so that seeding a step by it
        need not fetch it back from the GPU.
        """
        batch = self.dataset.collater(samples)
        if batch:
            ids = batch["id"].numpy()
            batch["group"] = torch.from_numpy(self.groups[ids])
            batch["language"] = torch.from_numpy(self.languages[ids])
            batch["n_characters"] = torch.tensor([self._n_characters(i) for i in ids.tolist()])
            batch["n_samples"] = torch.from_numpy(self.sizes[ids])
            batch["seed_id"] = int(ids[0])
        return batch

    def _n_characters(self, index: int) -> int:
        """Characters of the reference by the rule of CER."""
        row = int(self.rows[index])
        language = self.manifest.languages[row] if len(self.manifest.languages) else None
        text = post_process(self.manifest.labels[row], self.post_process)
        return len(scored_characters(split_language_token(text, language)[1], language))

    def filter_indices_by_size(self, indices, max_sizes):
        """Delegated: ``BaseWrapperDataset`` would not."""
        return self.dataset.filter_indices_by_size(indices, max_sizes)
