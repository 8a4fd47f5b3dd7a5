"""Utterances of record files and of text files, and the sums of their errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.score.text_files import read_column, read_pairs
from fairseq_dro.runs.record_file import duplicate_error, empty_error, iterate_lines
from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.rates import Scores, sum_up
from fairseq_dro.scoring.records import Record, parse_line
from fairseq_dro.scoring.utterances import record_of

COLUMNS = ("language", "speaker", "corpus")


def records_of_files(paths: Sequence[Path]) -> Iterator[tuple[Record, str]]:
    """Each utterance with its ``file:line``; its errors are counted elsewhere."""
    for path in paths:
        number = None
        for number, line in iterate_lines(path):
            where = f"{path}:{number}"
            yield parse_line(line, where), where
        if number is None:
            raise empty_error(path)


def records_of_texts(
    reference: Path, hypothesis: Path, columns: Mapping[str, Path], format: str = "trn",
    post_process: str | None = None,
) -> Iterator[tuple[Record, str]]:  # fmt: skip
    """The same of a file of references and one of hypotheses.

    Args:
        columns: files of names beside them, by names of ``COLUMNS``.
        format, post_process: see ``text_files.read_pairs``.
    """
    names = {column: read_column(path, format) for column, path in columns.items()}
    n = 0
    for pair in read_pairs(reference, hypothesis, format, post_process):
        n += 1
        values = dict.fromkeys(COLUMNS)
        for column, by_id in names.items():
            if pair.id not in by_id:
                raise UserError(
                    f"{pair.where}: the utterance {pair.id} has no {column} in "
                    f"{columns[column]}: it must have one for every utterance."
                )
            values[column] = by_id[pair.id]
        record = record_of(pair.reference, pair.hypothesis, id=pair.id, **values)
        language = record.language or record.target_language
        yield dataclasses.replace(record, language=language), pair.where
    if not n:
        raise UserError(f"{reference} holds no text: name a file of references.")
    for column, by_id in names.items():
        if format == "plain" and len(by_id) > n:
            raise UserError(
                f"{columns[column]} has more lines than {reference} has utterances."
            )


def count(
    records: Iterable[tuple[Record, str]], convention: Convention, by: GroupBy = BY_LANGUAGE
) -> Scores:
    """Sums over all utterances, compared by a convention.

    Args:
        records: with their places, of one of the above.
        by: what a group is.

    Raises:
        UserError: they cannot be read, or two have the same id.
    """
    def scored() -> Iterator[Record]:
        place_of: dict[str, str] = {}
        for record, where in records:
            if record.id in place_of:
                raise duplicate_error(record.id, place_of[record.id], where)
            place_of[record.id] = where
            yield convention.score(record)

    return sum_up(scored(), convention, by)
