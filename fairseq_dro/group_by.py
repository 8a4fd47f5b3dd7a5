"""What a group is: the utterances that agree in some columns of a data folder.

``task.group_by`` names the columns, joined by ``+``. ``language`` is ``{split}.lang``; any other
column NAME is ``{split}.NAME``, one value a line: accent, gender, corpus, channel. The name of a
group is its values, joined by ``/``: with ``language+corpus``, German of MLS is ``deu/mls``.

A value that makes a group is not empty and holds no ``/``, so that a name says which value is
which; ``data/groups.py`` refuses others with file and line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fairseq_dro import languages
from fairseq_dro.errors import UserError

LANGUAGE = "language"
SEPARATOR = "/"
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FILES = ("tsv", "ltr", "spm", "wrd", "phn", "lang", "utt")
"""Suffixes of files that stand beside the columns of a split."""


class HasColumns(Protocol):
    """A decoded utterance."""

    def value(self, column: str) -> str | None:
        """Its value of a column; None where it is not known."""


@dataclass(frozen=True)
class GroupBy:
    """The columns by which utterances are grouped, in the order of a group's name."""

    columns: tuple[str, ...] = (LANGUAGE,)

    @classmethod
    def parse(cls, written: str, option: str = "task.group_by=") -> GroupBy:
        """From ``language+accent``.

        Args:
            option: what the user typed it behind.

        Raises:
            UserError: a column has no name, or is named twice, or cannot be one.
        """
        columns = tuple(str(written).split("+"))
        for column in columns:
            if not is_column(column) or columns.count(column) > 1:
                raise UserError(
                    f"{option}{written} is not understood ({column!r}): expected one column "
                    "of the data folder or several joined by +, each once, such as language, "
                    "accent or language+accent."
                )
        return cls(columns)

    def __str__(self) -> str:
        return "+".join(self.columns)

    @property
    def noun(self) -> str:
        """What texts call a group: ``language`` or ``group``; with an s it is the plural."""
        return LANGUAGE if self == BY_LANGUAGE else "group"

    def group_of(self, utterance: HasColumns) -> str | None:
        """The group of a decoded utterance, named as in training; None where it has none.

        One that lacks the first column has none; one that lacks a later column is in the group of
        the values before it: ``deu`` where German of MLS is ``deu/mls``.
        """
        known: list[str] = []
        for column in self.columns:
            value = utterance.value(column)
            if not value:
                break
            known.append(value)
        return SEPARATOR.join(known) or None

    def language_of(self, group: str) -> str | None:
        """The language that a group's name holds; None where groups are not of languages."""
        values = dict(zip(self.columns, self.values_of(group)))
        return values.get(LANGUAGE)

    def name_of(self, group: str, own_table: Path | None = None) -> str:
        """English name of a group: ``German (mls)`` of ``deu/mls``; else the group itself.

        Args:
            own_table: a language table of the user's own.
        """
        code = self.language_of(group)
        if code is None:
            return group
        language = languages.name_of(code, own_table)
        others = [v for v, column in zip(self.values_of(group), self.columns) if column != LANGUAGE]
        return f"{language} ({', '.join(others)})" if others else language

    def label_of(self, group: str) -> str:
        """``kat Georgian``, ``deu/mls German (mls)``; the group alone where it has no name."""
        name = self.name_of(group)
        return group if name == group else f"{group} {name}"

    def full_name(self, group: str) -> str:
        """``Georgian (kat)``; the group alone where it has no name."""
        name = self.name_of(group)
        return group if name == group else f"{name} ({group})"

    def values_of(self, group: str) -> list[str]:
        """The values that a name is made of, in the order of the columns."""
        return group.split(SEPARATOR, len(self.columns) - 1)


BY_LANGUAGE = GroupBy()


def suffix_of(column: str) -> str:
    """Of the files with its values: ``{split}.lang``, ``{split}.accent``."""
    return "lang" if column == LANGUAGE else column


def is_column(name: str) -> bool:
    """Whether a column can have this name: a letter, then letters, digits, ``_`` and ``-``."""
    return _COLUMN.fullmatch(name) is not None and name not in _FILES
