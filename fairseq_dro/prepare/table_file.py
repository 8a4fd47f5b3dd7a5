"""The rows of a table's file: tabs, commas or semicolons between fields, or JSON lines."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.table_mistakes import TableMistakes
from fairseq_dro.text_lines import lines_of

Row = tuple[int, dict[str, Any]]
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_TABLES = (".tsv", ".csv", ".jsonl")
_DELIMITERS = "\t,;"


class TableFile:
    """A table; its suffix says whether it is JSON, its first line what stands between fields.

    Attributes:
        columns: of the first line, or of the first JSON object.

    Raises:
        UserError: it is not there, is a folder or a spreadsheet, is not UTF-8, holds one array of
            JSON, or has tabs between names in quotation marks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            names = sorted(one.name for one in path.iterdir() if one.suffix in _TABLES)
            such_as = shlex.quote(str(path / (names[0] if names else "corpus.tsv")))
            raise UserError(f"{path} is a folder: name the table in it, such as --table {such_as}.")
        if not path.is_file():
            raise UserError(
                f"{path} does not exist: expected a table with the columns path, text and language."
            )
        if path.suffix.lower() in SPREADSHEETS:
            raise UserError(
                f"{path} is a spreadsheet: open it and save it as CSV UTF-8, then name that file."
            )
        self._is_json = path.suffix.lower() in (".jsonl", ".json")
        self._delimiter = ""
        self.columns = self._columns()

    @property
    def is_tabbed(self) -> bool:
        """Whether tabs stand between fields, so that nothing is quoted."""
        return self._delimiter == "\t"

    def rows(self, read: Sequence[str], mistakes: TableMistakes) -> Iterator[Row]:
        """``(line, row)`` for each row that has the table's form.

        Args:
            read: columns whose cells must hold a text or a number.
        """
        if self._is_json:
            yield from self._json_rows(read, mistakes)
        elif self.is_tabbed:
            for number, line in lines_of(self.path):
                if number > 1 and line.strip():
                    yield from self._row(line.split("\t"), number, mistakes)
        else:
            yield from self._quoted_rows(mistakes)

    def _columns(self) -> list[str]:
        if self._is_json:
            return self._json_columns()
        _, line = next(lines_of(self.path), (1, ""))
        usual = "," if self.path.suffix.lower() == ".csv" else "\t"
        self._delimiter = usual
        if usual not in line:
            self._delimiter = next((one for one in _DELIMITERS if one in line), usual)
        if not self.is_tabbed:
            return next(csv.reader([line], delimiter=self._delimiter), [])
        if line.startswith('"') and line.endswith('"'):
            raise UserError(
                f"{self.path}:1 has names in quotation marks, and with tabs nothing is quoted: "
                "write the table with commas, as .csv, or without quotation marks (in R by "
                "quote=FALSE)."
            )
        return line.split("\t")

    def _json_columns(self) -> list[str]:
        _, line = next((one for one in lines_of(self.path) if one[1].strip()), (1, ""))
        if line.lstrip().startswith("["):
            raise UserError(
                f"{self.path} is one JSON array: expected one object a line, as "
                f"`jq -c '.[]' {shlex.quote(str(self.path))} > NEW.jsonl` writes it."
            )
        mistakes = TableMistakes(self.path)
        first = next(self._json_rows((), mistakes), None)
        if first is None:
            mistakes.raise_any()
        return list(first[1]) if first else []

    def _json_rows(self, read: Sequence[str], mistakes: TableMistakes) -> Iterator[Row]:
        for number, line in lines_of(self.path):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                what = f" is not JSON ({error}): expected one object a line."
                mistakes.add(number, what, "not JSON")
                continue
            if not isinstance(row, dict):
                mistakes.add(number, " is not a JSON object: expected one object a line.")
                continue
            odd = [name for name in read if isinstance(row.get(name), (list, dict, bool))]
            for name in odd:
                what = f": {name} is {json.dumps(row[name])}: expected a text or a number."
                mistakes.add(number, what, f"type of {name}")
            if not odd:
                yield number, row

    def _quoted_rows(self, mistakes: TableMistakes) -> Iterator[Row]:
        lines = (f"{line}\n" for _, line in lines_of(self.path))
        # strict, else an open quote swallows all that follows
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        first = 1
        try:
            for fields in reader:
                if any(map(str.strip, fields)) and first > 1:  # sheets end in rows of commas
                    yield from self._row(fields, reader.line_num, mistakes)
                first = reader.line_num + 1
        except csv.Error as error:
            mistakes.add(
                first,
                f" is not a row of a CSV file ({error}): close its quotes, or write the table as "
                ".tsv, where nothing is quoted.",
            )

    def _row(self, fields: list[str], number: int, mistakes: TableMistakes) -> Iterator[Row]:
        if len(fields) == len(self.columns):
            yield number, dict(zip(self.columns, fields))
            return
        expected = f"expected {len(self.columns)}, as in line 1."
        mistakes.add(number, f" has {len(fields)} fields: {expected}", "number of fields")
