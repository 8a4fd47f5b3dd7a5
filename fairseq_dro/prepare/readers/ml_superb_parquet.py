"""ML-SUPERB 2.0 as it is distributed in Parquet files (``espnet/ml_superb_hf``).

Layout as in ESPnet's ``egs3/voxlingua107/lid/src/ml_superb2_prepare.py`` and
``egs2/ml_superb2/asr1/local/download.py``: ``<root>/data/{train,dev,dev_dialect}-*.parquet`` with
the columns ``id``, ``text`` (which starts with ``[iso]``), ``language`` and ``audio``, a struct of
``bytes`` and ``path``. As there, an utterance of ``dev_dialect`` whose id starts with
``ms_speech_`` has its language in its id. An utterance whose ``[iso]`` names another language than
its column is rejected, for nobody knows which of the two is right. There is no test split: ``dev``
becomes ``valid``, and ``dev_dialect`` becomes ``test`` (which no loader says; ``--dialects-as``
says otherwise). The reader does not drop the Norwegian utterances that newer loaders leave out.

Files are read one row group at a time, and the audio only when it is converted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_dro import languages
from fairseq_dro.errors import UserError
from fairseq_dro.prepare.parquet_file import open_parquet
from fairseq_dro.prepare.reader import Reader, require_folder
from fairseq_dro.prepare.recording import BAD_LINE, ParquetAudio, Recording, Rejection
from fairseq_dro.scoring.text import split_language_token

COLUMNS = {"id": "string", "text": "string", "language": "string", "audio": "struct"}
TEXTS = ["id", "text", "language"]
TWO_LANGUAGES = "language token that contradicts the language column"


class MlSuperbParquet(Reader):
    name = "ml-superb-parquet"
    summary = "ML-SUPERB 2.0's Parquet files"
    text_profile = "ml_superb"
    longest_seconds = {"train": 20.0, "valid": 20.0}

    def __init__(self, languages, missing, *, root: Path, dialects_as: str) -> None:
        super().__init__(languages, missing)
        self._dialects_as = dialects_as
        self.audio_root = require_folder(root, "Parquet files, such as data/train-*.parquet")

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--root", type=Path, required=True, help="folder with data/*.parquet")
        parser.add_argument(
            "--dialects-as", choices=("test", "valid", "none"), default="test",
            help="the split that dev_dialect becomes (default: test)",
        )  # fmt: skip

    def input_files(self) -> list[Path]:
        return self._files("*")

    def recordings(self) -> Iterator[Recording | Rejection]:
        splits = {"train": "train", "dev": "valid", "dev_dialect": self._dialects_as}
        for published, split in splits.items():
            if split == "none":
                continue
            files = self._files(published)
            if not files:
                self.missing.report(
                    f"{self.audio_root} lacks {published}-*.parquet", "download these files"
                )
            for path in files:
                yield from self._file(path, published, split)

    def _files(self, published: str) -> list[Path]:
        found = {
            path
            for folder in (self.audio_root, self.audio_root / "data")
            for path in folder.glob(f"{published}-*.parquet")
        }
        return sorted(found)

    def _file(
        self, path: Path, published: str, split: str
    ) -> Iterator[Recording | Rejection]:
        parquet = open_parquet(path)
        schema = parquet.schema_arrow
        for column, kind in COLUMNS.items():
            if column not in schema.names:
                raise UserError(
                    f"{path} has no column {column!r}: expected {', '.join(COLUMNS)}, found "
                    f"{', '.join(schema.names)}."
                )
            found = str(schema.field(column).type)  # large_string is one, too
            if kind not in found:
                raise UserError(
                    f"{path}: the column {column!r} is of type {found}: expected {kind}, as in "
                    "espnet/ml_superb_hf."
                )
        for group in range(parquet.metadata.num_row_groups):
            for row, values in enumerate(_texts(parquet, path, group)):
                where = f"{path}:{group}:{row}"
                empty = [column for column in TEXTS if values[column] is None]
                if empty:
                    yield Rejection(values["id"] or "", "", split, BAD_LINE, where,
                                    f"{empty[0]} is null")  # fmt: skip
                    continue
                utterance_id, language = values["id"], values["language"].strip()
                if published == "dev_dialect" and utterance_id.startswith("ms_speech_"):
                    language = utterance_id.split("_")[2]
                code = self.languages.code_of(language, "ml_superb", where)
                if not self.languages.takes(code):
                    continue
                column = values["language"].strip()
                token, text = split_language_token(values["text"], column)
                if token not in (None, column) and self._code_of_token(token) != code:
                    yield Rejection(utterance_id, code, split, TWO_LANGUAGES, where,
                                    f"[{token}] in the text, {column} in the column")  # fmt: skip
                    continue
                yield Recording(
                    utterance_id=utterance_id,
                    language=code,
                    text=text,
                    audio=ParquetAudio(path, group, row),
                    where=where,
                    split=split,
                )

    def _code_of_token(self, token: str) -> str | None:
        own = self.languages.own_table
        known = languages.of_corpus("ml_superb", token, own) or languages.find(token, own)
        return known.code if known else None


def _texts(parquet, path: Path, group: int) -> list[dict[str, Any]]:
    import pyarrow

    try:
        return parquet.read_row_group(group, columns=TEXTS).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(
            f"{path}: row group {group} cannot be read ({' '.join(str(error).split())}): download "
            "the file again."
        ) from None
