"""Recordings listed in a table: ``.tsv`` (tab-separated), ``.csv`` or ``.jsonl`` (JSON lines).

Columns by name, in any order; others are ignored, and one that looks like these is told:

==================== ======================================================================
``path`` or ``file`` audio file, absolute or relative to the table's folder
``text``             what is said; ``normalised_text`` instead is taken as it is
``language``         ISO 639-3
``split``            optional: train, dev, valid or validation, test or eval, in any case;
                     without it splits are made by hash
``id``               optional: of the utterance; else the file's name without its suffix, with
                     its folders and suffix as far as two files would have one name
``speaker``          optional
``corpus``           optional
``offset``           optional: seconds from the file's start
``duration``         optional: seconds that are meant; to the file's end when empty
==================== ======================================================================

``--path-column``, ``--text-column`` and ``--language-column`` name others. Nothing is quoted in a
``.tsv``; a ``.csv`` is read as Python's ``csv`` does, with commas or semicolons. Lines that are not
of the table's form stop the run, all told at once; audio or text that is of no use is rejected and
counted.
"""

from __future__ import annotations

import argparse
import logging
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.cells import cell
from fairseq_dro.prepare.command_line import add_keep
from fairseq_dro.prepare.reader import Reader
from fairseq_dro.prepare.recording import Recording, Rejection
from fairseq_dro.prepare.table_columns import OPTIONAL, WANTED, look_for_strangers, names_of_columns
from fairseq_dro.prepare.table_file import Row, TableFile
from fairseq_dro.prepare.table_mistakes import TableMistakes
from fairseq_dro.wording import counted

logger = logging.getLogger(__name__)

LEAST_COMMAS = 3  # texts that are all quoted, which then is no chance
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
Part = tuple[float, float | None]  # offset and duration in seconds
WHOLE = (0.0, None)
SPLITS = {
    "train": "train", "dev": "valid", "valid": "valid", "validation": "valid", "test": "test",
}  # fmt: skip
EVAL = "eval"  # the test split, or where the table has one the validation split
SHORTEST_OF_MILLISECONDS = 500
"""Whole numbers of which half are longer than this are milliseconds: nobody cuts speech in
utterances of eight minutes."""


class Table(Reader):
    name = "table"
    summary = "recordings listed in a table (TSV, CSV, JSON lines)"

    def __init__(
        self, languages, missing, *, table: Path, audio_root: Path | None, path_column: str | None,
        text_column: str | None, language_column: str | None, keep: list[str] | None,
    ) -> None:  # fmt: skip
        super().__init__(languages, missing)
        self._table, self._kept = table, keep or ()
        self._file = TableFile(self._table)
        self.audio_root = audio_root or self._table.parent
        asked = {"path": path_column, "text": text_column, "language": language_column}
        self._names = names_of_columns(self._table, self._file.columns, asked)
        if self._names["text"] == "normalised_text":
            self.text_profile = "as_is"

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--table", type=Path, required=True, help="such as corpus.tsv")
        parser.add_argument("--audio-root", type=Path, help="default: the table's folder")
        for name, names in WANTED.items():
            default = ", else ".join(names)
            parser.add_argument(
                f"--{name}-column", metavar="COLUMN", help=f"default: {default}"
            )
        add_keep(parser)

    def input_files(self) -> list[Path]:
        return [self._table]

    def recordings(self) -> Iterator[Recording | Rejection]:
        mistakes = TableMistakes(self._table)
        read = (*self._names.values(), *OPTIONAL, *self._kept)
        look_for_strangers(self._file.columns, read, mistakes)
        rows = list(self._file.rows(read, mistakes))
        for column in self._kept:
            if rows and not any(column in row for _, row in rows):
                found = ", ".join(rows[0][1])
                mistakes.add(1, f" has no column {column!r}, which --keep asks for; found {found}.")
        self._look_for_mistakes(rows, mistakes)
        mistakes.raise_any()
        if self._file.is_tabbed:
            self._tell_quotes(rows)
        names = _names_of({cell(row.get(self._names["path"]), False) for _, row in rows})
        parts: dict[str, set[Part]] = defaultdict(set)  # of files of which there are any
        for _, row in rows:
            if (part := _part(row)) != WHOLE:
                parts[cell(row.get(self._names["path"]), False)].add(part)
        part_names = {path: _names_of_parts(several) for path, several in parts.items()}
        splits = _splits_of(rows)
        for number, row in rows:
            path, part = cell(row.get(self._names["path"]), False), _part(row)
            where = f"{self._table}:{number}"
            language = self.languages.code_of(
                cell(row.get(self._names["language"])), "table", where
            )
            if not self.languages.takes(language):
                continue
            yield Recording(
                utterance_id=cell(row.get("id"), False)
                or names[path] + part_names.get(path, {}).get(part, ""),
                language=language,
                text=cell(row.get(self._names["text"])),
                audio=self.audio_root / path,
                where=where,
                split=splits.get(cell(row.get("split"), False).lower()),
                speaker=cell(row.get("speaker"), False),
                corpus=cell(row.get("corpus"), False),
                start_seconds=part[0],
                duration_seconds=part[1],
                columns={column: cell(row.get(column), False) for column in self._kept},
            )

    def _look_for_mistakes(self, rows: list[Row], mistakes: TableMistakes) -> None:
        """All that would stop the run, in one pass."""
        seconds: dict[str, list[tuple[int, float, str]]] = defaultdict(list)
        unknown: dict[str, str] = {}
        for number, row in rows:
            split = cell(row.get("split"), False)
            if split and split.lower() not in SPLITS and split.lower() != EVAL:
                expected = ", ".join((*SPLITS, EVAL))
                mistakes.add(number, f": {split!r} is not a split: expected {expected}.")
            if not cell(row.get(self._names["path"]), False):
                mistakes.add(number, ": the path is empty: write it or remove the row.")
            language = cell(row.get(self._names["language"]))
            if language not in unknown:
                unknown[language] = self._what_is_wrong_with(language)
            if unknown[language]:
                mistakes.add(number, unknown[language])
            for column in ("offset", "duration"):
                written = cell(row.get(column), False)
                if not written:
                    continue
                found = _seconds(written)
                if found is None:
                    what = f": {column} {written!r} is not a number of seconds from 0 on."
                    mistakes.add(number, what, f"{column} in seconds")
                else:
                    seconds[column].append((number, found, written))
        lengths = seconds["duration"]
        is_whole = all(length == int(length) for _, length, _ in lengths)
        if lengths and is_whole:
            median = statistics.median(length for _, length, _ in lengths)
            if median >= SHORTEST_OF_MILLISECONDS:
                number, length, written = lengths[0]
                mistakes.add(
                    number,
                    f": duration {written!r} looks like milliseconds, as half of the column is "
                    f"longer than {median:g}: expected seconds, such as {length / 1000:g}.",
                )

    def _tell_quotes(self, rows: list[Row]) -> None:
        """Warn of texts that a CSV writer or a spreadsheet has quoted although tabs part them.

        Such a writer doubles quotation marks inside, and a spreadsheet quotes what has a comma.
        """
        texts = [(number, row[self._names["text"]].strip()) for number, row in rows]
        quoted = [n for n, text in texts if '""' in text[1:-1] and _QUOTED.fullmatch(text)]
        commas = [(n, text) for n, text in texts if "," in text]
        if len(commas) >= LEAST_COMMAS and all(_QUOTED.fullmatch(text) for _, text in commas):
            quoted = sorted({*quoted, *(number for number, _ in commas)})
        if quoted:
            logger.warning(
                "%s:%d: %s in quotation marks that a spreadsheet or a CSV writer set: with tabs "
                "nothing is quoted, so these marks are text; write the table with commas, as .csv, "
                "where they are not", self._table, quoted[0], counted(len(quoted), "text"),
            )  # fmt: skip

    def _what_is_wrong_with(self, language: str) -> str:
        """Of a language's name, with suggestions; empty where it is known."""
        try:
            self.languages.code_of(language, "table", "")
        except UserError as error:
            return str(error)
        return ""


def _splits_of(rows: list[Row]) -> dict[str, str]:
    """What each name of a split means in this table."""
    written = {cell(row.get("split"), False).lower() for _, row in rows}
    return {**SPLITS, EVAL: "valid" if "test" in written else "test"}


def _names_of(paths: set[str]) -> dict[str, str]:
    """The shortest kind of name that tells all files apart, by path."""
    for name_of in (lambda path: path.stem, lambda path: str(path.with_suffix("")), str):
        names = {path: name_of(Path(path)) for path in paths}
        if len(set(names.values())) == len(paths):
            break
    return names


def _part(row: dict[str, Any]) -> Part:
    return _seconds(cell(row.get("offset"), False)) or 0.0, _seconds(
        cell(row.get("duration"), False)
    )


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


def _seconds(written: str) -> float | None:
    """A number of seconds from 0 on; None where it is not one."""
    try:
        seconds = float(written)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
