"""A start that came to nothing leaves the run folder as it found it.

hydra makes the folder and writes its log and ``.hydra/config.yaml`` before the program starts, and
fairseq makes ``checkpoints/``. After a start that was refused, a new folder would look like a run,
and the folder of an old run would say that it was made with the refused options.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

KEPT_LOG = "failed_start.log"
"""The log of a start that failed by an error without a sentence of ours, which it explains."""


class Start:
    """Files of a run folder before a start.

    Args:
        folder: it need not exist yet; it is made.
        written: names below it of what a start writes before the first update. Where they are new
            they are removed; a folder only with nothing in it but such files.
        options: name of the folder with hydra's record of the options, whose files are put back.
        lasting: names of files that the first update changes.
    """

    def __init__(
        self, folder: Path, written: Sequence[str], options: str | None, lasting: Sequence[str]
    ) -> None:
        self.folder = folder
        self.lasting = lasting
        self._made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._marks = self._lasting_marks()
        names = [*written, options] if options else written
        self._new = [folder / name for name in names if not (folder / name).exists()]
        replaced = (folder / options).glob("*.yaml") if options else ()
        self._replaced = {path: path.read_bytes() for path in replaced}

    @property
    def trained(self) -> bool:
        """Whether an update was made since."""
        return self._lasting_marks() != self._marks

    def undo(self, keep: str | None = None) -> None:
        """Remove what is new and put back what was replaced, unless it trained.

        Args:
            keep: a log that is kept as ``KEPT_LOG`` where it is new.
        """
        if self.trained:
            return
        if keep is not None and self.folder / keep in self._new:
            with contextlib.suppress(OSError):
                os.replace(self.folder / keep, self.folder / KEPT_LOG)
        with contextlib.suppress(OSError):
            for path, content in self._replaced.items():
                path.write_bytes(content)
            for path in self._new:
                _remove(path)

    def remove_folders(self) -> None:
        """Remove the folders that it made, as far as they are empty; after the lock is released."""
        for folder in self._made:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _lasting_marks(self) -> list[int | None]:
        marks = []
        for name in self.lasting:
            try:
                marks.append((self.folder / name).stat().st_mtime_ns)
            except OSError:
                marks.append(None)
        return marks


def _remove(path: Path) -> None:
    """A file, or a folder with nothing in it but what hydra and TensorBoard write at a start."""
    if path.is_file():
        path.unlink()
    elif path.is_dir():
        for one in sorted(path.rglob("*"), reverse=True):
            if one.is_dir():
                with contextlib.suppress(OSError):
                    one.rmdir()
            elif one.suffix == ".yaml" or one.name.startswith("events.out.tfevents"):
                one.unlink()
        with contextlib.suppress(OSError):
            path.rmdir()
