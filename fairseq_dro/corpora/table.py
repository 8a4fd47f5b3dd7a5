"""Recordings listed in a table: ``.tsv`` (tab-separated), ``.csv`` or ``.jsonl`` (JSON lines).

Columns by name, in any order; others are ignored:

==================== ======================================================================
``path`` or ``file`` audio file, absolute or relative to the table's folder
``text``             what is said; ``normalised_text`` instead is taken as it is
``language``         ISO 639-3
``split``            optional: train, dev or valid, test; without it splits are made by hash
``id``               optional: of the utterance; else the file's name without its suffix, with
                     its folders and suffix as far as two files would have one name, and ``@`` with
                     the offset (and duration) of a part
``speaker``          optional
``corpus``           optional
any name of --keep   empty where the value is not known
``offset``           optional: seconds from the file's start
``duration``         optional: seconds that are meant; to the file's end when empty
==================== ======================================================================

Nothing is quoted in a ``.tsv``; a ``.csv`` is read as Python's ``csv`` does. A line that is not of
the table's form stops the run; audio or text that is of no use is rejected and counted.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_dro.corpora.options import add_keep
from fairseq_dro.corpora.reader import Reader
from fairseq_dro.corpora.recording import Recording, Rejection
from fairseq_dro.errors import UserError
from fairseq_dro.text_lines import lines_of

COLUMNS = (
    "path", "file", "text", "normalised_text", "language", "split", "id", "speaker", "corpus",
    "offset", "duration",
)  # fmt: skip
Part = tuple[float, float | None]  # offset and duration in seconds
WHOLE = (0.0, None)
SPLITS = {"train": "train", "dev": "valid", "valid": "valid", "test": "test"}


class Table(Reader):
    name = "table"
    summary = "recordings listed in a table (TSV, CSV, JSON lines)"

    def __init__(self, args, languages, missing) -> None:
        super().__init__(args, languages, missing)
        self._table: Path = args.table
        self._suffix = self._table.suffix.lower()
        if not self._table.is_file():
            raise UserError(
                f"{self._table} does not exist: expected a table with the columns path, text and "
                "language."
            )
        self.audio_root = args.audio_root or self._table.parent
        columns = self._columns()
        self._path_column = _first_of(columns, ("path", "file"), self._table)
        texts = ("normalised_text", "text") if args.text_column is None else (args.text_column,)
        self._text_column = _first_of(columns, texts, self._table)
        _first_of(columns, ("language",), self._table)
        if self._text_column == "normalised_text":
            self.text_profile = "as_is"

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--table", type=Path, required=True, help="such as corpus.tsv")
        parser.add_argument("--audio-root", type=Path, help="default: the table's folder")
        parser.add_argument(
            "--text-column", help="default: normalised_text, else text (the first that is there)"
        )
        add_keep(parser)

    def input_files(self) -> list[Path]:
        return [self._table]

    def recordings(self) -> Iterator[Recording | Rejection]:
        rows = list(self._rows())
        kept = self.args.keep or ()
        for column in kept:
            if rows and not any(column in row for _, row in rows):
                _first_of(list(rows[0][1]), (column,), self._table)
        names = _names_of({_field(row, self._path_column) for _, row in rows})
        parts: dict[str, set[Part]] = defaultdict(set)  # of files of which there are any
        for number, row in rows:
            part = _part(row, f"{self._table}:{number}")
            if part != WHOLE:
                parts[_field(row, self._path_column)].add(part)
        part_names = {path: _names_of_parts(several) for path, several in parts.items()}
        for number, row in rows:
            where = f"{self._table}:{number}"
            written_split = _field(row, "split")
            if written_split and written_split not in SPLITS:
                raise UserError(
                    f"{where}: {written_split!r} is not a split: expected {', '.join(SPLITS)}."
                )
            path = _field(row, self._path_column)
            if not path:
                raise UserError(f"{where}: the path is empty: write it or remove the row.")
            language = self.languages.code_of(_field(row, "language"), "table", where)
            if not self.languages.takes(language):
                continue
            offset, duration = part = _part(row, where)
            yield Recording(
                utterance_id=_field(row, "id")
                or names[path] + part_names.get(path, {}).get(part, ""),
                language=language,
                text=_field(row, self._text_column),
                audio=self.audio_root / path,
                where=where,
                split=SPLITS.get(written_split),
                speaker=_field(row, "speaker"),
                corpus=_field(row, "corpus"),
                start_seconds=offset,
                duration_seconds=duration,
                columns={column: _field(row, column) for column in kept},
            )

    def _columns(self) -> list[str]:
        if self._is_json():
            first = next(self._rows(), None)
            return list(first[1]) if first else []
        _, line = next(lines_of(self._table), (1, ""))
        return next(csv.reader([line])) if self._suffix == ".csv" else line.split("\t")

    def _is_json(self) -> bool:
        return self._suffix in (".jsonl", ".json")

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """``(line, row)`` for every row."""
        if self._is_json():
            for number, line in lines_of(self._table):
                if line.strip():
                    row = _json_row(line, f"{self._table}:{number}")
                    for column in (*COLUMNS, self.args.text_column, *(self.args.keep or ())):
                        if isinstance(row.get(column), (list, dict, bool)):
                            raise UserError(
                                f"{self._table}:{number}: {column} is {json.dumps(row[column])}: "
                                "expected a text or a number."
                            )
                    yield number, row
            return
        if self._suffix == ".csv":
            yield from self._csv_rows()
            return
        lines = lines_of(self._table)
        header = next(lines, (1, ""))[1].split("\t")
        for number, line in lines:
            if line.strip():
                yield number, self._row(header, line.split("\t"), number)

    def _csv_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        lines = (f"{line}\n" for _, line in lines_of(self._table))
        reader = csv.reader(lines, strict=True)  # else an open quote swallows all that follows
        first = 1
        try:
            header = next(reader, [])
            first = reader.line_num + 1
            for fields in reader:
                if fields:
                    yield reader.line_num, self._row(header, fields, reader.line_num)
                first = reader.line_num + 1
        except csv.Error as error:
            raise UserError(
                f"{self._table}:{first} is no row of a CSV file ({error}): close its quotes, "
                "or write the table as .tsv, where nothing is quoted."
            ) from None

    def _row(self, header: list[str], fields: list[str], number: int) -> dict[str, Any]:
        if len(fields) != len(header):
            raise UserError(
                f"{self._table}:{number} has {len(fields)} fields: expected {len(header)}, as in "
                "line 1."
            )
        return dict(zip(header, fields))


def _names_of(paths: set[str]) -> dict[str, str]:
    """The shortest kind of name that tells all files apart, by path."""
    for name_of in (lambda path: path.stem, lambda path: str(path.with_suffix("")), str):
        names = {path: name_of(Path(path)) for path in paths}
        if len(set(names.values())) == len(paths):
            break
    return names


def _part(row: dict[str, Any], where: str) -> Part:
    return _seconds(row, "offset", where) or 0.0, _seconds(row, "duration", where)


def _names_of_parts(parts: set[Part]) -> dict[Part, str]:
    """The shortest kind of name that tells all parts of one file apart: by where they begin."""
    for name_of in (
        lambda offset, duration: f"@{offset:g}",
        lambda offset, duration: f"@{offset!r}",
        lambda offset, duration: f"@{offset!r}+{'' if duration is None else repr(duration)}",
    ):
        names = {part: name_of(*part) for part in parts}
        if len(set(names.values())) == len(parts):
            break
    return names


def _first_of(columns: list[str], names: tuple[str, ...], table: Path) -> str:
    for name in names:
        if name in columns:
            return name
    raise UserError(
        f"{table}:1 has no column {' or '.join(repr(name) for name in names)}: expected path, text "
        f"and language among its columns, found {', '.join(columns) or 'nothing'}."
    )


def _json_row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not JSON ({error}): expected one object a line.") from None
    if not isinstance(row, dict):
        raise UserError(f"{where} is not a JSON object: expected one object a line.")
    return row


def _field(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _seconds(row: dict[str, Any], column: str, where: str) -> float | None:
    written = _field(row, column)
    if not written:
        return None
    try:
        seconds = float(written)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{where}: {column} {written!r} is not a number of seconds from 0 on.")
    return seconds
