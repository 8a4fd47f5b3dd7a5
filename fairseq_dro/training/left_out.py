"""Utterances that take no part in training or validation; each kind is named."""

from __future__ import annotations

import logging
import sys

import numpy as np

from fairseq_dro.checks import lengths, whisper_limits
from fairseq_dro.checks.finding import require_none
from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.data.manifest import Manifest
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


def require_frames(manifest: Manifest, min_samples: int, frames_of: FramesOf) -> None:
    """Refuse utterances of which the model makes no frame: the first validation would stop there.

    Args:
        min_samples: ``task.min_sample_size``; shorter ones are left out.

    Raises:
        UserError: naming the first and the option that leaves them out.
    """
    findings = lengths.without_frame(
        manifest, min_samples, least_samples(frames_of), stops_training=True
    )
    require_none(findings, manifest.folder)


def find_infeasible(
    manifest: Manifest,
    rows: np.ndarray,
    needed: np.ndarray,
    frames_of: FramesOf,
    *,
    skip: bool,
) -> np.ndarray:
    """Indices into ``rows`` of targets that are longer than CTC can align to their frames.

    Args:
        needed: [N] frames that each target needs (``LabelTally``).
        frames_of: frames of the model for numbers of samples.
        skip: whether they are to be left out.

    Raises:
        UserError: there are such utterances, and they are not to be skipped.
    """
    frames = frames_of(manifest.n_samples)
    bad = np.flatnonzero(needed[rows] > frames[rows])
    if not skip:
        findings = lengths.infeasible(manifest, rows[bad], needed, frames, stops_training=True)
        require_none(findings, manifest.folder)
    if len(bad):
        logger.warning(
            "%d training utterances are left out, their targets are longer than their frames "
            "allow: %s", len(bad), _ids(manifest, rows[bad]),
        )
    return bad


def within_whisper(
    manifest: Manifest,
    rows: np.ndarray,
    n_tokens: np.ndarray,
    *,
    sample_rate: int,
    skip: bool,
    any_text: bool = False,
) -> np.ndarray:
    """The rows whose audio and text Whisper can take.

    Args:
        n_tokens: of the text of each line of the manifest, without prompt and end.
        skip: whether the others are to be left out; they are named in the log.
        any_text: whether a text may have any length, since the model does not read it.

    Raises:
        UserError: there are others, and they are not to be skipped.
    """
    seconds = manifest.n_samples / sample_rate
    read = np.zeros_like(n_tokens) if any_text else n_tokens
    bad = np.intersect1d(rows, whisper_limits.beyond_whisper(manifest, seconds, read))
    if len(bad) == 0:
        return rows
    findings = whisper_limits.beyond_whisper_finding(
        manifest, bad, seconds, n_tokens, stops=not skip
    )
    require_none(findings, manifest.folder)
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

    def find(
        self, dataset: GroupedAudioDataset, max_tokens: int | None, option: str, *, skip: bool
    ) -> bool:
        """Whether there are any; they are named once a split.

        Args:
            option: that sets the bound.

        Raises:
            UserError: there are, and they are not to be skipped.
        """
        too_long = np.flatnonzero(np.asarray(dataset.sizes) > (max_tokens or sys.maxsize))
        if len(too_long) == 0:
            return False
        manifest, rows = dataset.manifest, dataset.rows[too_long]
        findings = lengths.longer_than_memory(manifest, rows, max_tokens, option, stops=not skip)
        require_none(findings, manifest.folder)
        if manifest.split not in self._named:
            self._named.add(manifest.split)
            logger.warning(
                "%d utterances are longer than %d samples (%s) and are left out: %s",
                len(too_long), max_tokens, option,
                ", ".join(manifest.where(int(row)) for row in rows[:_MOST_NAMED]),
            )
        return True
