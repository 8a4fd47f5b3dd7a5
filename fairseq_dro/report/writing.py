"""Write pages and tables into a folder that the user named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.survival.durable_file import write_durably


def write_files(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Make the folder and write texts by name, each whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            write_durably(str(folder / name), lambda file, text=text: file.write(text.encode()))
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): choose another folder with --out."
        ) from None
    return [folder / name for name in contents]
