"""The named sets of languages, a file each: one code a line, then what a corpus calls it."""

from __future__ import annotations

import os
from pathlib import Path

from fairseq_dro import languages
from fairseq_dro.errors import UserError
from fairseq_dro.text_lines import lines_of

FOLDER = Path(__file__).parent
FEW_SHOT = "few_shot_20"
"""ML-SUPERB's languages with five training utterances."""


def names() -> list[str]:
    """Of all sets that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read_set(
    name: str, own_table: Path | None = None, option: str = "--languages-set"
) -> list[str]:
    """Codes of a language set: a name such as ``fleurs_102``, or the path of such a file.

    Raises:
        UserError: there is no such set, a line of it is no known code, or it has none.
    """
    path = Path(name)
    if not os.path.isfile(name):  # Path's own stops at a long name
        if name not in names():
            raise UserError(
                f"{option} {name!r} is neither a file nor a set: expected one of "
                f"{', '.join(names())}."
            )
        path = FOLDER / f"{name}.txt"
    codes: dict[str, None] = {}
    for number, line in lines_of(path):
        if line.strip() and not line.startswith("#"):
            code = line.split("\t")[0].strip()
            languages.require_known(code, f"{path}:{number}", own_table)
            codes[code] = None
    if not codes:
        raise UserError(f"{path} names no language: expected one code a line, such as deu.")
    return list(codes)
