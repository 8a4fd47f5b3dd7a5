"""The mistakes of a table, collected so that all are told at once."""

from __future__ import annotations

from pathlib import Path

from fairseq_dro.errors import UserError

MOST_SHOWN = 20


class TableMistakes:
    """Mistakes by kind, with the place of the first of each.

    Args:
        table: its path.
    """

    def __init__(self, table: Path) -> None:
        self.table = table
        self._first: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def add(self, number: int, what: str, kind: str | None = None) -> None:
        """Note one.

        Args:
            number: line of the table.
            what: follows ``file:line``, such as ``: the path is empty``.
            kind: is told once, with the number of lines; ``what`` where it is not given.
        """
        kind = kind or what
        self._first.setdefault(kind, f"{self.table}:{number}{what}")
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def raise_any(self) -> None:
        """Raises UserError with all mistakes, one line each; nothing where there are none."""
        told = []
        for kind, first in self._first.items():
            more = self._counts[kind] - 1
            lines = "" if not more else f" ({more} more line{'s' if more > 1 else ''})"
            told.append(f"{first}{lines}")
        if len(told) == 1:
            raise UserError(told[0])
        if told:
            shown = "".join(f"\n  {one}" for one in told[:MOST_SHOWN])
            left = len(told) - MOST_SHOWN
            shown += f"\n  and {left} other mistakes" if left > 0 else ""
            raise UserError(f"{self.table} has {len(told)} kinds of mistakes:{shown}")
