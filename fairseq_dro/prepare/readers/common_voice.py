"""Common Voice: one folder a locale, tab-separated tables and MP3 clips.

Layout as lhotse's ``lhotse/recipes/commonvoice.py`` reads it::

    <root>/<locale>/{train,dev,test,validated}.tsv    columns client_id, path, sentence and others
    <root>/<locale>/clips/<path>

Nothing is quoted in these tables: a quotation mark is a part of the sentence. Early releases leave
``.mp3`` out of ``path``. ``client_id`` is the speaker. The official splits use each sentence once
and leave most clips of a large locale out; ``--validated`` takes ``validated.tsv`` instead and
makes splits by hash. ``--keep accents,gender`` keeps what speakers said of themselves.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.cells import cell
from fairseq_dro.prepare.command_line import add_keep
from fairseq_dro.prepare.reader import Reader, require_folder
from fairseq_dro.prepare.recording import BAD_LINE, Recording, Rejection
from fairseq_dro.text_lines import lines_of

COLUMNS = ("client_id", "path", "sentence")
NO_ROW = "clip that no table names"


class CommonVoice(Reader):
    name = "common-voice"
    summary = "Common Voice's locale folders"

    def __init__(
        self, languages, missing, *, root: Path, validated: bool, keep: list[str] | None,
        splits: str | None,
    ) -> None:  # fmt: skip
        super().__init__(languages, missing)
        if validated and splits == "corpus":
            raise UserError(
                "--validated and --splits corpus contradict each other: validated.tsv has no "
                "splits; leave one out."
            )
        self._validated, self._kept = validated, keep or ()
        self.audio_root = require_folder(
            root, "an unpacked release, such as cv-corpus-17.0-2024-03-15 with folders like de"
        )
        is_locale = (self.audio_root / "clips").is_dir()
        self._locales = [self.audio_root] if is_locale else sorted(
            path for path in self.audio_root.iterdir()
            if path.is_dir() and (any(path.glob("*.tsv")) or (path / "clips").is_dir())
        )  # fmt: skip
        spontaneous = [p for f in (self.audio_root, *self._locales) for p in f.glob("ss-corpus-*")]
        if spontaneous:
            raise UserError(
                f"{spontaneous[0]} is spontaneous speech, which has a layout of its own: type "
                "`fairseq-dro prepare common-voice-spontaneous OUT "
                f"--root {shlex.quote(str(self.audio_root))}`."
            )
        if not self._locales:
            raise UserError(
                f"{self.audio_root} holds no locale: expected folders such as de with train.tsv "
                "and clips in them; unpack the release's archives there."
            )

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--root", type=Path, required=True, help="an unpacked release, or one locale of it"
        )
        parser.add_argument(
            "--validated", action="store_true",
            help="take validated.tsv and make splits by hash, instead of the official splits",
        )  # fmt: skip
        add_keep(parser)

    def input_files(self) -> list[Path]:
        return [p for f in self._locales for p in f.glob("*.tsv")]

    def recordings(self) -> Iterator[Recording | Rejection]:
        for folder in self._locales:
            locale = Path(os.path.abspath(folder)).name  # not that of a link's target
            code = self.languages.code_of(locale, "common_voice", str(folder))
            if self.languages.takes(code):
                yield from self._locale(folder, locale, code)

    def _locale(self, folder: Path, locale: str, code: str) -> Iterator[Recording | Rejection]:
        if not (folder / "clips").is_dir():
            self.missing.report(f"{folder} lacks the folder clips", "unpack the locale again")
            return
        tables = {"train.tsv": "train", "dev.tsv": "valid", "test.tsv": "test"}
        for name, split in ({"validated.tsv": None} if self._validated else tables).items():
            if not (folder / name).is_file():
                self.missing.report(f"{folder} lacks {name}", "unpack the locale again")
                continue
            for where, row in rows_of(folder / name, COLUMNS, self._kept):
                if isinstance(row, str):
                    yield Rejection("", code, split or "", BAD_LINE, where, row)
                    continue
                clip = _clip_name(row["path"])
                yield Recording(
                    utterance_id=Path(clip).stem,
                    language=code,
                    text=row["sentence"],
                    audio=folder / "clips" / clip,
                    where=where,
                    split=split,
                    speaker=row["client_id"],
                    corpus="commonvoice",
                    columns={column: row[column] for column in self._kept},
                )
        named = {clip for table in folder.glob("*.tsv") for clip in clips_named_in(table, "path")}
        for clip in sorted(path.name for path in (folder / "clips").iterdir()):
            if clip not in named:
                yield Rejection(Path(clip).stem, code, "", NO_ROW, str(folder / "clips" / clip))


def _clip_name(path: str) -> str:
    return path if Path(path).suffix else f"{path}.mp3"


def rows_of(
    table: Path, columns: Sequence[str], kept: Sequence[str]
) -> Iterator[tuple[str, dict[str, str] | str]]:
    """``(file:line, row)``; the row is a sentence where the line has not the header's fields.

    Raises:
        UserError: one of the columns, or of those that are to be kept, is not there.
    """
    lines = lines_of(table)
    header = next(lines, (1, ""))[1].split("\t")
    for column in (*columns, *kept):
        if column not in header:
            raise UserError(
                f"{table}:1 has no column {column!r}: expected {', '.join((*columns, *kept))} "
                f"among its columns, found {', '.join(header)}."
            )
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) == len(header):
            yield f"{table}:{number}", dict(zip(header, map(cell, fields)))
        else:
            yield f"{table}:{number}", f"{len(fields)} fields, expected {len(header)}"


def clips_named_in(table: Path, column: str) -> Iterator[str]:
    """Files that a table names; none where it lacks the column, as one about sentences does."""
    lines = lines_of(table)
    header = next(lines, (1, ""))[1].split("\t")
    if column in header:
        place = header.index(column)
        for _, line in lines:
            fields = line.split("\t")
            if len(fields) > place:
                yield _clip_name(fields[place])
