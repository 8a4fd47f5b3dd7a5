"""Mistakes in a split that can be known before any GPU is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import soundfile

from fairseq_dro import languages
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError


def check_language_codes(manifest: Manifest) -> None:
    """Every code is an ISO 639-3 code of ``languages.tsv``.

    Raises:
        UserError: with the line of its first use and the nearest matches.
    """
    for language in sorted(set(manifest.languages)):
        where = manifest.where(manifest.languages.index(language), "lang")
        languages.require_known(language, where)


def check_groups_in_training(
    manifest: Manifest, groups: Sequence[str], trained: Collection[str]
) -> None:
    """The group of every utterance of the split is one that training knows.

    Args:
        groups: N names, one an utterance.

    Raises:
        UserError: with the line of its first use.
    """
    unseen = sorted(set(groups) - set(trained))
    if unseen:
        suffix = "corpus" if unseen[0] not in manifest.languages else "lang"
        where = manifest.where(groups.index(unseen[0]), suffix)
        raise UserError(
            f"{where}: {unseen[0]} does not occur in the training split, so it has no "
            f"group ({len(unseen)} such: {', '.join(unseen)}): add training data for it, remove "
            "it from this split, or set task.allow_unseen=true when only decoding."
        )


def check_labels(manifest: Manifest, symbols: Collection[str], labels: Sequence[str]) -> None:
    """Every unit of every label is in the dictionary; no label is empty.

    Raises:
        UserError: with file and line of the first, and how many units are missing.
    """
    known = set(symbols)
    missing: dict[str, int] = {}
    for index, label in enumerate(labels):
        units = label.split()
        if not units:
            raise UserError(
                f"{manifest.where(index, manifest.label_type)}: the label is empty: write its "
                "text or remove the utterance from all files of the split."
            )
        if not known.issuperset(units):
            for unit in units:
                if unit not in known:
                    missing.setdefault(unit, index)
    if missing:
        unit, index = next(iter(missing.items()))
        if unit == f"[{manifest.languages[index]}]":
            raise UserError(
                f"{manifest.folder}/dict.{manifest.label_type}.txt lacks the language token "
                f"{unit}, which task.language_token=true puts before each target: add a line "
                f"`{unit} 1` to it for every language, before training."
            )
        others = ", ".join(repr(u) for u in list(missing)[1:11])
        raise UserError(
            f"{manifest.where(index, manifest.label_type)}: {unit!r} (U+{ord(unit[0]):04X}) is not "
            f"in {manifest.folder}/dict.{manifest.label_type}.txt"
            + (f", nor are {len(missing) - 1} other units ({others})" if others else "")
            + ": make the dictionary from all splits, or normalise the text to its symbols."
        )


def infeasible_targets(
    labels: Sequence[str],
    n_samples: np.ndarray,
    frames_of: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Indices of utterances whose target CTC cannot align: units + repeats > frames.

    Args:
        frames_of: encoder frames from samples, [N] -> [N].
    """
    needed = np.fromiter((_frames_needed(label.split()) for label in labels), np.int64, len(labels))
    return np.flatnonzero(needed > frames_of(n_samples))


def check_audio(manifest: Manifest, sample_rate: int, indices: Iterable[int]) -> None:
    """Each file is there, has the rate, and is as long as the manifest says (headers only).

    Raises:
        UserError: with file and line of the first that is not.
    """
    for index in indices:
        where = manifest.where(index)
        path, *zip_slice = str(manifest.audio_path(index)).split(":")  # fairseq: path:offset:length
        if not os.path.exists(path):
            raise UserError(
                f"{where}: {path} does not exist: restore the file, or mend the root folder in "
                "line 1."
            )
        if zip_slice:
            continue
        try:
            header = soundfile.info(path)
        except (soundfile.LibsndfileError, OSError) as error:
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
    by_language: dict[str, list[int]] = {}
    for index, language in enumerate(manifest.languages):
        by_language.setdefault(language, []).append(index)
    chosen = []
    for indices in by_language.values():
        steps = np.linspace(0, len(indices) - 1, min(at_most, len(indices))).astype(int)
        chosen += [indices[step] for step in steps]
    return sorted(chosen)


def _frames_needed(units: list[str]) -> int:
    return len(units) + sum(a == b for a, b in zip(units, units[1:]))
