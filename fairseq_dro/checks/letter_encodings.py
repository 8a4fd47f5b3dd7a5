"""One letter in two encodings of one script: two units of the dictionary that read the same.

Arabic and Persian yeh and kaf, Romanian letters with cedilla and with comma, presentation forms,
full-width letters and the tatweel survive NFC. NFKC and the language's alphabet tell them apart.

Shapes: G languages, K kinds of letters, U units.
"""

from __future__ import annotations

import itertools
import unicodedata
from functools import lru_cache

import numpy as np

from fairseq_dro.checks.finding import EXAMPLES, Finding, Severity, places
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.wording import listed

PAIRS = (
    "\u064a\u06cc",  # Arabic and Persian yeh
    "\u0643\u06a9",  # Arabic kaf, keheh
    "\u0647\u06c1",  # heh, heh goal
    "\u015f\u0219",  # s with cedilla, with comma
    "\u0163\u021b",  # t with cedilla, with comma
)
DISTINCT = {"pus": ("\u064a\u06cc",)}
"""Pairs of which an alphabet has both (CLDR 48.2; ``scripts/make_orthographies.py`` reads it)."""
TATWEEL = "\u0640"
_FORMS = range(0xFB00, 0xFFF0)  # Alphabetic Presentation Forms-A to Halfwidth and Fullwidth Forms
_KINDS = {letter: kind for kind, letter in enumerate("".join(PAIRS), start=1)}
_TATWEEL, _FORM = len(_KINDS) + 1, len(_KINDS) + 2
N_KINDS = _FORM + 1
"""0 is any other letter."""


@lru_cache(maxsize=1)
def kinds_of_code_points() -> np.ndarray:
    """[0x110000] uint8: the kind of each code point."""
    table = np.zeros(0x110000, np.uint8)
    for code in _FORMS:
        letter = chr(code)
        if unicodedata.category(letter)[0] == "L" and unicodedata.decomposition(letter)[:1] == "<":
            table[code] = _FORM
    for letter, kind in _KINDS.items():
        table[ord(letter)] = kind
    table[ord(TATWEEL)] = _TATWEEL
    return table


def two_encodings(manifest: Manifest, counts: np.ndarray) -> list[Finding]:
    """Languages that write one letter in two encodings.

    Args:
        counts: [G, K] how often each language has a letter of each kind.
    """
    names = manifest.languages.names if len(manifest.languages) else [""]
    told, wanted, total = [], [], 0
    for language, row in zip(names, counts.tolist()):
        for first, second in PAIRS:
            if min(row[_KINDS[first]], row[_KINDS[second]]) == 0:
                continue
            if first + second in DISTINCT.get(language, ()):
                continue
            rare, usual = sorted((first, second), key=lambda letter: row[_KINDS[letter]])
            told.append(
                f"{language} {rare} (U+{ord(rare):04X}) {row[_KINDS[rare]]} times beside {usual} "
                f"(U+{ord(usual):04X})".strip()
            )
            wanted.append((language, _KINDS[rare]))
            total += row[_KINDS[rare]]
        for kind, name in ((_TATWEEL, "tatweel"), (_FORM, "presentation forms")):
            if row[kind]:
                told.append(f"{language} {name} {row[kind]} times".strip())
                wanted.append((language, kind))
                total += row[kind]
    if not told:
        return []
    rows = sorted(
        set(itertools.chain(*(_rows_with(manifest, name, kind) for name, kind in wanted)))
    )
    return [
        Finding(
            "two_encodings", Severity.WARNING,
            f"letters in two encodings of one script in {manifest.split}: {listed(told, 4)}",
            "write the rarer letter as the other one, presentation forms in NFKC, and no tatweel, "
            "in all splits and before `fairseq-dro prepare`",
            total, places(manifest, rows, manifest.label_type),
        )
    ]  # fmt: skip


def _rows_with(manifest: Manifest, language: str, kind: int) -> list[int]:
    """The first utterances of a language with a letter of a kind."""
    has_languages, found = len(manifest.languages) > 0, []
    rows = range(len(manifest))
    if has_languages:
        code = manifest.languages.names.index(language)
        rows = np.flatnonzero(manifest.languages.codes == code).tolist()
    for row in rows:
        if (kinds_of_code_points()[list(map(ord, manifest.labels[row]))] == kind).any():
            found.append(row)
            if len(found) == EXAMPLES:
                break
    return found
