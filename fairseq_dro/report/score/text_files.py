"""Pairs of reference and hypothesis files, of this program and of others.

=======  ==========================================  ==============================================
format   a line                                      written by
=======  ==========================================  ==============================================
plain    ``text``, both files in the same order      anybody
trn      ``text (id)``                               sclite, ESPnet's score folders, fairseq
kaldi    ``id text``                                 Kaldi, ESPnet, icefall
=======  ==========================================  ==============================================

Files are read side by side, so that memory stays flat as long as their order is about the same.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fairseq_dro.errors import UserError

FORMATS = ("auto", "plain", "trn", "kaldi")
_TRN = re.compile(r"^(.*?)\s*\(([^()\s]+)\)$")
_LOOKED_AT = 50  # lines, to guess the format


class Pair(NamedTuple):
    """One utterance of two text files."""

    id: str
    reference: str
    hypothesis: str
    where: str  # file:line of the reference


class _Line(NamedTuple):
    number: int
    id: str | None
    text: str


def read_pairs(reference: Path, hypothesis: Path, format: str = "auto") -> Iterator[Pair]:
    """The utterances of both files, in about the order of the references.

    Without ids, an utterance's id is ``line-000001`` and so on.

    Raises:
        UserError: a file cannot be read, a line has another form, an id occurs twice close by, the
            two files do not hold the same utterances, or the format cannot be told.
    """
    if format == "auto":
        format = guess_format(reference, hypothesis)
    if format == "plain":
        yield from _in_order(reference, hypothesis)
    else:
        yield from _by_id(reference, hypothesis, format)


def guess_format(reference: Path, hypothesis: Path) -> str:
    """``trn`` where each line ends in ``(id)``, else ``plain``.

    Raises:
        UserError: the first words look like ids, so that counting them would flatter the score.
    """
    heads = [
        [text for _, text in itertools.islice(_lines(path), _LOOKED_AT)]
        for path in (reference, hypothesis)
    ]
    if all(head and all(_TRN.match(text) for text in head) for head in heads):
        return "trn"
    first_words = [[text.split(maxsplit=1)[:1] for text in head] for head in heads]
    words = [word[0] for word in first_words[0] if word]
    if (
        len(words) > 1
        and sorted(first_words[0]) == sorted(first_words[1])
        and len(set(words)) == len(first_words[0])
        and all(re.search(r"[0-9]", word) for word in words)
    ):
        raise UserError(
            f"{reference}:1: each line of both files begins with the same, such as {words[0]!r}: "
            "type --format kaldi if these are utterance ids, or --format plain if they are words."
        )
    return "plain"


def read_column(path: Path, format: str) -> Iterator[tuple[str | None, str]]:
    """Id (None in plain files) and value of each line of a file with one word an utterance.

    Args:
        format: of the text files that it goes with. Beside ``id value`` (Kaldi's utt2spk), a file
            that goes with trn or kaldi files may hold the value alone, in their order.

    Raises:
        UserError: the file cannot be read, or a line holds more or less.
    """
    for number, text in _lines(path):
        words = text.split()
        if len(words) == 2 and format != "plain":
            yield words[0], words[1]
        elif len(words) == 1:
            yield None, words[0]
        else:
            expected = "one name" if format == "plain" else "`id name`, or one name"
            raise UserError(f"{path}:{number}: expected {expected}, found {text[:40]!r}.")


def _in_order(reference: Path, hypothesis: Path) -> Iterator[Pair]:
    for left, right in itertools.zip_longest(_lines(reference), _lines(hypothesis)):
        if left is None or right is None:
            shorter, longer = (reference, hypothesis) if left is None else (hypothesis, reference)
            number = (left or right)[0]
            raise UserError(
                f"{shorter} has {number - 1} lines and {longer} has more: in the plain format line "
                "n of one belongs to line n of the other; with ids in the files, type --format trn "
                "or --format kaldi."
            )
        number, text = left
        yield Pair(f"line-{number:06d}", text, right[1], f"{reference}:{number}")


def _by_id(reference: Path, hypothesis: Path, format: str) -> Iterator[Pair]:
    waiting: tuple[dict[str, _Line], dict[str, _Line]] = ({}, {})
    paths = (reference, hypothesis)
    for both in itertools.zip_longest(*(_with_ids(path, format) for path in paths)):
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
            left, right = (line, other) if side == 0 else (other, line)
            yield Pair(line.id, left.text, right.text, f"{reference}:{left.number}")
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


def _with_ids(path: Path, format: str) -> Iterator[_Line]:
    for number, text in _lines(path):
        if not text:
            continue
        if format == "kaldi":
            id, _, rest = text.replace("\t", " ").partition(" ")
            yield _Line(number, id, rest.strip())
            continue
        match = _TRN.match(text)
        if match is None:
            raise UserError(
                f"{path}:{number}: expected `text (id)`, found {text[-40:]!r}; type --format kaldi "
                "for `id text`, or --format plain for text alone."
            )
        yield _Line(number, match[2], match[1])


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text without white space at its ends, of every line."""
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError:
                    raise UserError(
                        f"{path}:{number} is not UTF-8: convert the file, for instance with "
                        "`iconv -t utf-8`."
                    ) from None
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): name a file of texts."
        ) from None
