"""FLEURS: 102 languages, one table a language and split.

Two layouts are read, that of the corpus as it is distributed (``google/fleurs``, whose archives are
unpacked where they lie) and that which lhotse's ``lhotse/recipes/fleurs.py`` downloads::

    <root>/[data/]<language>/{train,dev,test}.tsv     and  .../audio/{train,dev,test}/<file>.wav
    <root>/metadata/<language>/{train,dev,test}.tsv   and  <root>/<language>/{train,...}/<file>.wav

A table has no header and seven fields: sentence id, file name, transcription as published,
normalised transcription, characters, samples, gender. The fourth is read, or the third by
``--raw``. A sentence is read by several people, whose names are not known.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.reader import Reader, require_folder
from fairseq_dro.prepare.recording import BAD_LINE, Recording, Rejection
from fairseq_dro.text_lines import lines_of

N_FIELDS = 7
SPLITS = {"train": "train", "dev": "valid", "test": "test"}
NO_LINE = "audio without a transcript line"


class Fleurs(Reader):
    name = "fleurs"
    summary = "FLEURS' language folders"

    def __init__(self, languages, missing, *, root: Path, raw: bool) -> None:
        super().__init__(languages, missing)
        self._takes_raw = raw
        self.audio_root = require_folder(
            root, "the corpus, with folders such as data/de_de or metadata/de_de"
        )
        tables = next(
            (
                folder
                for folder in (self.audio_root / n for n in ("metadata", "data", "."))
                if folder.is_dir() and any(folder.glob("*/*.tsv"))
            ),
            None,
        )
        if tables is None:
            raise UserError(
                f"{self.audio_root} holds no tables: expected data/de_de/train.tsv or "
                "metadata/de_de/train.tsv and the like."
            )
        self._is_lhotse = tables.name == "metadata"
        self._languages = sorted(path for path in tables.iterdir() if any(path.glob("*.tsv")))

        having = {folder.name for folder in self._languages}
        parent = self.audio_root if self._is_lhotse else tables
        below = "." if self._is_lhotse else "audio"
        self._without_tables = sorted(
            path for path in parent.iterdir()
            if path.name not in having and any((path / below / split).is_dir() for split in SPLITS)
        )  # fmt: skip

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--root", type=Path, required=True, help="the downloaded corpus")
        parser.add_argument(
            "--raw", action="store_true", help="the transcription as published, with its case"
        )

    def input_files(self) -> list[Path]:
        return [p for f in self._languages for p in f.glob("*.tsv")]

    def recordings(self) -> Iterator[Recording | Rejection]:
        for folder in self._without_tables:
            code = self.languages.code_of(folder.name, "fleurs", str(folder))
            if self.languages.takes(code):
                self.missing.report(
                    f"{folder} holds audio and there is no table of it (such as train.tsv)",
                    "download the language again",
                )
        for folder in self._languages:
            code = self.languages.code_of(folder.name, "fleurs", str(folder))
            if not self.languages.takes(code):
                continue
            for published, split in SPLITS.items():
                yield from self._split(folder, published, split, code)

    def _split(
        self, folder: Path, published: str, split: str, code: str
    ) -> Iterator[Recording | Rejection]:
        table = folder / f"{published}.tsv"
        if not table.is_file():
            self.missing.report(f"{folder} lacks {table.name}", "download the language again")
            return
        if self._is_lhotse:
            audio = self.audio_root / folder.name / published
        else:
            audio = folder / "audio" / published
        if not audio.is_dir():
            archive = audio.with_name(f"{published}.tar.gz")
            advice = (
                f"unpack it by `tar -xzf {archive} -C {audio.parent}`"
                if archive.is_file() else "download the language again"
            )  # fmt: skip
            self.missing.report(f"{folder.name} lacks the folder {audio}", advice)
            return
        named = set()
        for number, line in lines_of(table):
            where, fields = f"{table}:{number}", line.split("\t")
            file = fields[1] if len(fields) > 1 else ""
            named.add(file)
            if len(fields) != N_FIELDS:
                detail = f"{len(fields)} fields, expected {N_FIELDS}"
                yield Rejection(Path(file).stem, code, split, BAD_LINE, where, detail)
                continue
            yield Recording(
                utterance_id=f"{folder.name}_{published}_{Path(file).stem}",
                language=code,
                text=fields[2] if self._takes_raw else fields[3],
                audio=audio / file,
                where=where,
                split=split,
                corpus="fleurs",
            )
        for path in sorted(audio.iterdir()):
            if path.suffix == ".wav" and path.name not in named:
                yield Rejection(path.stem, code, split, NO_LINE, str(path))
