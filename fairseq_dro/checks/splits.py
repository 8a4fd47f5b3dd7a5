"""Findings that need several splits side by side: duplicates, languages that one lacks."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from fairseq_dro.checks.finding import (
    MOST_PLACES,
    Finding,
    Severity,
    counts_by_language,
    places,
    totals_by_language,
)
from fairseq_dro.checks.groups import not_trained
from fairseq_dro.checks.split_survey import SplitSurvey
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.group_by import BY_LANGUAGE
from fairseq_dro.wording import counted, listed

MUCH_TEXT = 0.5
"""Share of a language's references that training has too, from which its error rate mostly tells
how well sentences were remembered."""
LITTLE_SECONDS = 60
"""Validation audio of a language of which an error rate is mostly chance: some 800 characters."""
MUCH_MORE = 10
"""Times the validation audio that training must have for some of it to be moved."""


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
                    f"{counted(len(twice), 'utterance')} of {manifest.split}",
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
        findings += not_trained(
            manifest, manifest.languages, trained, BY_LANGUAGE, training.split,
            stops=makes_groups and manifest in validation,
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
                    f"{counted(len(lacking), 'language')} ({listed(lacking)})",
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
                f"one utterance in {training.split}: {counted(len(single), 'language')} "
                f"({listed(sorted(single))})",
                "add data, or leave the language out: its loss is one number, and q follows it",
                len(single), places(training, rows, "lang"),
            )
        )  # fmt: skip
    return findings


def shared_speakers(training: Manifest, others: Sequence[Manifest]) -> list[Finding]:
    """Speakers that training and another split have, by language; none where nobody names them."""
    findings = []
    trained = _speakers(training)
    for manifest in others:
        heard = _speakers(manifest)
        shared = {code: len(names & trained.get(code, set())) for code, names in heard.items()}
        told = [
            f"{code} {count} of {len(heard[code])}"
            for code, count in sorted(shared.items()) if count
        ]
        if not told:
            continue
        rows = [
            row for row in range(len(manifest))
            if manifest.speakers[row] in trained.get(_language(manifest, row), set())
        ][:MOST_PLACES]  # fmt: skip
        findings.append(
            Finding(
                "shared_speaker", Severity.WARNING,
                f"speakers of {manifest.split} that {training.split} has, too: "
                f"{counted(sum(shared.values()), 'speaker')} ({listed(told)})",
                "split by speaker (`fairseq-dro prepare ... --splits hash --split-by speaker`), or "
                "say beside the error rates that they are of voices that were trained on",
                sum(shared.values()), places(manifest, rows, "speaker"),
            )
        )  # fmt: skip
    return findings


def _speakers(manifest: Manifest) -> dict[str, set[str]]:
    """The known speakers of each language."""
    if not len(manifest.speakers):
        return {}
    codes = np.zeros(len(manifest), np.int64)
    names: Sequence[str] = ("",)
    if len(manifest.languages):
        codes, names = manifest.languages.codes, manifest.languages.names
    pairs = np.unique(np.stack([codes, manifest.speakers.codes]), axis=1)
    found: dict[str, set[str]] = {}
    for code, speaker in pairs.T.tolist():
        if manifest.speakers.names[speaker]:
            found.setdefault(names[code], set()).add(manifest.speakers.names[speaker])
    return found


def _language(manifest: Manifest, row: int) -> str:
    return manifest.languages[row] if len(manifest.languages) else ""


def little_validation(
    training: Manifest, validation: Sequence[Manifest], sample_rate: int
) -> list[Finding]:
    """Languages of whose validation audio a checkpoint can hardly be chosen.

    Where training has not much more of the language either, there is none to be moved.
    """
    if not validation or not len(training.languages):
        return []
    seconds = _seconds_of([training], sample_rate)
    validated = _seconds_of(validation, sample_rate)
    little = {
        code: validated[code] for code in seconds
        if 0 < validated.get(code, 0) < LITTLE_SECONDS
        and seconds[code] >= MUCH_MORE * validated[code]
    }  # fmt: skip
    if not little:
        return []
    names = " and ".join(manifest.split for manifest in validation)
    told = [f"{code} {little[code]:.0f} s" for code in sorted(little, key=little.get)]
    return [
        Finding(
            "little_validation", Severity.WARNING,
            f"less than {LITTLE_SECONDS} s of validation audio in {names}, so that chance chooses "
            f"the checkpoint: {counted(len(little), 'language')} ({listed(told)})",
            "prepare with --splits hash --valid-seconds 120, or choose checkpoints by the mean "
            "over languages and read the worst one with care",
            len(little),
        )
    ]  # fmt: skip


def _seconds_of(manifests: Sequence[Manifest], sample_rate: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for manifest in manifests:
        if not len(manifest.languages):
            continue
        sums = np.bincount(manifest.languages.codes, manifest.n_samples / sample_rate)
        for name, total in zip(manifest.languages.names, sums.tolist()):
            found[name] = found.get(name, 0.0) + total
    return found


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
            f"ids that an earlier line has: {counted(len(rows), 'utterance')} of "
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
        f"audio of {first.split} {how} in {other.split}: {counted(len(rows), 'utterance')}",
        f"remove them from all files of {other.split} or of {first.split}",
        len(rows), places(other, rows, "tsv"),
    )  # fmt: skip


def _hashes_of_files(manifest: Manifest) -> np.ndarray:
    root = os.path.abspath(manifest.root) + os.sep
    names = (hash(root + path) for path in manifest.paths)
    return np.fromiter(names, np.int64, len(manifest))
