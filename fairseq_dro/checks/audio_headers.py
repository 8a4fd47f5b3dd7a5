"""Audio files as their headers tell, before any is read."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import soundfile

from fairseq_dro.data.lines import split_zip_slice
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError


def check_audio(manifest: Manifest, sample_rate: int, indices: Iterable[int]) -> None:
    """Each file is there, has the rate, and is as long as the manifest says (headers only).

    Raises:
        UserError: with file and line of the first that is not.
    """
    for index in indices:
        where = manifest.where(index)
        path, zip_slice = split_zip_slice(str(manifest.audio_path(index)))
        if not os.path.exists(path):
            raise UserError(
                f"{where}: {path} does not exist: restore the file, or fix the root folder in "
                "line 1."
            )
        if zip_slice is not None:
            continue
        try:
            header = soundfile.info(path)
        except (OSError, RuntimeError, TypeError, ValueError) as error:  # TypeError: .raw
            raise UserError(
                f"{where}: {path} cannot be read ({str(error).rstrip('.')}): restore the file, or "
                "remove its line from all files of the split."
            ) from None
        if header.samplerate != sample_rate:
            raise UserError(
                f"{where}: {path} has a sample rate of {header.samplerate} Hz, expected "
                f"{sample_rate} Hz: convert it, for example with `sox IN -r {sample_rate} OUT`."
            )
        if header.frames != manifest.n_samples[index]:
            raise UserError(
                f"{where}: {path} holds {header.frames} samples and the manifest says "
                f"{manifest.n_samples[index]}: the file was cut or changed; make it or its "
                "manifest line again."
            )


def sample_per_language(manifest: Manifest, at_most: int) -> list[int]:
    """Evenly spaced utterances of each language, ``at_most`` of each."""
    order = np.argsort(manifest.languages.codes, kind="stable")
    sizes = np.bincount(manifest.languages.codes, minlength=len(manifest.languages.names))
    chosen = [
        order[end - size + np.linspace(0, size - 1, min(at_most, size)).astype(int)]
        for end, size in zip(np.cumsum(sizes).tolist(), sizes.tolist())
    ]
    return np.sort(np.concatenate(chosen)).tolist() if chosen else []
