"""Utterances of record files and of text files, and the sums of their errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.score.text_files import read_column, read_pairs
from fairseq_dro.runs.record_file import duplicate_error, empty_error, iterate_lines
from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.rates import Scores, sum_up
from fairseq_dro.scoring.records import Record, parse_line
from fairseq_dro.scoring.utterances import record_of

COLUMNS = ("language", "speaker", "corpus")


@dataclass(frozen=True)
class RecordFiles:
    """Files of records, one after the other."""

    paths: list[Path]

    def records(self) -> Iterator[tuple[Record, str]]:
        """Each utterance with its ``file:line``; its errors are counted elsewhere."""
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
        columns = {name: read_column(path, self.format) for name, path in self.columns.items()}
        n, files = 0, (self.reference, self.hypothesis)
        for pair in read_pairs(*files, self.format, self.post_process):
            n += 1
            values = dict.fromkeys(COLUMNS)
            for name, by_id in columns.items():
                if pair.id not in by_id:
                    raise UserError(
                        f"{pair.where}: the utterance {pair.id} has no {name} in "
                        f"{self.columns[name]}: it must have one for every utterance."
                    )
                values[name] = by_id[pair.id]
            record = record_of(pair.reference, pair.hypothesis, id=pair.id, **values)
            language = record.language or record.target_language
            yield dataclasses.replace(record, language=language), pair.where
        if not n:
            raise UserError(f"{self.reference} holds no text: name a file of references.")
        for name, by_id in columns.items():
            if self.format == "plain" and len(by_id) > n:
                raise UserError(
                    f"{self.columns[name]} has more lines than {self.reference} has utterances."
                )


Source = Union[RecordFiles, TextFiles]  # noqa: UP007


def count(source: Source, convention: Convention, by: GroupBy = BY_LANGUAGE) -> Scores:
    """Sums over all utterances of a source, compared by a convention.

    Args:
        by: what a group is.

    Raises:
        UserError: see the sources; or two utterances have the same id.
    """
    def scored() -> Iterator[Record]:
        place_of: dict[str, str] = {}
        for record, where in source.records():
            if record.id in place_of:
                raise duplicate_error(record.id, place_of[record.id], where)
            place_of[record.id] = where
            yield convention.score(record)

    scores = sum_up(scored(), convention, by)
    scores.languages = dict(sorted(scores.languages.items()))
    return scores
