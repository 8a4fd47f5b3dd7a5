"""Findings about the dictionary, alone and beside the text."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from fairseq_dro.checks.finding import EXAMPLES, MOST_PLACES, Finding, Severity, places
from fairseq_dro.checks.label_tally import LabelTally
from fairseq_dro.data.dictionary_file import read_dictionary
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError
from fairseq_dro.text.shown import shown_unit
from fairseq_dro.text.tags import SPECIAL_SYMBOLS
from fairseq_dro.wording import counted, listed

TOLD_FROM, MUCH_NEW = 0.05, 0.6
"""Shares of a language's units that training lacks: from the first they are told, from the second
the text is another one. Chinese words beside ten minutes of others have 0.5."""


def read_symbols(path: Path) -> tuple[set[str] | None, list[Finding]]:
    """The units of a dictionary, None where it cannot be read, and what is wrong with it."""
    if not path.exists():
        return None, [
            Finding("no_dictionary", Severity.ERROR, f"{path} does not exist",
                    "write one line `unit count` for each unit, as `fairseq-dro prepare` does")
        ]  # fmt: skip
    try:
        units, faults = read_dictionary(path)
    except UserError as error:
        what, _, fix = str(error).rpartition(": ")
        return None, [Finding("bad_dictionary", Severity.ERROR, what, fix.rstrip("."))]
    if not faults:
        return set(units), []
    return set(units), [
        Finding("bad_dictionary", Severity.ERROR,
                f"lines of {path.name} that are not `unit count`, or name a unit that an "
                f"earlier line or fairseq ({', '.join(SPECIAL_SYMBOLS)}) has: {len(faults)}",
                "remove or fix the lines, or write the dictionary again", len(faults),
                tuple(f"{path.name}:{one.line}: {one.text!r} {one.what}"
                      for one in faults[:MOST_PLACES]))
    ]  # fmt: skip


def outside_dictionary(
    labels: LabelTally, symbols: Collection[str], *, stops_training: bool
) -> list[Finding]:
    """Units that the dictionary lacks, fairseq's own symbols among them.

    Args:
        symbols: those that ``labels`` were compared with.
    """
    missing = sorted(
        (unit for unit in labels.unit_counts if unit not in symbols),
        key=lambda unit: (-labels.unit_counts[unit], unit),
    )
    if not missing:
        return []
    manifest, rows = labels.manifest, np.flatnonzero(labels.unknown)
    shown = [
        unit if "U+" in unit else f"{unit} (U+{ord(unit[0]):04X})"
        for unit in map(shown_unit, missing)
    ]
    details = [
        listed(sorted({_named(u) for u in manifest.labels[row].split() if u not in symbols}), 3)
        for row in rows[:EXAMPLES]
    ]
    return [
        Finding(
            "outside_dictionary",
            Severity.ERROR if stops_training else Severity.WARNING,
            f"units that dict.{manifest.label_type}.txt lacks: {listed(shown)}; "
            f"{counted(len(rows), 'utterance')} of {manifest.split}",
            "normalise the text to the dictionary's symbols, or make the dictionary from all "
            "splits with `fairseq-dro prepare`"
            + ("" if stops_training else "; decoded, they count as errors"),
            len(rows),
            places(manifest, rows, manifest.label_type, details),
        )
    ]


def _named(unit: str) -> str:
    if unit in SPECIAL_SYMBOLS:
        return f"{unit!r} is a symbol of fairseq itself"
    return f"{unit!r} (U+{ord(unit[0]):04X})"


def never_learnt(
    training: LabelTally, others: Collection[LabelTally], symbols: Collection[str]
) -> list[Finding]:
    """Units of the dictionary that other splits have and training lacks.

    A warning where they are so much of a language that its text is another one than in training.
    """
    elsewhere: dict[str, int] = {}
    for labels in others:
        for unit, count in labels.unit_counts.items():
            if unit in symbols and unit not in training.unit_counts:
                elsewhere[unit] = elsewhere.get(unit, 0) + count
    if not elsewhere:
        return []
    units = sorted(elsewhere, key=lambda unit: (-elsewhere[unit], unit))
    splits = " and ".join(labels.manifest.split for labels in others)
    shares = [one for labels in others for one in _shares_of_new(labels, training.unit_counts)]
    is_much = any(share >= MUCH_NEW for share, _ in shares)
    told = [f"{100 * share:.0f} % of {of}" for share, of in sorted(shares, reverse=True)]
    return [
        Finding(
            "never_learnt",
            Severity.WARNING if is_much else Severity.NOTE,
            f"{counted(len(units), 'unit')} in {splits} and never in {training.manifest.split}, "
            f"so not to be learnt: {listed([shown_unit(unit) for unit in units], 12)}"
            + (f" ({listed(told)})" if told else ""),
            "look at the texts of these languages: their case, alphabet or normal form is not that "
            "of training" if is_much else
            "nothing to do: each occurrence counts as an error in every run",
            sum(elsewhere.values()),
        )
    ]  # fmt: skip


def _shares_of_new(labels: LabelTally, trained: Collection[str]) -> list[tuple[float, str]]:
    """``(0.98, "deu in test")`` for languages with many units that are not trained."""
    manifest, numbers = labels.manifest, labels.numbers
    is_trained = numbers.mask(trained)
    names = manifest.languages.names or [""]
    new, all_units = np.zeros(len(names)), np.zeros(len(names))
    for chunk in numbers.chunks(manifest.labels):
        rows = np.repeat(np.arange(chunk.first, chunk.last), chunk.units_per_line())
        codes = manifest.languages.codes[rows] if len(manifest.languages) else np.zeros_like(rows)
        is_new = ~numbers.is_in(is_trained, chunk.units)
        new += np.bincount(codes, is_new, len(names))
        all_units += np.bincount(codes, minlength=len(names))
    shares = (new / np.maximum(all_units, 1)).tolist()
    return [
        (share, f"{name} in {manifest.split}".strip())
        for share, name in zip(shares, names) if share >= TOLD_FROM
    ]  # fmt: skip


def tokens_lacking(
    manifests: Collection[Manifest], symbols: Collection[str], label_type: str,
    *, stops_training: bool = True,
) -> list[Finding]:
    """Language tokens that the dictionary lacks."""
    used = {name for manifest in manifests for name in manifest.languages.names}
    lacking = [f"[{name}]" for name in sorted(used) if f"[{name}]" not in symbols]
    if not lacking:
        return []
    return [
        Finding("token_not_in_dictionary",
                Severity.ERROR if stops_training else Severity.WARNING,
                f"task.language_token=true puts symbols before targets that dict.{label_type}"
                f".txt lacks: {listed(lacking)}",
                "make the folder again with `fairseq-dro prepare ... --language-tokens`, or add a "
                f"line `{lacking[0]} 1` to it, and so for each", len(lacking))
    ]  # fmt: skip


def joined_wrongly(
    symbols: Collection[str], post_process: str, option: str = "criterion.post_process"
) -> list[Finding]:
    """Units that become text in the way of other units, by which each text is one word.

    Args:
        symbols: units of the dictionary.
        post_process: ``letter``, ``sentencepiece``; nothing is said of others.
        option: what names it.
    """
    has_pieces = any(symbol.startswith("\u2581") for symbol in symbols)
    if has_pieces and post_process == "letter":
        units, right = "sentencepiece units", "sentencepiece"
    elif not has_pieces and "|" in symbols and post_process == "sentencepiece":
        units, right = "letters", "letter"
    else:
        return []
    return [
        Finding(
            "post_process", Severity.WARNING,
            f"{units} are joined by post_process={post_process}, and each text is one word",
            f"set {option}={right}",
        )
    ]  # fmt: skip
