"""One thing that is wrong, all its places together.

Shapes: G languages.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError
from fairseq_dro.wording import listed

MOST_PLACES = 1000
"""Places kept of a finding; its count says how many there are."""
EXAMPLES = 20
"""Places of a finding whose details are worked out, where that takes time."""
SPOILS_FROM = 0.01
"""Share of a language's utterances from which a defect of text or audio is an error: below, it
costs those utterances; above, it can be what the language's error rate is made of."""


class Severity(str, Enum):
    """What follows from a finding."""

    ERROR = "error"
    """It stops training, or spoils what is trained or measured."""
    WARNING = "warning"
    """It costs something, or is a mistake more often than not."""
    NOTE = "note"
    """Worth knowing; nothing to do."""


@dataclass(frozen=True)
class Finding:
    """What is wrong, how often, where, and what fixes it.

    Attributes:
        kind: a name in snake case that stays the same over versions.
        what: a sentence without its full stop.
        fix: the command or option that fixes it, as an imperative without full stop.
        places: the first of them, ``file:line (utterance)`` with what was found there.
    """

    kind: str
    severity: Severity
    what: str
    fix: str
    count: int = 1
    places: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "severity": self.severity.value,
            "what": self.what,
            "fix": self.fix,
            "count": self.count,
            "places": list(self.places),
        }


def require_none(findings: Iterable[Finding], folder: Path) -> list[str]:
    """Sentences about findings that stop nothing.

    Raises:
        UserError: about the first finding that does.
    """
    said = []
    for finding in findings:
        sentence = f"{finding.what}: {finding.fix}."
        if finding.places:
            first = finding.places[0].replace(" (", " (utterance ", 1)
            sentence = f"{folder}/{first}: {sentence}"
        if finding.severity is Severity.ERROR:
            raise UserError(sentence)
        said.append(sentence)
    return said


def place(manifest: Manifest, row: int, suffix: str, detail: str = "") -> str:
    """``train.ltr:9 (deu/0001): detail``; the folder is said once, above all findings."""
    line = int(row) + (2 if suffix == "tsv" else 1)
    where = f"{manifest.split}.{suffix}:{line} ({manifest.utterance_ids[row]})"
    return f"{where}: {detail}" if detail else where


def places(
    manifest: Manifest, rows: Iterable[int], suffix: str, details: Sequence[str] = ()
) -> tuple[str, ...]:
    """Places of the first rows, the first of them with a detail where there are any."""
    chosen = [int(row) for row in list(rows)[:MOST_PLACES]]
    told = itertools.zip_longest(chosen, details[: len(chosen)], fillvalue="")
    return tuple(place(manifest, row, suffix, detail) for row, detail in told)


def counts_by_language(manifest: Manifest, rows: Sequence[int]) -> np.ndarray:
    """[G] how many of the rows each language has; one number where the split has no languages."""
    languages = manifest.languages
    if not len(languages):
        return np.array([len(rows)])
    return np.bincount(languages.codes[np.asarray(rows, int)], minlength=len(languages.names))


def totals_by_language(manifest: Manifest) -> np.ndarray:
    """[G] utterances of each language; one number where the split has no languages."""
    return counts_by_language(manifest, np.arange(len(manifest)))


def in_languages(manifest: Manifest, rows: Sequence[int], *, of_all: bool = False) -> str:
    """`` (rus 12, deu 3)``: the languages of some rows, the most first; empty without languages.

    Args:
        of_all: ``rus 12 of 24``, beside all that the language has.
    """
    if not len(manifest.languages):
        return ""
    counts, totals = counts_by_language(manifest, rows), totals_by_language(manifest)
    told = [
        f"{manifest.languages.names[code]} {counts[code]}"
        + (f" of {totals[code]}" if of_all else "")
        for code in np.argsort(-counts, kind="stable").tolist()
        if counts[code]
    ]
    return f" ({listed(told)})"
