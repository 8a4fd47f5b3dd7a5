"""The form of a reader: one class that turns a corpus as downloaded into recordings."""

from __future__ import annotations

import argparse
import hashlib
import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.language_choice import LanguageChoice
from fairseq_dro.prepare.recording import Recording, Rejection

logger = logging.getLogger(__name__)


@dataclass
class MissingParts:
    """Parts that a corpus should have and has not."""

    skip: bool
    found: list[str] = field(default_factory=list)

    def report(self, what: str, advice: str) -> None:
        """Note that a part is missing.

        Args:
            what: which part, such as a folder.
            advice: how to get it.

        Raises:
            UserError: unless missing parts are to be skipped.
        """
        if not self.skip:
            raise UserError(f"{what}: {advice}, or continue with the rest by --skip-missing.")
        logger.warning("skipped: %s", what)
        self.found.append(what)


class Reader(ABC):
    """Reads one kind of corpus; a new one is a subclass and a line in ``readers/__init__.py``.

    The keywords of its ``__init__`` are options, its own or shared ones, under the names that
    argparse gives them: ``root`` for ``--root``.

    Attributes:
        name: of the sub-command.
        summary: its help.
        text_profile: rule for the text where the command line names none (``text/profiles.py``).
        chooses_languages: False: it has a ``--languages`` of its own.
        longest_seconds: per split, recordings above are rejected where the command line does not
            say otherwise.
        rules: reasons of rejections that the corpus itself asks for, so that they are no loss.
        audio_root: folder that all audio of the corpus lies below.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    text_profile: str = "lower"
    chooses_languages: ClassVar[bool] = True
    longest_seconds: dict[str, float] = {}
    rules: ClassVar[tuple[str, ...]] = ()
    audio_root: Path

    def __init__(self, languages: LanguageChoice, missing: MissingParts) -> None:
        self.languages, self.missing = languages, missing

    @staticmethod
    @abstractmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what is special about this corpus (``command_line.py`` has the rest)."""

    @classmethod
    def of(
        cls, given: Mapping[str, Any], languages: LanguageChoice, missing: MissingParts
    ) -> Reader:
        """The reader with those words of the command line that its keywords name."""
        keywords = (
            one.name for one in inspect.signature(cls).parameters.values()
            if one.kind is one.KEYWORD_ONLY
        )  # fmt: skip
        return cls(languages, missing, **{name: given[name] for name in keywords})

    def input_files(self) -> list[Path]:
        """The tables and transcripts that are read; audio is not among them."""
        return []

    def source(self) -> dict[str, Any]:
        """What the corpus is recognised by when the command is given again (for JSON)."""
        return describe_files(self.input_files())

    @abstractmethod
    def recordings(self) -> Iterator[Recording | Rejection]:
        """Yield all utterances of the wanted languages, in an order that is always the same."""


def describe_files(paths: list[Path]) -> dict[str, Any]:
    """How many files, and a checksum of their paths, sizes and times of change."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        status = path.stat()
        line = f"{path.resolve()}\t{status.st_size}\t{status.st_mtime_ns}\n"
        digest.update(line.encode(errors="backslashreplace"))
    return {"files": len(paths), "checksum": digest.hexdigest()[:16]}


def require_folder(path: Path, expected: str) -> Path:
    """The folder itself.

    Raises:
        UserError: it is not there; the sentence says what was expected in it.
    """
    if not path.is_dir():
        raise UserError(f"{path} is not a folder: expected {expected}.")
    return path
