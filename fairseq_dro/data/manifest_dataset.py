"""fairseq's audio and target data sets over a manifest that was read already.

Stock ``audio_finetuning`` reads the ``.tsv`` and the label file again, a line at a time, into
Python lists (``raw_audio_dataset.py:283``, ``tasks/audio_finetuning.py:146``). Its data sets ask
little of what they keep: file names that are a list or whose items have ``as_py`` (pyarrow's, line
314), labels that are indexed. So they can read from the manifest's own bytes
(``scripts/benchmark_manifest.py``).

Shapes: N items; R rows of the manifest, of which items are those long enough; B utterances of a
batch, S samples of the longest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fairseq.data import AddTargetDataset, Dictionary
from fairseq.data.audio.raw_audio_dataset import FileAudioDataset, RawAudioDataset
from fairseq.data.text_compressor import TextCompressionLevel, TextCompressor

from fairseq_dro.data.manifest import Manifest

_INT16 = 32768


class ManifestAudioDataset(FileAudioDataset):
    """Items as fairseq's own, from the rows of a manifest.

    Args:
        rows: [N] the manifest's rows that are items.
        as_int16: give batches in 16 bits, which fairseq does not turn to half precision
            (``trainer.py:1279``); whoever reads them divides by 32768.
        num_buckets, options: those of ``FileAudioDataset``. Its ``text_compression_level`` is not
            among them: the names are as small as in the file.
    """

    def __init__(
        self,
        manifest: Manifest,
        rows: np.ndarray,
        num_buckets: int = 0,
        *,
        as_int16: bool = False,
        **options: Any,
    ) -> None:
        RawAudioDataset.__init__(self, **options)  # FileAudioDataset would read the .tsv
        self.text_compressor = TextCompressor(level=TextCompressionLevel.none)
        self.root_dir = manifest.root
        self.fnames = _FileNames(manifest, rows)
        self.sizes = manifest.n_samples[rows]
        self.set_bucket_info(num_buckets)
        self.as_int16 = as_int16

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """As fairseq's: ``source`` [B, S] and ``padding_mask`` [B, S] in ``net_input``."""
        batch = super().collater(samples)
        if batch and self.as_int16:
            source = (batch["net_input"]["source"] * _INT16).round()
            batch["net_input"]["source"] = source.clamp(-_INT16, _INT16 - 1).to(torch.int16)
        return batch


class TargetLines:
    """[N] label lines in UTF-8, as ``AddTargetDataset`` keeps them.

    Args:
        language_token: put ``[iso]`` in front.
    """

    def __init__(self, manifest: Manifest, rows: np.ndarray, language_token: bool) -> None:
        self.manifest = manifest
        self.rows = rows
        names = manifest.languages.names
        self.tokens = [f"[{name}] ".encode() for name in names] if language_token else None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> bytes:
        row = self.rows[index]
        line = self.manifest.labels.bytes_of(row)
        if self.tokens is None:
            return line
        return self.tokens[self.manifest.languages.codes[row]] + line


def rows_long_enough(manifest: Manifest, min_sample_size: int | None) -> np.ndarray:
    """[N] rows that fairseq would not skip (``raw_audio_dataset.py:300``)."""
    if min_sample_size is None:
        return np.arange(len(manifest))
    return np.flatnonzero(manifest.n_samples >= min_sample_size)


def add_targets(
    audio: RawAudioDataset,
    targets: TargetLines,
    dictionary: Dictionary,
    process_label: Callable[[str], Any],
    label_len_fn: Callable[[str], int],
    *,
    add_to_input: bool = False,
) -> AddTargetDataset:
    """fairseq's data set of audio and targets (``tasks/audio_finetuning.py:163``)."""
    return AddTargetDataset(
        audio,
        targets,
        pad=dictionary.pad(),
        eos=dictionary.eos(),
        batch_targets=True,
        process_label=process_label,
        label_len_fn=label_len_fn,
        add_to_input=add_to_input,
        text_compression_level=TextCompressionLevel.none,
    )


class _FileName(bytes):
    """What ``FileAudioDataset.__getitem__`` takes for an item of a pyarrow array."""

    def as_py(self) -> bytes:
        return self


class _FileNames:
    def __init__(self, manifest: Manifest, rows: np.ndarray) -> None:
        self.paths = manifest.paths
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> _FileName:
        return _FileName(self.paths.bytes_of(self.rows[index]))
