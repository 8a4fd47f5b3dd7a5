"""Letters as a terminal can show them."""

from __future__ import annotations

import unicodedata


def shown_unit(unit: str) -> str:
    """A unit that can be seen: a mark alone would sit on the character before it."""
    code = f"U+{ord(unit[0]):04X}"
    if unicodedata.combining(unit[0]):
        return f"\u25cc{unit} ({code})"
    return unit if unit.isprintable() else code
