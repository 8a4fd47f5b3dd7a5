"""Utterances that take no part in training or validation; each kind is named."""

from __future__ import annotations

import logging
import sys

import numpy as np

from fairseq_dro.checks import manifests as checks
from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError
from fairseq_dro.models.family import FramesOf, least_samples
from fairseq_dro.models.whisper.log_mel import MAX_SECONDS
from fairseq_dro.models.whisper.tokenizer import MAX_TEXT_TOKENS

logger = logging.getLogger(__name__)
_MOST_NAMED = 10


def warn_of_short(manifest: Manifest, rows: np.ndarray, min_sample_size: int) -> None:
    """Name what the dataset left out: the rows of the manifest that are not in ``rows``."""
    if len(rows) == len(manifest):
        return
    short = np.setdiff1d(np.arange(len(manifest)), rows)
    logger.warning(
        "%d utterances of %s are shorter than task.min_sample_size=%d samples and are left out, "
        "first %s", len(short), manifest.split, min_sample_size, manifest.where(int(short[0])),
    )


def require_frames(manifest: Manifest, rows: np.ndarray, frames_of: FramesOf) -> None:
    """Refuse utterances of which the model makes no frame: the first validation would stop there.

    Raises:
        UserError: naming them and the option that leaves them out.
    """
    least = least_samples(frames_of)
    short = rows[manifest.n_samples[rows] < least]
    if len(short):
        more = f" ({len(short)} such utterances: {_ids(manifest, short)})" if short[1:].size else ""
        raise UserError(
            f"{manifest.where(int(short[0]))}: {manifest.n_samples[short[0]]} samples are fewer "
            f"than the {least} of which the model makes a frame{more}: remove them from all files "
            f"of the split, or leave such out of all splits with task.min_sample_size={least}."
        )


def find_infeasible(
    manifest: Manifest,
    rows: np.ndarray,
    frames_of: FramesOf,
    *,
    language_token: bool,
    skip: bool,
) -> np.ndarray:
    """Indices into ``rows`` of targets that are longer than CTC can align to their frames.

    Args:
        frames_of: frames of the model for numbers of samples.
        skip: whether they are to be left out.

    Raises:
        UserError: there are such utterances, and they are not to be skipped.
    """
    needed = checks.frames_needed(manifest, language_token=language_token)
    bad = np.flatnonzero(needed[rows] > frames_of(manifest.n_samples[rows]))
    if len(bad) and not skip:
        row = int(rows[bad[0]])
        frames = int(frames_of(manifest.n_samples[row : row + 1])[0])
        n_units = len(manifest.labels[row].split()) + language_token
        raise UserError(
            f"{manifest.where(row, manifest.label_type)}: the target of {n_units} units is longer "
            f"than its {frames} frames allow CTC to align ({len(bad)} such utterances): remove "
            "them from all files of the split, or leave them out with task.skip_infeasible=true."
        )
    if len(bad):
        logger.warning(
            "%d training utterances are left out, their targets are longer than their frames "
            "allow: %s", len(bad), _ids(manifest, rows[bad]),
        )
    return bad


def within_whisper(
    manifest: Manifest, rows: np.ndarray, n_tokens: np.ndarray, *, sample_rate: int, skip: bool
) -> np.ndarray:
    """The rows whose audio and text Whisper can take.

    Args:
        n_tokens: of the text of each line of the manifest, without prompt and end.
        skip: whether the others are to be left out; they are named in the log.

    Raises:
        UserError: there are others, and they are not to be skipped.
    """
    seconds = manifest.n_samples[rows] / sample_rate
    too_long = seconds > MAX_SECONDS
    bad = rows[too_long | (n_tokens[rows] > MAX_TEXT_TOKENS)]
    if len(bad) == 0:
        return rows
    if not skip:
        row = int(bad[0])
        found = manifest.n_samples[row] / sample_rate
        what = f"{found:.1f} s of audio, and Whisper takes {MAX_SECONDS} s"
        if found <= MAX_SECONDS:
            what = f"a text of {n_tokens[row]} tokens, and Whisper takes {MAX_TEXT_TOKENS}"
        raise UserError(
            f"{manifest.where(row)} has {what} ({len(bad)} such utterances): cut or remove them, "
            "or leave them out with task.skip_infeasible=true."
        )
    logger.warning(
        "%d utterances of %s are left out, they are longer than %d s or %d tokens: %s",
        len(bad), manifest.split, MAX_SECONDS, MAX_TEXT_TOKENS, _ids(manifest, bad),
    )
    return np.setdiff1d(rows, bad)


def _ids(manifest: Manifest, rows: np.ndarray) -> str:
    names = ", ".join(manifest.utterance_ids[row] for row in rows[:_MOST_NAMED])
    return names + (", ..." if len(rows) > _MOST_NAMED else "")


class TooLong:
    """Utterances longer than a batch, where fairseq would stop (data_utils_fast.pyx)."""

    def __init__(self) -> None:
        self._named: set[str] = set()  # splits

    def find(self, dataset: GroupedAudioDataset, max_tokens: int | None, *, skip: bool) -> bool:
        """Whether there are any; they are named once a split.

        Raises:
            UserError: there are, and they are not to be skipped.
        """
        too_long = np.flatnonzero(np.asarray(dataset.sizes) > (max_tokens or sys.maxsize))
        if len(too_long) == 0:
            return False
        names = [dataset.manifest.where(int(dataset.rows[i])) for i in too_long[:_MOST_NAMED]]
        if not skip:
            raise UserError(
                f"{names[0]} is longer than dataset.max_tokens={max_tokens} samples "
                f"({len(too_long)} such utterances): raise it (dataset.max_tokens_valid for "
                "validation), or leave them out with "
                "dataset.skip_invalid_size_inputs_valid_test=true."
            )
        if dataset.manifest.split not in self._named:
            self._named.add(dataset.manifest.split)
            logger.warning(
                "%d utterances are longer than %d samples (dataset.max_tokens) and are left out: "
                "%s", len(too_long), max_tokens, ", ".join(names),
            )
        return True
