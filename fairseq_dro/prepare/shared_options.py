"""What every reader of ``fairseq-dro prepare`` is told, as typed values that fit each other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.numerals import require_num2words
from fairseq_dro.text.profiles import PROFILES, Profile

FILE_OPTIONS = (
    "dictionary", "sentencepiece_model", "languages", "languages_set", "few_shot_languages"
)  # fmt: skip
NO_INFLUENCE = ("workers", "overwrite", "command", "run", "reader", "out")
"""Arguments that do not change what is prepared."""


@dataclass(frozen=True)
class SharedOptions:
    """The options of ``command_line.py``, under the same names; None where one is not given.

    Attributes:
        out: the data folder to make.
        text_profile: the corpus's own where the command line names none.
        valid_seconds, test_seconds, min_seconds, max_seconds: of audio.

    Raises:
        UserError: a value is out of range, or one contradicts another or has no effect beside it;
            with the option's name.
    """

    out: Path
    workers: int
    seed: int
    skip_missing: bool
    overwrite: bool
    text_profile: str
    tags: str | None
    digits: str | None
    units: str
    vocabulary_size: int | None
    sentencepiece_model: Path | None
    dictionary: Path | None
    language_tokens: bool
    splits: str | None
    split_by: str
    valid_seconds: float | None
    valid_fraction: float | None
    test_seconds: float | None
    test_fraction: float | None
    min_seconds: float
    max_seconds: float | None
    max_seconds_per_language: float | None
    few_shot: int | None
    few_shot_languages: str | None

    @classmethod
    def of(cls, given: Mapping[str, object], text_profile: str) -> SharedOptions:
        """From the words of the command line.

        Args:
            text_profile: the corpus's own.
        """
        values = {one.name: given[one.name] for one in fields(cls)}
        return cls(**{**values, "text_profile": given["text_profile"] or text_profile})

    @property
    def profile(self) -> Profile:
        """The rule for the text."""
        return PROFILES[self.text_profile]

    @property
    def keeps_tags(self) -> bool:
        return self.tags == "keep"

    @property
    def keeps_numbers(self) -> bool:
        return self.digits == "keep"

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_units()
        self._check_text()

    def _check_ranges(self) -> None:
        for name in ("valid", "test"):
            fraction = getattr(self, f"{name}_fraction")
            if fraction is not None and not 0 <= fraction <= 0.5:
                raise UserError(f"--{name}-fraction: expected 0 to 0.5, found {fraction:g}.")
            if None not in (fraction, getattr(self, f"{name}_seconds")):
                raise UserError(
                    f"--{name}-fraction and --{name}-seconds contradict each other: leave one out."
                )
        if self.few_shot_languages is not None and self.few_shot is None:
            raise UserError("--few-shot-languages needs --few-shot N, how many utterances to keep.")
        for name in (
            "valid_seconds", "test_seconds", "min_seconds", "max_seconds",
            "max_seconds_per_language", "few_shot",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UserError(f"{_option(name)}: expected 0 or more, found {value:g}.")
        for name in ("workers", "vocabulary_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{_option(name)}: expected 1 or more, found {value}.")
        for name in ("dictionary", "sentencepiece_model"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise UserError(f"{_option(name)}: {path} does not exist.")

    def _check_units(self) -> None:
        if self.vocabulary_size is not None and (
            self.units != "sentencepiece" or self.sentencepiece_model is not None
        ):
            raise UserError(
                "--vocabulary-size is of a new sentencepiece model: it needs --units "
                "sentencepiece, and no --sentencepiece-model."
            )
        if self.sentencepiece_model is not None and self.units != "sentencepiece":
            raise UserError("--sentencepiece-model needs --units sentencepiece.")
        if self.units == "sentencepiece" and self.dictionary and not self.sentencepiece_model:
            raise UserError(
                "--dictionary with --units sentencepiece needs the model that the dictionary was "
                "made with: add --sentencepiece-model."
            )

    def _check_text(self) -> None:
        """``--tags`` and ``--digits`` are something that the text profile can do."""
        if self.tags is not None and not self.profile.knows_tags:
            raise UserError(
                f"--tags {self.tags} is not for the text profile {self.text_profile}, which has a "
                "rule of its own for brackets: leave it out, or add --text-profile lower."
            )
        if self.digits == "keep" and not self.profile.drops_numbers:
            raise UserError(
                f"--digits keep has no effect, because the text profile {self.text_profile} keeps "
                "digits: leave it out."
            )
        if self.digits == "spell":
            require_num2words()

    def refuse_idle_shares(self, all_have_splits: bool) -> None:
        """Shares of valid and test are not asked for where nothing is split by hash.

        Raises:
            UserError: they are.
        """
        names = ("valid_fraction", "test_fraction", "valid_seconds", "test_seconds")
        given = [_option(name) for name in names if getattr(self, name) is not None]
        if given and all_have_splits and self.splits != "hash":
            raise UserError(
                f"{given[0]} has no effect, because the corpus has a split for every utterance: "
                "add --splits hash for new ones, or leave it out."
            )


def as_request(given: Mapping[str, object]) -> dict[str, object]:
    """The options that decide what is prepared, for JSON; paths are absolute, files have a sum.

    Args:
        given: the words of the command line, the reader's own among them.
    """
    sums = {
        f"{name}_sha256": hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in _named_files(given).items()
    }
    return sums | {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in sorted(given.items())
        if name not in NO_INFLUENCE
    }


def input_files(given: Mapping[str, object]) -> list[Path]:
    """Files that options name and the preparation reads."""
    return list(_named_files(given).values())


def _named_files(given: Mapping[str, object]) -> dict[str, Path]:
    named = {name: given.get(name) for name in FILE_OPTIONS}
    # os.path's isfile, for Path's stops at a long list of codes
    return {name: Path(value) for name, value in named.items() if value and os.path.isfile(value)}


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
