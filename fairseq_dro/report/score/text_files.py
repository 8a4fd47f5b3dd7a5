"""Pairs of reference and hypothesis files, of this program and of others.

=======  ==========================================  ==============================================
format   a line                                      written by
=======  ==========================================  ==============================================
plain    ``text``, both files in the same order      anybody
trn      ``text (id)``, ``;; comment``               sclite, ESPnet's score folders, fairseq
kaldi    ``id text``                                 Kaldi, ESPnet, icefall
=======  ==========================================  ==============================================

Files are read side by side, so that memory stays flat as long as their order is about the same.
Nothing is guessed: ids that are counted as words, and units that are, make a score better (both
files have the same ones), so the user says which they are.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fairseq_dro.errors import UserError
from fairseq_dro.report.score.notation import joined, notation_of, refuse_units
from fairseq_dro.text_lines import lines_of

_COMMENT = ";;"  # at the start of a line of a trn file
_ALTERNATIVES = re.compile(r"\{[^{}]*/[^{}]*\}")  # sclite's {a / b / @}


class Pair(NamedTuple):
    """One utterance of two text files."""

    id: str
    reference: str
    hypothesis: str
    where: str  # file:line of the reference


class Line(NamedTuple):
    """One utterance of one file; ``id`` is None in plain files."""

    number: int
    id: str | None
    text: str


def read_pairs(
    reference: Path, hypothesis: Path, format: str, post_process: str | None = None
) -> Iterator[Pair]:
    """The utterances of both files as running text, in about the order of the references.

    Without ids, an utterance's id is ``line-000001`` and so on.

    Args:
        format: ``plain``, ``trn`` or ``kaldi``.
        post_process: one of ``notation.NAMES``, whose units are joined; ``none`` where texts are
            words; where it is None they are too, and units are refused once all lines are read.

    Raises:
        UserError: a file cannot be read, a line has another form or holds alternatives, an id
            occurs twice close by, the two files do not hold the same utterances, or texts are
            units.
    """
    pairs = _in_order if format == "plain" else _by_id
    paths, notations = (reference, hypothesis), (Counter(), Counter())
    for left, right in pairs(reference, hypothesis, format):
        texts = []
        for path, line, counts in zip(paths, (left, right), notations):
            found = _ALTERNATIVES.search(line.text) if "{" in line.text else None
            if found is not None:
                raise UserError(
                    f"{path}:{line.number} holds alternatives as sclite knows them, {found[0]!r}: "
                    "they are not scored here; write the one that was said, or score with sclite."
                )
            if post_process is None:
                counts[notation_of(line.text)] += 1
            texts.append(joined(line.text, post_process or "none"))
        id = left.id if left.id is not None else _id_of_line(left.number)
        yield Pair(id, *texts, f"{reference}:{left.number}")
    for path, counts in zip(paths, notations):
        refuse_units(path, counts)


def lines_of_format(path: Path, format: str) -> Iterator[Line]:
    """The utterances of one file; comments and, where there are ids, blank lines are none."""
    for number, line in lines_of(path):
        text = line.strip()
        if format == "plain":
            yield Line(number, None, text)
        elif not text or (format == "trn" and text.startswith(_COMMENT)):
            continue
        elif format == "kaldi":
            id, _, rest = text.replace("\t", " ").partition(" ")
            yield Line(number, id, rest.strip())
        else:
            parts = split_trn(text)
            if parts is None:
                raise UserError(
                    f"{path}:{number}: expected `text (id)`, found {text[-40:]!r}; type --format "
                    "kaldi for `id text`, or --format plain for text alone."
                )
            yield Line(number, parts[1], parts[0])


def split_trn(text: str) -> tuple[str, str] | None:
    """Text and id of ``text (id)``; None where the line does not end in an id.

    The id is what the last brackets hold, with brackets and spaces inside it if it has any.
    """
    if not text.endswith(")"):
        return None
    at = last = text.rfind("(")
    depth = text.count(")", last) - 1  # brackets inside the id that began before
    while depth > 0 and (before := text.rfind("(", 0, at)) >= 0:
        depth += text.count(")", before, at) - 1
        at = before
    if depth:  # a closing bracket too many
        at = last
    id = " ".join(text[at + 1 : -1].split())
    return (text[:at].rstrip(), id) if at >= 0 and id else None


def read_column(path: Path, format: str) -> dict[str, str]:
    """One word an utterance, by its id, from ``id word`` lines (Kaldi's utt2spk).

    Beside plain files it is one word a line, in their order. Blank lines at its end are left out.

    Raises:
        UserError: the file cannot be read, or a line holds more or less.
    """
    found, blank = {}, 0
    expected = "one name" if format == "plain" else "`id name`"
    for number, line in lines_of(path):
        text = line.strip()
        words = [_id_of_line(number), *text.split()] if format == "plain" else text.split()
        if not text:
            blank = blank or number
        elif blank or len(words) != 2:
            said = "" if blank else text[:40]
            raise UserError(f"{path}:{blank or number}: expected {expected}, found {said!r}.")
        else:
            found[words[0]] = words[1]
    return found


def _id_of_line(number: int) -> str:
    return f"line-{number:06d}"


def _in_order(reference: Path, hypothesis: Path, format: str) -> Iterator[tuple[Line, Line]]:
    """Line by line; lines at the end that are blank in both files are no utterances."""
    sides = [lines_of_format(path, format) for path in (reference, hypothesis)]
    blank: list[tuple[Line, Line]] = []
    for left, right in itertools.zip_longest(*sides):
        if not (left and left.text) and not (right and right.text):
            if left and right:
                blank.append((left, right))
            continue
        if left is None or right is None:
            shorter, longer = (reference, hypothesis) if left is None else (hypothesis, reference)
            number = (left or right).number
            raise UserError(
                f"{shorter} has {number - 1} lines and {longer} has more: in the plain format line "
                "n of one belongs to line n of the other; with ids in the files, type --format trn "
                "or --format kaldi."
            )
        yield from blank
        blank.clear()
        yield left, right


def _by_id(reference: Path, hypothesis: Path, format: str) -> Iterator[tuple[Line, Line]]:
    waiting: tuple[dict[str, Line], dict[str, Line]] = ({}, {})
    paths = (reference, hypothesis)
    for both in itertools.zip_longest(*(lines_of_format(path, format) for path in paths)):
        for side, line in enumerate(both):
            if line is None:
                continue
            if line.id in waiting[side]:
                raise UserError(
                    f"{paths[side]}:{line.number}: the utterance {line.id} was at line "
                    f"{waiting[side][line.id].number} already; remove one of them."
                )
            other = waiting[1 - side].pop(line.id, None)
            if other is None:
                waiting[side][line.id] = line
                continue
            yield (line, other) if side == 0 else (other, line)
    for side, lacks in ((0, "hypothesis"), (1, "reference")):
        if waiting[side]:
            first = min(waiting[side].values(), key=lambda line: line.number)
            more = len(waiting[side]) - 1
            and_more = f" (nor have {more} others)" if more else ""
            raise UserError(
                f"{paths[side]}:{first.number}: the utterance {first.id} has no {lacks} in "
                f"{paths[1 - side]}{and_more}: both files must hold the same utterances; an empty "
                "text is a line with the id alone."
            )
