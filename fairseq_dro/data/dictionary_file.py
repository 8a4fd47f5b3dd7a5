"""``dict.{labels}.txt`` as fairseq reads it (fairseq/data/dictionary.py:229), every fault named.

A line is ``unit count`` or ``unit count #fairseq:overwrite``; the last blank separates, the count
is whatever ``int`` takes, and the unit may hold anything but the end of a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairseq_dro.data.manifest import without_byte_order_mark
from fairseq_dro.errors import UserError
from fairseq_dro.text.tags import SPECIAL_SYMBOLS
from fairseq_dro.text_lines import decoded

OVERWRITE = "#fairseq:overwrite"
"""A line with it may name a unit again."""


@dataclass(frozen=True)
class Fault:
    """A line at which fairseq would stop.

    Attributes:
        line: its number, from 1; what it holds is ``text``.
        what: the fault, as the end of a sentence that begins with the place.
    """

    line: int
    text: str
    what: str


def read_dictionary(path: Path) -> tuple[list[str], list[Fault]]:
    """Units in their order and the faults of the file, none of which is a unit.

    Raises:
        UserError: it cannot be read as a text in UTF-8.
    """
    try:
        text = decoded(path.read_bytes(), path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror or error}): expected one line `unit count` "
            "for each unit, as `fairseq-dro prepare` writes it."
        ) from None
    if text.startswith("\ufeff"):
        raise UserError(
            f"{path}:1 begins with a byte order mark (U+FEFF), which would be read as part of its "
            f"unit: remove it with `{without_byte_order_mark(path)}`."
        )
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")  # as a text file is read
    return units_of(lines[:-1] if lines[-1] == "" else lines)


def units_of(lines: Iterable[str]) -> tuple[list[str], list[Fault]]:
    """Units of the lines of a dictionary, in their order, and the faults."""
    units: dict[str, None] = dict.fromkeys(SPECIAL_SYMBOLS)
    faults = []
    for number, line in enumerate(lines, start=1):
        what = _add(line, units)
        if what is not None:
            faults.append(Fault(number, line, what))
    return [unit for unit in units if unit not in SPECIAL_SYMBOLS], faults


def require_dictionary(path: Path) -> None:
    """Refuse a file at which fairseq would stop.

    Raises:
        UserError: with the line of the first fault.
    """
    require_no_fault(path, read_dictionary(path)[1])


def require_no_fault(path: Path, faults: Sequence[Fault]) -> None:
    """Raises UserError with the line of the first fault, if there is one."""
    if faults:
        first, more = faults[0], len(faults) - 1
        others = f" ({more} more such line{'s'[: more > 1]})" if more else ""
        raise UserError(
            f"{path}:{first.line}: {first.text!r} {first.what}{others}: expected `unit count`, a "
            "unit once, as `fairseq-dro prepare` writes it."
        )


def _add(line: str, units: dict[str, None]) -> str | None:
    """Add the unit of a line; what is wrong with the line, or None."""
    entry = line.rstrip()
    if not entry:
        return "is empty"
    overwrites = entry.endswith(f" {OVERWRITE}")
    if overwrites:
        entry = entry.removesuffix(f" {OVERWRITE}")
    unit, blank, count = entry.rpartition(" ")
    if not blank:
        return "has a tab and no blank" if "\t" in entry else "has no count"
    try:
        int(count)
    except ValueError:
        return f"has the count {count!r}, no whole number"
    if unit in units and not overwrites:
        whose = "fairseq has itself" if unit in SPECIAL_SYMBOLS else "an earlier line has"
        return f"names {unit!r}, which {whose}"
    units[unit] = None
    return None
