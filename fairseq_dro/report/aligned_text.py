"""What differs between a reference and a hypothesis, marked in both."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

import regex
from rapidfuzz.distance import Levenshtein


class Piece(NamedTuple):
    """Characters of one text that the other has as well, or not."""

    text: str
    equal: bool


def align(reference: str, hypothesis: str) -> tuple[list[Piece], list[Piece]]:
    """Pieces of both by a shortest edit path, by grapheme cluster after NFC.

    A letter with its accents is one unit here: cutting between them would draw neither. The counts
    in the tables may differ, they are of code points.
    """
    left, right = (
        regex.findall(r"\X", unicodedata.normalize("NFC", text)) for text in (reference, hypothesis)
    )
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    for code, a, b, c, d in Levenshtein.opcodes(left, right):
        for pieces, characters in zip(sides, (left[a:b], right[c:d])):
            if characters:
                text, equal = "".join(characters), code == "equal"
                if pieces and not equal and not pieces[-1].equal:
                    text = pieces.pop().text + text
                pieces.append(Piece(text, equal))
    return sides


def reads_right_to_left(text: str) -> bool:
    """Whether most letters with a direction run from right to left (Arabic, Hebrew ...)."""
    kinds = [unicodedata.bidirectional(character) for character in text]
    return sum(kind in ("R", "AL") for kind in kinds) > kinds.count("L")
