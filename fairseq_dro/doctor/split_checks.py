"""Findings that need several splits side by side: duplicates, languages that one lacks."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from fairseq_dro.data.manifest import Manifest
from fairseq_dro.doctor.finding import (
    MOST_PLACES,
    Finding,
    Severity,
    counts_by_language,
    listed,
    number_of,
    places,
    totals_by_language,
)
from fairseq_dro.doctor.split_survey import SplitSurvey

MUCH_TEXT = 0.5
"""Share of a language's references that training has too, from which its error rate mostly tells
how well sentences were remembered."""


def shared_text(
    first: SplitSurvey, other: SplitSurvey, *, is_trained: bool = True
) -> list[Finding]:
    """References that are sentences of training: one finding, with the languages of the most.

    Args:
        is_trained: ``first`` is trained on; a sentence of two other splits is worth a note at most.
    """
    is_shared = np.isin(other.text_hash, first.text_hash)
    rows = np.flatnonzero(is_shared)
    if not len(rows):
        return []
    manifest = other.manifest
    share = counts_by_language(manifest, rows) / np.maximum(totals_by_language(manifest), 1)
    named = zip(share.tolist(), manifest.languages.names)
    shares = sorted(((s, name) for s, name in named if s), key=lambda pair: (-pair[0], pair[1]))
    told = listed([f"{name} {100 * s:.0f} %" for s, name in shares], 6)
    return [
        Finding(
            "shared_text",
            Severity.WARNING if is_trained and share.max() >= MUCH_TEXT else Severity.NOTE,
            f"references of {manifest.split} that are sentences of {first.manifest.split}: "
            f"{len(rows)} of {len(is_shared)}" + (f" ({told})" if told else ""),
            "split by text as well as by speaker (`fairseq-dro prepare`), or say so beside the "
            "error rates of these languages",
            len(rows),
            places(manifest, rows, manifest.label_type,
                   [repr(other.text(row)) for row in rows[:MOST_PLACES]]),
        )
    ]  # fmt: skip


def shared_audio(manifests: Sequence[Manifest]) -> list[Finding]:
    """Files that two splits name, or one split twice."""
    hashes = [_hashes_of_files(manifest) for manifest in manifests]
    findings = []
    for index, manifest in enumerate(manifests):
        _, firsts = np.unique(hashes[index], return_index=True)
        twice = np.setdiff1d(np.arange(len(manifest)), firsts)
        if len(twice):
            findings.append(
                Finding(
                    "audio_twice", Severity.WARNING,
                    "audio files named by an earlier line too: "
                    f"{number_of(len(twice), 'utterance')} of {manifest.split}",
                    "remove the lines from all files of the split",
                    len(twice), places(manifest, twice, "tsv"),
                )
            )  # fmt: skip
        for before in range(index):
            shared = np.flatnonzero(np.isin(hashes[index], hashes[before]))
            if len(shared):
                findings.append(in_two_splits(manifests[before], manifest, shared))
    return findings


def languages_of_splits(
    training: Manifest,
    validation: Sequence[Manifest],
    others: Sequence[Manifest],
    *,
    makes_groups: bool = True,
) -> list[Finding]:
    """Languages that training, validation or test lacks, and languages of one utterance.

    Args:
        makes_groups: languages are the groups, so that training stops at one it does not know.
    """
    findings = []
    trained = set(training.languages.names)
    for manifest in (*validation, *others):
        unseen = sorted(set(manifest.languages.names) - trained)
        if unseen:
            stops = makes_groups and manifest in validation
            rows = [manifest.languages.index(name) for name in unseen]
            findings.append(
                Finding(
                    "language_not_trained",
                    Severity.ERROR if stops else Severity.WARNING,
                    f"in {manifest.split} and not in {training.split}: "
                    f"{number_of(len(unseen), 'language')} ({listed(unseen)})",
                    f"add training data for them, or remove them from {manifest.split}"
                    + ("" if stops else "; decoding accepts them"),
                    len(unseen), places(manifest, rows, "lang"),
                )
            )  # fmt: skip
    for role, manifests in (("validated", validation), ("tested", others)):
        if not manifests:
            continue
        present = {name for manifest in manifests for name in manifest.languages.names}
        lacking = sorted(trained - present)
        if lacking:
            names = " and ".join(manifest.split for manifest in manifests)
            findings.append(
                Finding(
                    f"language_not_{role}",
                    Severity.WARNING if role == "validated" else Severity.NOTE,
                    f"in {training.split} and not in {names}, so never {role}: "
                    f"{number_of(len(lacking), 'language')} ({listed(lacking)})",
                    f"move some of their utterances to {manifests[0].split}",
                    len(lacking),
                )
            )  # fmt: skip
    counts = totals_by_language(training)
    single = [training.languages.names[code] for code in np.flatnonzero(counts == 1)]
    if single:
        rows = [training.languages.index(name) for name in sorted(single)]
        findings.append(
            Finding(
                "one_utterance",
                Severity.WARNING,
                f"one utterance in {training.split}: {number_of(len(single), 'language')} "
                f"({listed(sorted(single))})",
                "add data, or leave the language out: its loss is one number, and q follows it",
                len(single), places(training, rows, "lang"),
            )
        )  # fmt: skip
    return findings


def ids_twice(manifest: Manifest) -> list[Finding]:
    """Utterance ids that an earlier line has: records and scores are told apart by them."""
    hashes = np.fromiter(map(hash, manifest.utterance_ids), np.int64, len(manifest))
    _, firsts = np.unique(hashes, return_index=True)
    rows = np.setdiff1d(np.arange(len(manifest)), firsts)
    if not len(rows):
        return []
    return [
        Finding(
            "id_twice", Severity.WARNING,
            f"ids that an earlier line has: {number_of(len(rows), 'utterance')} of "
            f"{manifest.split}",
            f"write {manifest.split}.utt with ids that are unique in the split",
            len(rows), places(manifest, rows, "utt"),
        )
    ]  # fmt: skip


def in_two_splits(
    first: Manifest, other: Manifest, rows: np.ndarray, how: str = "named again"
) -> Finding:
    return Finding(
        "shared_audio", Severity.ERROR,
        f"audio of {first.split} {how} in {other.split}: {number_of(len(rows), 'utterance')}",
        f"remove them from all files of {other.split} or of {first.split}",
        len(rows), places(other, rows, "tsv"),
    )  # fmt: skip


def _hashes_of_files(manifest: Manifest) -> np.ndarray:
    root = os.path.abspath(manifest.root) + os.sep
    names = (hash(root + path) for path in manifest.paths)
    return np.fromiter(names, np.int64, len(manifest))
