"""Find out how two text files are to be read, or refuse where that would be a guess.

Every line is looked at. Ids that are counted as words, and units that are, flatter a score (both
files have the same ones) without a word, so what most lines say and some do not is refused with the
line that does not, and the options that decide it.
"""

from __future__ import annotations

import re
import shlex
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fairseq_dro.errors import UserError
from fairseq_dro.report.score.notation import CHARACTERS, Found, Notations
from fairseq_dro.report.score.text_files import (
    COMMENT,
    Reading,
    lines_of_format,
    read_lines,
    split_trn,
)
from fairseq_dro.scoring.records import is_json

_LIKE_AN_ID = re.compile(r"[0-9]|\w[-_/.]+\w")  # of a first word
_NIST = re.compile(  # ctm: file channel begin duration word; stm: file channel speaker begin end
    r"\S+ \S+ ([0-9]*\.?[0-9]+ [0-9]*\.?[0-9]+ \S+|\S+ [0-9]*\.[0-9]+ [0-9]*\.[0-9]+)(\s|$)"
)
_FEWEST_DIFFERENT = 3  # lines that differ behind a first word that is the same
_KEPT_IDS = 1000


def find_reading(
    reference: Path, hypothesis: Path, format: str = "auto", notation: str = "auto"
) -> Reading:
    """How the two files are to be read: what is given, and the rest from what they hold.

    Args:
        format: ``plain``, ``trn``, ``kaldi`` or ``auto``.
        notation: one of ``notation.NAMES``, ``none``, or ``auto``.

    Raises:
        UserError: it cannot be told; the sentence names the line and the options.
    """
    if "auto" in (format, notation):
        for path in (reference, hypothesis):
            if path.exists() and not path.is_file():
                raise UserError(
                    f"{path} is no file, so that it can be read only once: add --format and "
                    "--post-process, for it is not looked at before it is read."
                )
    paths = (reference, hypothesis)
    if format == "auto":
        surveys = tuple(_Survey(path) for path in paths)
        format = _find_format(*surveys)
        notations = tuple(survey.notations for survey in surveys)
    elif notation == "auto":
        notations = tuple(_notations_of(path, format) for path in paths)
    if notation == "auto":
        return Reading(format, _find_notations(paths, notations))
    given = None if notation == "none" else notation
    return Reading(format, (given, given))


def describe_reading(reading: Reading, reference: Path, hypothesis: Path) -> str:
    """One line: what was recognised."""
    told = {
        "plain": "a text a line, in the same order", "trn": "`text (id)`", "kaldi": "`id text`"
    }[reading.format]  # fmt: skip
    units = [
        f"{path} is in units ({notation}), which are joined to words"
        for path, notation in zip((reference, hypothesis), reading.notations)
        if notation
    ]
    return "; ".join([f"{reference} and {hypothesis} are read as {reading.format}, {told}", *units])


# --- format ---


@dataclass
class _Survey:
    """What the lines of one file look like, in 16 bytes a line."""

    path: Path
    n_lines: int = 0
    n_trn: int = 0
    n_tabs: int = 0
    n_nist: int = 0
    n_like_ids: int = 0  # first words, where more words follow
    first_comment: int = 0
    first_not_trn: tuple[int, str] | None = None
    twice: tuple[int, str] | None = None  # an id at the end of a line that another line has
    first_words: array = field(default_factory=lambda: array("q"))  # hashes
    texts: array = field(default_factory=lambda: array("q"))
    notations: Notations = field(default_factory=Notations)
    example: str = ""

    def __post_init__(self) -> None:
        ids: set[str] = set()
        for number, text in read_lines(self.path):
            if not text:
                continue
            if text.startswith(COMMENT):
                self.first_comment = self.first_comment or number
                continue
            if not self.n_lines and text.startswith("{") and is_json(text):
                raise UserError(
                    f"{self.path}:{number} is JSON: records are named without --ref and --hyp, as "
                    f"`fairseq-dro score {shlex.quote(str(self.path))}`; for other JSON write the "
                    "texts alone."
                )
            self._add(number, text, ids)
        if self.n_lines and self.n_nist == self.n_lines:
            raise UserError(
                f"{self.path} has the lines of sclite's stm or ctm files, which are not read: "
                "write `text (id)` lines, as sclite's trn."
            )

    def _add(self, number: int, text: str, ids: set[str]) -> None:
        if self.n_nist == self.n_lines:
            self.n_nist += bool(_NIST.match(text))
        self.n_lines += 1
        parts = split_trn(text)
        if parts is None:
            self.first_not_trn = self.first_not_trn or (number, text)
        else:
            self.n_trn += 1
            if parts[1] in ids and self.twice is None:
                self.twice = number, parts[1]
            if len(ids) < _KEPT_IDS:
                ids.add(parts[1])
        self.notations.add(number, parts[0] if parts else text)
        word = text.split(maxsplit=1)[0]
        self.example = self.example or word
        self.n_tabs += "\t" in text
        self.n_like_ids += word != text and bool(_LIKE_AN_ID.search(word))
        self.first_words.append(hash(word))
        self.texts.append(hash(text))


def _find_format(reference: _Survey, hypothesis: _Survey) -> str:
    both = (reference, hypothesis)
    if all(one.n_lines and one.n_trn == one.n_lines for one in both):
        for one in both:
            if one.twice is not None:
                number, id = one.twice
                raise UserError(
                    f"{one.path}:{number} ends in ({id}), as another line does, so it is no id: "
                    "type --format plain if brackets are text, --format kaldi for `id text`."
                )
        return "trn"
    for one in both:
        if 2 * one.n_trn > one.n_lines:
            where = one if one.first_not_trn else both[one is reference]
            number, text = where.first_not_trn or (1, "")
            raise UserError(
                f"{where.path}:{number} does not end in (id), as most lines of {one.path} do, but "
                f"in {text[-40:]!r}: add the id, or type --format plain if brackets are text."
            )
    for one in both:
        if one.first_comment:
            raise UserError(
                f"{one.path}:{one.first_comment} begins with {COMMENT}, which is a comment in a "
                "trn file: remove the line, or type --format plain if it is text."
            )
    if _begin_with_ids(reference, hypothesis):
        raise UserError(
            f"{reference.path}:1: lines of both files begin with the same, such as "
            f"{reference.example!r}: type --format kaldi if these are utterance ids, or --format "
            "plain if they are words."
        )
    return "plain"


def _begin_with_ids(reference: _Survey, hypothesis: _Survey) -> bool:
    """Whether the first words may be ids.

    They may where most of them look like ids and the other file has them too, or where all are
    different, the other file has the same ones, and their order or what follows them differs.
    """
    n_lines = reference.n_lines
    if all(one.n_tabs and one.n_tabs == one.n_lines for one in (reference, hypothesis)):
        return True
    if n_lines < 2:
        return False
    ours, theirs = (np.asarray(one.first_words) for one in (reference, hypothesis))
    shared = np.intersect1d(ours, theirs)
    if 2 * min(len(shared), reference.n_like_ids) > n_lines:
        return True
    if not len(shared) == len(ours) == len(theirs):
        return False
    if not np.array_equal(ours, theirs):
        return True
    n_different = np.sum(np.asarray(reference.texts) != np.asarray(hypothesis.texts))
    return bool(n_different >= _FEWEST_DIFFERENT)


# --- notation ---


def _notations_of(path: Path, format: str) -> Notations:
    notations = Notations()
    for line in lines_of_format(path, format):
        notations.add(line.number, line.text)
    return notations


def _find_notations(
    paths: tuple[Path, Path], notations: tuple[Notations, Notations]
) -> tuple[str | None, str | None]:
    first, found = _certain(paths[0], notations[0].found()), notations[1].found()
    # A model's output may lack the marks that each reference has
    if first is not None and notations[1].counts[first]:
        return first, first
    if first == "letter" and found.notation == CHARACTERS:
        return first, first
    return first, _certain(paths[1], found)


def _certain(path: Path, found: Found) -> str | None:
    options = f"type --post-process {found.notation} to join the units of both files, or none"
    if found.notation == CHARACTERS:
        raise UserError(
            f"{path}:{found.against} is written in single characters without a mark between words, "
            "as most lines are, which would each be counted as a word: type --post-process letter "
            "to join them (one word a line), or none if they are words."
        )
    if found.against is not None:
        raise UserError(
            f"{path}:{found.against} is not written in the units ({found.notation}) of other "
            f"lines: {options} if the lines are words."
        )
    return found.notation

