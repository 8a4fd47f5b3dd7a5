"""What a user names as a model: a folder or a file, looked into once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from fairseq_dro.convert.huggingface_folder import config_of
from fairseq_dro.errors import UserError


class Source:
    """A folder or file that exists.

    Attributes:
        place: where it is.
        option: what the user typed it behind, for sentences: ``model.whisper_path=`` or nothing.
    """

    def __init__(self, place: str | Path, option: str = "") -> None:
        self.place, self.option = Path(place), option

    def __str__(self) -> str:
        return f"{self.option}{self.place}"

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """``config.json`` of a folder; empty where there is none."""
        return config_of(self.place)

    @cached_property
    def state(self) -> Mapping[str, Any]:
        """What a file of torch's holds, by torch's safe loader; empty where it is none, and for a
        folder."""
        if not self.place.is_file():
            return {}
        try:
            found = torch.load(self.place, map_location="cpu", mmap=True, weights_only=True)
        except Exception:  # torch raises many kinds; `read_state` says which
            return {}
        return found if isinstance(found, Mapping) else {}

    @cached_property
    def tokenizer(self) -> str | None:
        """Content of the ``tokenizer.json`` in the folder, or beside the file."""
        folder = self.place.parent if self.place.is_file() else self.place
        return read_tokenizer(folder / "tokenizer.json")

    def why_unreadable(self, expected: str) -> UserError:
        """The error for a file that the safe loader does not read.

        Args:
            expected: which files would do.
        """
        try:
            torch.load(self.place, map_location="cpu", mmap=True, weights_only=True)
            first = "it holds no weights by name"
        except Exception as error:
            first = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        return UserError(
            f"{self} cannot be read ({first}): expected {expected}, whole and as it was written."
        )


def read_tokenizer(file: Path) -> str | None:
    """None where it is not there, or no text."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
