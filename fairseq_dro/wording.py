"""Counts and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def counted(n: int, noun: str) -> str:
    """``1 validation``, ``1,200 validations``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(names: Sequence[str], at_most: int = 8, separator: str = ", ") -> str:
    """``a, b, c and 4 more``."""
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return separator.join(names[:at_most]) + more
