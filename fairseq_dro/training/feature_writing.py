"""Compute the hidden layers of a split and write them; see ``data.feature_file`` for the files.

Shapes: N utterances, B utterances of a batch, L hidden layers, T frames, C channels.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairseq_dro.data.feature_file import (
    ITEM_BYTES,
    FeatureSpec,
    lines_of,
    read_header,
    starts_of,
    write_header,
)
from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.data.manifest_dataset import ManifestAudioDataset
from fairseq_dro.errors import UserError
from fairseq_dro.models.layer_weighted.ctc import LayerWeightedCtc
from fairseq_dro.progress import with_progress
from fairseq_dro.survival.durable_file import write_durably

STRETCH = 200
"""Utterances between two points from which a killed command resumes."""
BATCH_SECONDS = {"cpu": 40.0, "cuda": 400.0}
"""Padded seconds of audio that are encoded together."""


class SplitFeatures:
    """The features of one split, to be written.

    Args:
        folder: that exists.
        workers: processes that read audio.

    Attributes:
        n_written: utterances that are on the disk.
        n_bytes: of all of them.
        n_bytes_missing: those that have no room on the disk yet.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        model: LayerWeightedCtc,
        *,
        sample_rate: int = 16_000,
        workers: int = 0,
    ) -> None:
        self.folder, self.manifest, self.model = folder, manifest, model
        self.spec: FeatureSpec = model.feature_spec
        self.workers = workers
        self.sample_rate = sample_rate
        self.n_frames = model.encoder.frames_of(manifest.n_samples)
        self._require_lengths()
        self.starts = starts_of(self.n_frames, self.spec)
        self.n_bytes = int(self.starts[-1]) * ITEM_BYTES
        everything = np.arange(len(manifest))
        self._audio = ManifestAudioDataset(
            manifest, everything, sample_rate=sample_rate, pad=True, min_sample_size=0,
            normalize=bool(model.settings["task.normalize"]),
        )  # fmt: skip
        self._items = GroupedAudioDataset(  # whose errors name the utterance
            self._audio, manifest, everything, everything, everything
        )
        self.path = folder / f"{manifest.split}.f16"
        self.n_written = self._find_written()

    @property
    def n_bytes_missing(self) -> int:
        if self.n_written == len(self.manifest):
            return 0
        if not self.path.exists():
            return self.n_bytes
        return max(self.n_bytes - self.path.stat().st_blocks * 512, 0)  # 512 on every system

    def _require_lengths(self) -> None:
        """Refuse utterances of which the encoder makes no frame, or which it does not take."""
        n_samples, most = self.manifest.n_samples, self.model.encoder.most_samples
        for bad, what in (
            (self.n_frames < 1, "too few for a frame of this encoder"),
            (n_samples > (most or n_samples.max(initial=0)), f"more than the {most} it takes"),
        ):
            rows = np.flatnonzero(bad)
            if len(rows):
                raise UserError(
                    f"{self.manifest.where(int(rows[0]))}: {n_samples[rows[0]]} samples are "
                    f"{what} ({len(rows)} such utterances): remove them from all files of the "
                    "split."
                )

    def _find_written(self) -> int:
        """How many utterances an earlier command has written; 0 where their file is gone or cut.

        Raises:
            UserError: of another encoder, or of other utterances.
        """
        split = self.manifest.split
        header = read_header(self.folder, split)
        if header is None:
            return 0
        changes = self.spec.changes_since(FeatureSpec.from_record(header))
        lines = (self.folder / f"{split}.tsv").read_bytes()
        if lines != lines_of(self.manifest, self.n_frames):
            changes.append(f"{self.manifest.folder / split}.tsv holds other utterances since")
        if changes:
            raise UserError(
                f"{self.folder} holds features of {split} already, and {'; '.join(changes)}: name "
                "another folder with --out, or remove that one."
            )
        is_whole = self.path.exists() and self.path.stat().st_size == self.n_bytes
        return int(header["n_written"]) if is_whole else 0

    def write(self) -> None:
        """Compute what is missing; a kill at any moment costs a stretch.

        Raises:
            UserError: the disk or the quota has no room.
        """
        split = self.manifest.split
        if self.n_written == len(self.manifest):
            return
        if not self.n_written and read_header(self.folder, split) is not None:
            write_header(self.folder, split, self.spec, 0)  # before its file is a new one
        with open(self.path, "r+b" if self.n_written else "w+b") as file:
            self._allocate(file.fileno())
            lines = lines_of(self.manifest, self.n_frames)
            write_durably(str(self.folder / f"{split}.tsv"), lambda file: file.write(lines))
            values = np.memmap(file, dtype=np.float16, mode="r+")
            stretches = list(range(self.n_written, len(self.manifest), STRETCH))
            batches = [self._batches(first) for first in stretches]
            flat = [batch for some in batches for batch in some]
            ends = np.cumsum([len(some) for some in batches])
            encoded = with_progress(
                self._encoded(flat), len(flat), "batches", f"features of {split}"
            )
            for number, (items, hidden) in enumerate(encoded, start=1):
                for row, block in zip(items, hidden):
                    values[self.starts[row] : self.starts[row + 1]] = block.reshape(-1)
                if number in ends:
                    values.flush()
                    os.fsync(file.fileno())
                    first = stretches[int(np.searchsorted(ends, number))]
                    self.n_written = min(first + STRETCH, len(self.manifest))
                    write_header(self.folder, split, self.spec, self.n_written)

    def _allocate(self, file: int) -> None:
        """Take the room on the disk: a memory map that finds none later dies by SIGBUS."""
        try:
            if not hasattr(os, "posix_fallocate"):  # macOS
                return os.ftruncate(file, self.n_bytes)
            os.posix_fallocate(file, 0, self.n_bytes)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system without it
                return os.ftruncate(file, self.n_bytes)
            if not self.n_written:
                self.path.unlink()
            raise UserError(
                f"{self.folder} has no room for the {self.n_bytes} bytes of {self.path.name} "
                f"({error.strerror}): name a folder on another disk with --out, or fewer layers "
                "with --layers."
            ) from error

    def _batches(self, first: int) -> list[list[int]]:
        """Utterances of a stretch, of about the same length in a batch."""
        rows = np.arange(first, min(first + STRETCH, len(self.manifest)))
        n_samples = self.manifest.n_samples
        most = BATCH_SECONDS[self._device.type] * self.sample_rate
        batches: list[list[int]] = [[]]
        for row in rows[np.argsort(n_samples[rows], kind="stable")].tolist():
            if batches[-1] and (len(batches[-1]) + 1) * n_samples[row] > most:
                batches.append([])
            batches[-1].append(row)
        return batches

    def _encoded(self, batches: list[list[int]]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Rows and, of each, [L, T, C] float16."""
        loader = torch.utils.data.DataLoader(
            self._items, batch_sampler=batches, num_workers=self.workers,
            collate_fn=self._audio.collater,
        )  # fmt: skip
        for sample in loader:
            rows = sample["id"].tolist()
            inputs: dict[str, Any] = {
                name: value.to(self._device) for name, value in sample["net_input"].items()
            }
            hidden, _ = self.model.hidden_layers(**inputs)
            blocks = hidden.half().cpu().numpy()
            yield rows, [self._finite(row, block) for row, block in zip(rows, blocks)]

    def _finite(self, row: int, block: np.ndarray) -> np.ndarray:
        block = block[:, : self.n_frames[row]]
        bad = ~np.isfinite(block).all((1, 2))
        if bad.any():
            layer = self.spec.layers[int(np.flatnonzero(bad)[0])]
            raise UserError(
                f"{self.manifest.where(row)}: the hidden layer {layer} has values beyond those of "
                "float16: choose others with --layers, or train from audio."
            )
        return block

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device
