"""Mistakes in a split that can be known before any GPU is touched."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

import numpy as np
import soundfile

from fairseq_dro import languages
from fairseq_dro.data.lines import Categories, split_zip_slice
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.data.units import UnitNumbers
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import GroupBy, suffix_of
from fairseq_dro.text.tags import SPECIAL_SYMBOLS


def check_language_codes(manifest: Manifest) -> None:
    """Every code is an ISO 639-3 code of ``languages.tsv``, or of the folder's own table.

    Raises:
        UserError: with the line of its first use and the nearest matches.
    """
    own_table = languages.own_table_of(manifest.folder)
    for language in sorted(manifest.languages.names):
        where = manifest.where(manifest.languages.index(language), "lang")
        languages.require_known(language, where, own_table)


def check_groups_in_training(
    manifest: Manifest, groups: Categories, trained: Collection[str], by: GroupBy
) -> None:
    """The group of every utterance of the split is one that training knows.

    Args:
        groups: N names, one an utterance.
        by: what a group is.

    Raises:
        UserError: with the line of its first use.
    """
    unseen = sorted(set(groups.names) - set(trained))
    if unseen:
        known = map(set, zip(*map(by.values_of, trained)))
        values = zip(by.columns, by.values_of(unseen[0]), known)
        new = [column for column, value, seen in values if value not in seen]
        column = new[0] if new else by.columns[-1]
        where = manifest.where(groups.index(unseen[0]), suffix_of(column))
        raise UserError(
            f"{where}: {unseen[0]} does not occur in the training split, so it has no "
            f"group ({len(unseen)} such: {', '.join(unseen)}): add training data for it, remove "
            "it from this split, or set task.allow_unseen=true when only decoding."
        )


def check_labels(
    manifest: Manifest, symbols: Collection[str], *, language_token: bool = False
) -> None:
    """Every unit of every label is in the dictionary and none of fairseq's own; no label is empty.

    Args:
        language_token: the target begins with ``[iso]``, which must be there too.

    Raises:
        UserError: with file and line of the first, and how many units are missing.
    """
    missing: dict[str, int] = {}
    symbols = set(symbols) - set(SPECIAL_SYMBOLS)
    if language_token:
        for language in manifest.languages.names:
            if f"[{language}]" not in symbols:
                missing[f"[{language}]"] = manifest.languages.index(language)
    numbers = UnitNumbers()
    known = numbers.mask(symbols)
    for chunk in numbers.chunks(manifest.labels):
        empty = np.flatnonzero(chunk.units_per_line() == 0)
        if len(empty):
            raise UserError(
                f"{manifest.where(chunk.first + int(empty[0]), manifest.label_type)}: the label is "
                "empty: write its text or remove the utterance from all files of the split."
            )
        unknown = np.flatnonzero(~numbers.is_in(known, chunk.units))
        numbers_of_unknown, firsts = np.unique(chunk.units[unknown], return_index=True)
        rows = chunk.first + chunk.line_of(unknown[firsts])
        for first in np.argsort(firsts).tolist():
            unit = numbers.name(int(numbers_of_unknown[first]))
            missing.setdefault(unit, int(rows[first]))
    if missing:
        unit, index = next(iter(missing.items()))
        if unit == f"[{manifest.languages[index]}]":
            raise UserError(
                f"{manifest.folder}/dict.{manifest.label_type}.txt lacks the language token "
                f"{unit}, which task.language_token=true puts before each target: add a line "
                f"`{unit} 1` to it for every language, before training."
            )
        if unit in SPECIAL_SYMBOLS:
            raise UserError(
                f"{manifest.where(index, manifest.label_type)}: {unit!r} is a symbol of fairseq "
                f"itself ({', '.join(SPECIAL_SYMBOLS)}), no unit of a text, and training on it "
                "spoils what it stands for: write the text without it, or remove the utterance "
                "from all files of the split."
            )
        others = ", ".join(repr(u) for u in list(missing)[1:11])
        raise UserError(
            f"{manifest.where(index, manifest.label_type)}: {unit!r} (U+{ord(unit[0]):04X}) is not "
            f"in {manifest.folder}/dict.{manifest.label_type}.txt"
            + (f", nor are {len(missing) - 1} other units ({others})" if others else "")
            + ": make the dictionary from all splits, or normalise the text to its symbols."
        )


def post_process_mismatch(
    symbols: Collection[str], post_process: str
) -> tuple[str, str] | None:
    """What is wrong with how units become text, by which each is one word, and the right way.

    Args:
        symbols: units of the dictionary.
        post_process: ``letter``, ``sentencepiece``; nothing is said of others.
    """
    has_pieces = any(symbol.startswith("\u2581") for symbol in symbols)
    if has_pieces and post_process == "letter":
        units, right = "sentencepiece units", "sentencepiece"
    elif not has_pieces and "|" in symbols and post_process == "sentencepiece":
        units, right = "letters", "letter"
    else:
        return None
    return f"{units} are joined by post_process={post_process}, and each text is one word", right


def frames_needed(manifest: Manifest, *, language_token: bool = False) -> np.ndarray:
    """[N] frames that CTC needs at least: one a unit, and one more between two that are equal.

    Args:
        language_token: one unit more, which no other is taken to repeat.
    """
    needed = np.empty(len(manifest), dtype=np.int64)
    for chunk in UnitNumbers().chunks(manifest.labels):
        needed[chunk.first : chunk.last] = chunk.units_per_line() + chunk.repeats_per_line()
    return needed + language_token


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
                f"{where}: {path} does not exist: restore the file, or mend the root folder in "
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
