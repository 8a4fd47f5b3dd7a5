"""A reference over a hypothesis, cut into columns so that the eye finds what differs.

A column ends where both texts have a space, so that words stay whole and a word that was split in
two (or two that were run together) stands in one column. Texts without spaces between words, and
long stretches without a common space, are cut wherever equal and unequal parts meet.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import regex
from rapidfuzz.distance import Levenshtein

_LONGEST_COLUMN = 24  # characters; a longer one is cut where equal and unequal parts meet


class Piece(NamedTuple):
    """Characters of one text that the other has as well, or not."""

    text: str
    equal: bool


class Column(NamedTuple):
    """What stands above each other: pieces of the reference, pieces of the hypothesis."""

    reference: tuple[Piece, ...]
    hypothesis: tuple[Piece, ...]


class _Part(NamedTuple):
    equal: bool
    reference: tuple[str, ...]  # characters as a reader sees them (grapheme clusters)
    hypothesis: tuple[str, ...]


def align(reference: str, hypothesis: str) -> list[Column]:
    """Columns of a shortest edit path between the two, by grapheme cluster after NFC.

    A letter with its accents is one unit here: cutting between them would draw neither. The counts
    in the tables may differ, they are of code points.
    """
    left, right = _clusters(reference), _clusters(hypothesis)
    parts = [
        _Part(code == "equal", tuple(left[a:b]), tuple(right[c:d]))
        for code, a, b, c, d in Levenshtein.opcodes(left, right)
    ]
    columns: list[Column] = []
    for word in _split_at_common_spaces(parts):
        length = max(
            sum(len(part.reference) for part in word), sum(len(part.hypothesis) for part in word)
        )
        groups = [word] if length <= _LONGEST_COLUMN else [[part] for part in word]
        columns.extend(_column(group) for group in groups)
    return columns


def reads_right_to_left(text: str) -> bool:
    """Whether most letters with a direction run from right to left (Arabic, Hebrew ...)."""
    kinds = [unicodedata.bidirectional(character) for character in text]
    return sum(kind in ("R", "AL") for kind in kinds) > kinds.count("L")


def _clusters(text: str) -> list[str]:
    return regex.findall(r"\X", unicodedata.normalize("NFC", text))


def _split_at_common_spaces(parts: Sequence[_Part]) -> list[list[_Part]]:
    words: list[list[_Part]] = [[]]
    for part in parts:
        if not part.equal:
            words[-1].append(part)
            continue
        run: list[str] = []
        for character in part.reference:
            if character == " ":
                if run:
                    words[-1].append(_Part(True, tuple(run), tuple(run)))
                run = []
                words.append([])
            else:
                run.append(character)
        if run:
            words[-1].append(_Part(True, tuple(run), tuple(run)))
    return [word for word in words if word]


def _column(parts: Sequence[_Part]) -> Column:
    return Column(
        tuple(Piece("".join(p.reference), p.equal) for p in parts if p.reference),
        tuple(Piece("".join(p.hypothesis), p.equal) for p in parts if p.hypothesis),
    )
