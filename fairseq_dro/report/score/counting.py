"""Utterances of record files and of text files, and the sums of their errors."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.score.text_files import read_column, read_pairs
from fairseq_dro.runs.record_file import duplicate_error, empty_error, iterate_lines
from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.rates import Scores
from fairseq_dro.scoring.records import Record, parse_line
from fairseq_dro.scoring.utterances import record_of

COLUMNS = ("language", "speaker", "corpus")


class Source(Protocol):
    """Where utterances come from."""

    def records(self) -> Iterator[tuple[Record, str]]:
        """Each utterance with its ``file:line``; its errors are counted elsewhere."""


@dataclass(frozen=True)
class RecordFiles:
    """Files of records, one after the other."""

    paths: list[Path]

    def records(self) -> Iterator[tuple[Record, str]]:
        for path in self.paths:
            number = None
            for number, line in iterate_lines(path):
                where = f"{path}:{number}"
                yield parse_line(line, where), where
            if number is None:
                raise empty_error(path)


@dataclass(frozen=True)
class TextFiles:
    """A file of references and one of hypotheses, with columns of names beside them.

    Attributes:
        columns: files by names of ``COLUMNS``.
        format, post_process: see ``text_files.read_pairs``.
    """

    reference: Path
    hypothesis: Path
    columns: Mapping[str, Path]
    format: str = "trn"
    post_process: str | None = None

    def records(self) -> Iterator[tuple[Record, str]]:
        columns = {name: _Column(name, path, self.format) for name, path in self.columns.items()}
        pair, files = None, (self.reference, self.hypothesis)
        for pair in read_pairs(*files, self.format, self.post_process):
            values = dict.fromkeys(COLUMNS)
            values.update({name: one.value(pair.id, pair.where) for name, one in columns.items()})
            record = record_of(pair.reference, pair.hypothesis, id=pair.id, **values)
            language = record.language or record.target_language
            yield dataclasses.replace(record, language=language), pair.where
        if pair is None:
            raise UserError(f"{self.reference} holds no text: name a file of references.")
        for column in columns.values():
            column.finish(self.reference)


class _Column:
    """One name an utterance, by id or in order."""

    def __init__(self, name: str, path: Path, format: str) -> None:
        self.name, self.path = name, path
        self._rows = read_column(path, format)
        self._by_id: dict[str, str] | None = None
        self._last_line = 0  # of the references
        head = list(itertools.islice(self._rows, 1))
        self._rows = itertools.chain(head, self._rows)
        if head and head[0][0] is not None:
            self._by_id = {id: value for id, value in self._rows if id is not None}

    def value(self, id: str, where: str) -> str:
        if self._by_id is not None:
            if id not in self._by_id:
                raise UserError(f"{where}: the utterance {id} has no {self.name} in {self.path}.")
            return self._by_id[id]
        line = int(where.rpartition(":")[2])
        if line <= self._last_line:
            raise UserError(
                f"{where}: references and hypotheses are in another order, and {self.path} has no "
                f"ids by which to tell whose {self.name} a line is: write `id {self.name}` lines."
            )
        self._last_line = line
        row = next(self._rows, None)
        if row is None:
            raise UserError(
                f"{where}: {self.path} ends before this utterance: it must hold one {self.name} a "
                "line, for as many utterances as there are."
            )
        return row[1]

    def finish(self, reference: Path) -> None:
        if self._by_id is None and next(self._rows, None) is not None:
            raise UserError(f"{self.path} has more lines than {reference} has utterances.")


def count(source: Source, convention: Convention, by: GroupBy = BY_LANGUAGE) -> Scores:
    """Sums over all utterances of a source, compared by a convention.

    Args:
        by: what a group is.

    Raises:
        UserError: see the sources; or two utterances have the same id.
    """
    scores = Scores(convention, by)
    place_of: dict[str, str] = {}
    for record, where in source.records():
        if record.id in place_of:
            raise duplicate_error(record.id, place_of[record.id], where)
        place_of[record.id] = where
        scores.add(convention.score(record))
    scores.languages = dict(sorted(scores.languages.items()))
    return scores
