"""Common Voice's spontaneous speech: answers to questions, one folder a locale.

Layout as Common Voice's repository ``common-voice/cv-dataset`` describes it
(``datasets/spontaneous-speech/README.md``)::

    <root>/sps-corpus-<version>-<date>-<locale>/
        ss-corpus-<locale>.tsv      columns client_id, audio_file, transcription, split and others
        ss-reported-audios-<locale>.tsv
        audios/<audio_file>

``split`` is train, dev, test or unassigned; only what was transcribed and validated has one of the
first three. ``--unassigned`` takes the others too, which follow their speakers or are split by
hash. What listeners have reported is in the second table and not in the first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.command_line import add_keep
from fairseq_dro.prepare.reader import Reader, require_folder
from fairseq_dro.prepare.readers.common_voice import NO_ROW, clips_named_in, rows_of
from fairseq_dro.prepare.recording import BAD_LINE, Recording, Rejection

COLUMNS = ("client_id", "audio_file", "transcription", "split")
SPLITS = {"train": "train", "dev": "valid", "test": "test", "unassigned": None, "": None}
TABLES = "ss-corpus-*.tsv"
UNASSIGNED = "in no split of the release (--unassigned takes it)"


class CommonVoiceSpontaneous(Reader):
    name = "common-voice-spontaneous"
    summary = "Common Voice's spontaneous speech"
    rules = (UNASSIGNED,)

    def __init__(
        self, languages, missing, *, root: Path, unassigned: bool, keep: list[str] | None
    ) -> None:
        super().__init__(languages, missing)
        self._takes_unassigned, self._kept = unassigned, keep or ()
        self.audio_root = require_folder(
            root, "an unpacked release, such as sps-corpus-3.0-2026-03-09-de, or its folder"
        )
        self._tables = sorted(self.audio_root.glob(TABLES)) or sorted(
            self.audio_root.glob(f"*/{TABLES}")
        )
        if not self._tables:
            raise UserError(
                f"{self.audio_root} holds no spontaneous speech: expected {TABLES} beside a folder "
                "audios in it, or in folders in it; unpack the release's archives there."
            )

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--root", type=Path, required=True,
            help="the folder of one unpacked archive, or a folder with several of them",
        )  # fmt: skip
        parser.add_argument(
            "--unassigned", action="store_true",
            help="take clips without a split too (transcribed, but perhaps not validated)",
        )  # fmt: skip
        add_keep(parser)

    def input_files(self) -> list[Path]:
        return [path for table in self._tables for path in table.parent.glob("*.tsv")]

    def recordings(self) -> Iterator[Recording | Rejection]:
        for table in self._tables:
            locale = table.stem.removeprefix("ss-corpus-")
            code = self.languages.code_of(locale, "common_voice", str(table))
            if self.languages.takes(code):
                yield from self._locale(table, code)

    def _locale(self, table: Path, code: str) -> Iterator[Recording | Rejection]:
        audios = table.parent / "audios"
        if not audios.is_dir():
            self.missing.report(f"{table.parent} lacks the folder audios", "unpack it again")
            return
        for where, row in rows_of(table, COLUMNS, self._kept):
            if isinstance(row, str):
                yield Rejection("", code, "", BAD_LINE, where, row)
                continue
            if row["split"] not in SPLITS:
                raise UserError(
                    f"{where}: {row['split']!r} is not a split: expected train, dev, test or "
                    "unassigned."
                )
            clip = row["audio_file"]
            recording = Recording(
                utterance_id=Path(clip).stem,
                language=code,
                text=row["transcription"],
                audio=audios / clip,
                where=where,
                split=SPLITS[row["split"]],
                speaker=row["client_id"],
                corpus="commonvoice_spontaneous",
                columns={column: row[column] for column in self._kept},
            )
            if recording.split is None and not self._takes_unassigned:
                yield Rejection.of(recording, UNASSIGNED)
            else:
                yield recording
        named = {
            clip
            for other in table.parent.glob("*.tsv")
            for clip in clips_named_in(other, "audio_file")
        }
        for clip in sorted(path.name for path in audios.iterdir()):
            if clip not in named:
                yield Rejection(Path(clip).stem, code, "", NO_ROW, str(audios / clip))
