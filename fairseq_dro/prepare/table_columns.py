"""What a table calls its columns: those that are read, and those that look like one and are not."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.table_mistakes import TableMistakes

logger = logging.getLogger(__name__)

WANTED = {
    "path": ("path", "file"),
    "text": ("normalised_text", "text"),
    "language": ("language",),
}
"""The columns that a table must have, each by one of these names, the first that is there."""
OPTIONAL = ("split", "id", "speaker", "corpus", "offset", "duration")
ALIASES = {
    "path": ("audio", "audio_path", "audio_filepath", "wav", "filename", "file_name", "clip",
             "audio_file", "filepath"),
    "text": ("sentence", "transcript", "transcription", "normalized_text", "raw_text", "words"),
    "language": ("lang", "locale", "language_code", "iso", "iso639", "lang_id"),
    "split": ("subset", "partition"),
    "id": ("utterance_id", "utt_id", "utt"),
    "speaker": ("speaker_id", "speaker_name", "spk", "spk_id", "client_id"),
    "offset": ("start", "start_time", "begin"),
}  # fmt: skip
"""What other programs call them, for suggestions."""


def names_of_columns(
    table: Path, columns: Sequence[str], asked: Mapping[str, str | None]
) -> dict[str, str]:
    """What the table calls path, text and language.

    Args:
        asked: what the command line calls them, or None.

    Raises:
        UserError: with all that it lacks, and the options that name them.
    """
    named, lacking = {}, []
    for name, usual in WANTED.items():
        wanted = usual if asked[name] is None else (asked[name],)
        found = next((one for one in wanted if one in columns), None)
        if found is not None:
            named[name] = found
            others = [one for one in wanted if one in columns and one != found]
            if others:
                logger.info("%s: the %s is read from the column %s, not from %s (--%s-column)",
                            table, name, found, others[0], name)  # fmt: skip
            continue
        alike = [one for one in columns if _plain(one) in (*usual, *ALIASES[name])]
        such_as = alike[0] if alike else "COLUMN"
        names = " or ".join(map(repr, sorted(wanted, key=lambda one: len(one) > len(name))))
        lacking.append(f"no column {names} (name it by --{name}-column {such_as})")
    if lacking:
        raise UserError(
            f"{table}:1 has {', '.join(lacking)}: expected path, text and language among its "
            f"columns, found {', '.join(columns) or 'nothing'}."
        )
    return named


def look_for_strangers(
    columns: Sequence[str], read: Sequence[str], mistakes: TableMistakes
) -> None:
    """Tell columns that nobody reads although they may be meant to be read.

    Without a split new ones are made, without a speaker one voice is on two sides: neither may
    come from a capital letter.

    Args:
        columns: of the first line.
        read: those that are read, where they are there.
    """
    for name in dict.fromkeys(read):
        if columns.count(name) > 1:
            mistakes.add(1, f" has the column {name!r} twice: rename the one that is not meant.")
    for name in OPTIONAL:
        if name in columns:
            continue
        for column in columns:
            if column in read:
                continue
            if _plain(column) == name:
                mistakes.add(
                    1, f" has the column {column!r}, which is not read: write {name!r}, or another "
                    "name where that is not what it says."
                )  # fmt: skip
            elif _plain(column) in ALIASES.get(name, ()):
                logger.warning(
                    "%s:1: the column %r is not read: rename it to %r if it says that",
                    mistakes.table, column, name,
                )  # fmt: skip


def _plain(column: str) -> str:
    return column.strip().lower()
