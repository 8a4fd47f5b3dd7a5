"""The folder that is made: what it was made from, and whether it may be written.

``dataset.json`` is written last, ``preparing.json`` before the first file: so a folder says whether
it is whole, unfinished, or somebody else's.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.recording import SPLITS
from fairseq_dro.whole_file import whole_file

logger = logging.getLogger(__name__)

RECORD = "dataset.json"
UNFINISHED = "preparing.json"
CONVERTED = "converted"
"""Folder of the audio that had to be converted."""

_SUFFIXES = ("tsv", "ltr", "spm", "wrd", "lang", "utt", "speaker", "corpus")
_OURS = (
    RECORD, UNFINISHED, "rejected.tsv", "sentencepiece.model", "languages.tsv",
    *(f"{split}.{suffix}" for split in SPLITS for suffix in _SUFFIXES),
    *(f"dict.{label_type}.txt" for label_type in ("ltr", "spm")),
)  # fmt: skip


class DataFolder:
    """A folder in the making.

    Args:
        request: reader, options and source, as they go into ``dataset.json``.
    """

    def __init__(self, path: Path, request: dict[str, Any]) -> None:
        self.path = path
        self._request = json.loads(json.dumps(request))  # as it will be read back
        self._is_to_be_cleared = False

    def refuse_inputs(self, inputs: Iterable[Path]) -> None:
        """No file that is read is one that is written or removed here.

        Raises:
            UserError: one is.
        """
        inputs = list(inputs)
        self.refuse_converted(inputs)
        folder = self.path.resolve()
        for path in inputs:
            place = path.parent.resolve()
            if place == folder and path.name in self._names():
                raise UserError(
                    f"{path} is read for this data set and would be replaced by it: make the data "
                    "set in another folder."
                )

    def refuse_converted(self, paths: Iterable[Path]) -> None:
        """Nothing that is read lies where converted audio is written and removed.

        Raises:
            UserError: some does, by its name or as what a link leads to.
        """
        converted = self.path / CONVERTED
        if not converted.exists():
            return
        places = {os.path.abspath(converted), os.path.realpath(converted)}
        is_inside: dict[str, bool] = {}  # by folder, for resolving each path takes long
        for path in paths:
            targets = [path, Path(os.path.realpath(path))] if path.is_symlink() else [path]
            for folder in {os.path.dirname(target) for target in targets}:
                if folder not in is_inside:
                    found = (os.path.abspath(folder), os.path.realpath(folder))
                    is_inside[folder] = any(_lies_in(one, p) for one in found for p in places)
                if is_inside[folder]:
                    raise UserError(
                        f"{path} is read for this data set and lies in {converted}, whose files "
                        "it writes and removes: make the data set in another folder."
                    )

    def is_prepared(self, overwrite: bool) -> bool:
        """Whether the same call has made it before; False: it is to be made. Changes nothing.

        Raises:
            UserError: it holds another data set and ``overwrite`` is not given, or one that has no
                record, which is not ours to replace.
        """
        for name in (RECORD, UNFINISHED):
            made_from = self._read(name)
            if made_from is None:
                continue
            different = _differences(made_from, self._request)
            nothing_lost = name == UNFINISHED and not self._has_work()
            if different and not (overwrite or nothing_lost):
                raise UserError(
                    f"{self.path} was made from other options or another corpus "
                    f"({', '.join(different)}): choose another folder, or replace it by "
                    "--overwrite."
                )
            # An unfinished one of the same request was cleared, if at all, when it was begun
            self._is_to_be_cleared = bool(different) or (overwrite and name == RECORD)
            if not different and name == UNFINISHED:
                logger.info("%s holds an unfinished preparation: resuming it", self.path)
            return not different and name == RECORD and not overwrite
        present = [name for name in self._names() if (self.path / name).exists()]
        if present:
            raise UserError(
                f"{self.path} holds another data set ({present[0]}, and no {RECORD} that says what "
                "it was made from), which this command never replaces: choose another folder."
            )
        return False

    @property
    def is_replaced(self) -> bool:
        """Whether it holds another data set, which `begin` will remove."""
        return self._is_to_be_cleared

    def begin(self) -> None:
        """Mark it as unfinished, and remove the data set that is to be replaced.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if (self.path / RECORD).exists():  # there is a record at every moment
                os.replace(self.path / RECORD, self.path / UNFINISHED)
            if self._is_to_be_cleared:
                self._clear()
                self._is_to_be_cleared = False
            _write_json(self.path / UNFINISHED, {"request": self._request})
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be written ({error.strerror}): choose another folder."
            ) from None

    def finish(self, record: dict[str, Any]) -> None:
        """Write ``dataset.json``."""
        _write_json(self.path / RECORD, {**record, "request": self._request})
        (self.path / UNFINISHED).unlink(missing_ok=True)

    def _names(self) -> list[str]:
        """Of the files that are written by this preparation, or by the one that is there."""
        requests = [self._request, self._read(RECORD), self._read(UNFINISHED)]
        kept = {
            name for request in requests if request
            for name in request.get("options", {}).get("keep") or ()
        }  # fmt: skip
        return [*_OURS, *(f"{split}.{name}" for split in SPLITS for name in sorted(kept))]

    def _has_work(self) -> bool:
        """Whether an unfinished preparation has come to anything that took time."""
        return (self.path / CONVERTED).exists() or (self.path / "train.tsv").exists()

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))["request"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _clear(self) -> None:
        """Remove what an earlier preparation wrote, and nothing else."""
        converted = self.path / CONVERTED
        if converted.is_symlink():  # to a larger disk, say: what it leads to stays
            for path in converted.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        elif converted.exists():
            shutil.rmtree(converted)
        for name in self._names():
            if name == UNFINISHED:
                continue
            (self.path / name).unlink(missing_ok=True)


def _lies_in(path: str, folder: str) -> bool:
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def _differences(made_from: dict[str, Any], request: dict[str, Any]) -> list[str]:
    flat = [{**made.get("options", {}), **made} for made in (made_from, request)]
    keys = sorted((flat[0].keys() | flat[1].keys()) - {"options"})
    return [key for key in keys if flat[0].get(key) != flat[1].get(key)]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=1)
    with whole_file(path) as partial:
        # What UTF-8 cannot hold of a path becomes JSON's own escape
        partial.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
