"""Texts in a model's units, and the running text that they stand for.

=============  ==============================================  =====================================
name           a line                                          written by
=============  ==============================================  =====================================
letter         ``h a l l o | w e l t |``, also ``<space>``      fairseq, ESPnet; our ``*.units``
sentencepiece  ``▁hal lo ▁welt``                                 sentencepiece
subword_nmt    ``hal@@ lo welt``                                subword-nmt
=============  ==============================================  =====================================

The names are those of fairseq's ``post_process`` (fairseq/data/data_utils.py). Scored as if they
were words, units give other rates: each letter is a word, and the
spaces between them are characters that are always right.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import regex

from fairseq_dro.errors import UserError

NAMES = ("letter", "sentencepiece", "subword_nmt")
CHARACTERS, TEXT = "characters", "text"  # single characters without a mark between words; words
_BETWEEN_WORDS = {"|", "<space>", "<SPACE>", "<sp>", "<SP>"}
_ONE_UNIT = regex.compile(r"\X|<[^<>\s]+>|\[[^\[\]\s]+\]")  # [deu], <unk>
_LEAST_CHARACTERS = 4  # of a line, for "a b" may well be two words
_RARE = 20  # lines of which less than one may be in units by chance


def joined(text: str, notation: str) -> str:
    """The words that a line stands for; the line itself where its notation is ``none``."""
    if notation == "letter":
        units = (" " if unit in _BETWEEN_WORDS else unit for unit in text.split())
        return " ".join("".join(units).split())
    if notation == "sentencepiece":
        return " ".join("".join(text.split()).replace("\u2581", " ").split())
    if notation == "subword_nmt":
        return re.sub(r"@@(\s+|$)", "", text)
    return text


def notation_of(text: str) -> str | None:
    """How one line is written; None where that cannot be told, as of a single letter."""
    units = text.split()
    if "\u2581" in text and any(unit[0] == "\u2581" for unit in units):
        return "sentencepiece"
    if "@@" in text and any(len(unit) > 2 and unit.endswith("@@") for unit in units):
        return "subword_nmt"
    n_between = n_units = 0
    for unit in units:
        if unit in _BETWEEN_WORDS:
            n_between += 1
        elif len(unit) == 1 or _ONE_UNIT.fullmatch(unit):
            n_units += 1
        else:
            return TEXT
    if n_between:
        return "letter" if n_units else None
    return CHARACTERS if n_units >= _LEAST_CHARACTERS else None


def refuse_units(path: Path, counts: Counter[str | None]) -> None:
    """Units that would be counted as words, each letter or piece as one.

    Args:
        counts: lines of the file by ``notation_of``.

    Raises:
        UserError: more than one line in twenty is in units.
    """
    n_lines = counts.total() - counts[None]
    for notation in (*NAMES, CHARACTERS):
        if counts[notation] * _RARE > n_lines:
            name = "letter" if notation == CHARACTERS else notation
            raise UserError(
                f"{path} is written in units ({notation}: {counts[notation]:,} of {n_lines:,} "
                f"lines), which would be counted as words: type --post-process {name} to join "
                "those of both files, or --post-process none if they are words."
            )
