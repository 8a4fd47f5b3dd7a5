"""Texts in a model's units, and the running text that they stand for.

=============  ==============================================  =====================================
name           a line                                          written by
=============  ==============================================  =====================================
letter         ``h a l l o | w e l t |``, also ``<space>``      fairseq, ESPnet; our ``*.units``
sentencepiece  ``▁hal lo ▁welt``                                 sentencepiece
subword_nmt    ``hal@@ lo welt``                                subword-nmt
wordpiece      ``hal ##lo welt``                                BERT's tokenizer
=============  ==============================================  =====================================

The names are those of fairseq's ``post_process`` (fairseq/data/data_utils.py), whose own wordpiece
is another. Scored as if they were words, units give other rates: each letter is a word, and the
spaces between them are characters that are always right.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import regex

NAMES = ("letter", "sentencepiece", "subword_nmt", "wordpiece")
CHARACTERS, TEXT = "characters", "text"  # single characters without a mark between words; words
_BETWEEN_WORDS = {"|", "<space>", "<SPACE>", "<sp>", "<SP>"}
_ONE_UNIT = regex.compile(r"\X|<[^<>\s]+>|\[[^\[\]\s]+\]")  # [deu], <unk>
_LEAST_CHARACTERS = 4  # of a line, for "a b" may well be two words
_RARE = 20  # lines of which a mark that stands within words must be in one


def joined(text: str, notation: str | None) -> str:
    """The words that a line stands for."""
    if notation == "letter":
        units = (" " if unit in _BETWEEN_WORDS else unit for unit in text.split())
        return " ".join("".join(units).split())
    if notation == "sentencepiece":
        return " ".join("".join(text.split()).replace("\u2581", " ").split())
    if notation == "subword_nmt":
        return re.sub(r"@@(\s+|$)", "", text)
    if notation == "wordpiece":
        return re.sub(r"(^|\s+)##", "", text)
    return text


def notation_of(text: str) -> str | None:
    """How one line is written; None where that cannot be told, as of a single letter."""
    units = text.split()
    if "\u2581" in text and any(unit[0] == "\u2581" for unit in units):
        return "sentencepiece"
    if "@@" in text and any(len(unit) > 2 and unit.endswith("@@") for unit in units):
        return "subword_nmt"
    if "##" in text and any(len(unit) > 2 and unit.startswith("##") for unit in units):
        return "wordpiece"
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


@dataclass
class Notations:
    """How many lines of a file are written in which way, and the first line of each."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)  # number of the line

    def add(self, number: int, text: str) -> None:
        """Count a line, which is given without its id."""
        notation = notation_of(text)
        if notation is not None:
            self.counts[notation] += 1
            self.first.setdefault(notation, number)

    def found(self) -> Found:
        """What the file is written in, if all its lines are."""
        counts, n_lines = self.counts, self.counts.total()
        marked = [name for name in NAMES if counts[name]]
        if len(marked) > 1:
            return Found(marked[0], self.first[marked[1]])
        for name in ("subword_nmt", "wordpiece"):  # words that are whole have no mark
            if counts[name]:
                is_rare = counts[name] * _RARE < n_lines
                return Found(name, self.first[name] if is_rare else None)
        if counts["sentencepiece"]:
            return self._all_or("sentencepiece", ("sentencepiece",))
        if counts["letter"] and 2 * (counts["letter"] + counts[CHARACTERS]) > n_lines:
            return self._all_or("letter", ("letter", CHARACTERS))
        if 2 * counts[CHARACTERS] > n_lines:
            return Found(CHARACTERS, self.first[CHARACTERS])
        return Found(None)

    def _all_or(self, name: str, fitting: tuple[str, ...]) -> Found:
        others = [number for other, number in self.first.items() if other not in fitting]
        return Found(name, min(others, default=None))


@dataclass(frozen=True)
class Found:
    """The notation of a file, None for running text, and the line that speaks against it."""

    notation: str | None
    against: int | None = None
