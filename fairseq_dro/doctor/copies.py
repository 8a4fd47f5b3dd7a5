"""Audio that two splits have under two names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import MutableMapping, Sequence

import numpy as np

from fairseq_dro.checks.finding import Finding, Severity
from fairseq_dro.checks.split_survey import SplitSurvey
from fairseq_dro.checks.splits import in_two_splits
from fairseq_dro.data.manifest import Manifest

MOST_PAIRS = 1000  # likely copies whose files are compared without --all


def copies(
    first: SplitSurvey, other: SplitSurvey, all_audio: bool, digests: MutableMapping[str, bytes]
) -> list[Finding]:
    """Audio that two splits have under two names; of one text only, without ``all_audio``.

    Args:
        digests: of the files read so far, by path, for a split is compared with several others;
            what is read with ``all_audio`` is added.
    """
    if all_audio:
        rows = _copies_of_any_text(first.manifest, other.manifest, digests)
        return _copied_audio(first.manifest, other.manifest, rows)
    pairs = _likely_copies(first, other)
    pairs = [pair for pair in pairs if not _is_same_path(first, other, *pair)]
    rows = _same_content(first.manifest, other.manifest, pairs[:MOST_PAIRS])
    findings = _copied_audio(first.manifest, other.manifest, rows)
    if len(pairs) > MOST_PAIRS:
        findings.append(
            Finding("copies_not_compared", Severity.NOTE,
                    f"audio of {first.manifest.split} and {other.manifest.split} of one text and "
                    f"one length that was not compared: {len(pairs) - MOST_PAIRS} of {len(pairs)} "
                    "pairs", "compare all with --all", len(pairs) - MOST_PAIRS)
        )  # fmt: skip
    return findings


def _is_same_path(first: SplitSurvey, other: SplitSurvey, ours: int, theirs: int) -> bool:
    """Whether a pair is one file under one name, which is reported already."""
    return first.manifest.audio_path(ours) == other.manifest.audio_path(theirs)


def _likely_copies(first: SplitSurvey, other: SplitSurvey) -> list[tuple[int, int]]:
    """Pairs of rows with one text and one length, whose audio may be the same under two names."""
    def keys(survey: SplitSurvey) -> np.ndarray:
        return survey.text_hash ^ (survey.manifest.n_samples * np.int64(0x9E3779B97F4A7C1))

    ours, theirs = keys(first), keys(other)
    order = np.argsort(ours, kind="stable")
    at = np.searchsorted(ours[order], theirs)
    at = np.minimum(at, len(order) - 1) if len(order) else at
    rows = np.flatnonzero(ours[order[at]] == theirs) if len(order) else np.empty(0, np.int64)
    return list(zip(order[at[rows]].tolist(), rows.tolist()))


def _same_content(first: Manifest, other: Manifest, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Rows of ``other`` whose file has the bytes of the file it is paired with."""
    copies = []
    for ours, theirs in pairs:
        a, b = first.audio_path(ours), other.audio_path(theirs)
        try:
            if os.path.realpath(a) == os.path.realpath(b) or _digest(a) == _digest(b):
                copies.append(theirs)
        except OSError:
            continue  # reported as missing or unreadable
    return copies


def _copies_of_any_text(
    first: Manifest, other: Manifest, digests: MutableMapping[str, bytes]
) -> list[int]:
    """Rows of ``other`` whose file has the bytes of some file of ``first``, whatever they say.

    Only files as long as one of the other split are read.
    """
    lengths = np.intersect1d(first.n_samples, other.n_samples)
    names: dict[bytes, str] = {}
    for row in np.flatnonzero(np.isin(first.n_samples, lengths)).tolist():
        path = str(first.audio_path(row))
        names.setdefault(_digest_or_nothing(path, digests), path)
    names.pop(b"", None)
    found = []
    for row in np.flatnonzero(np.isin(other.n_samples, lengths)).tolist():
        path = str(other.audio_path(row))
        if names.get(_digest_or_nothing(path, digests), path) != path:
            found.append(row)
    return found


def _copied_audio(first: Manifest, other: Manifest, rows: Sequence[int]) -> list[Finding]:
    """The finding for rows of ``other`` whose files are copies of files of ``first``."""
    if not rows:
        return []
    return [in_two_splits(first, other, np.asarray(rows), "copied under another name")]


def _digest_or_nothing(path: str, digests: MutableMapping[str, bytes]) -> bytes:
    if path not in digests:
        try:
            digests[path] = _digest(path)
        except OSError:  # reported as missing or unreadable
            digests[path] = b""
    return digests[path]


def _digest(path: str | os.PathLike) -> bytes:
    with open(path, "rb") as file:
        return hashlib.blake2b(file.read()).digest()
