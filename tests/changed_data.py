"""Data folders that are like another one but for some lines."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path


def copy_of(data: Path, folder: Path) -> Path:
    """The files of a data folder to change; the audio stays where it is."""
    folder.mkdir()
    for path in data.glob("*.*"):
        shutil.copy(path, folder)
    return folder


def change_lines(
    data: Path, change: Callable[[list[list[str]]], list[list[str]]], split: str = "train"
) -> Path:
    """Apply ``change`` to the rows of a split: tsv, ltr and lang line of each; return ``data``."""
    files = [data / f"{split}.{suffix}" for suffix in ("tsv", "ltr", "lang")]
    tsv, *others = [path.read_text().splitlines() for path in files]
    rows = change([list(row) for row in zip(tsv[1:], *others, strict=True)])
    for path, lines in zip(files, zip(*rows)):
        head = [tsv[0]] if path.suffix == ".tsv" else []
        path.write_text("".join(f"{line}\n" for line in [*head, *lines]))
    return data
