"""What a cell of a table says: every reader takes the same things for an empty one."""

from __future__ import annotations

from typing import Any


def cell(value: Any, is_words: bool = True) -> str:
    """The text of a cell without white space at its ends; empty for a missing value.

    Missing is None, the number NaN, and ``NaN`` as programs write that number.

    Args:
        is_words: ``nan`` may be meant (a word, or Min Nan's code); elsewhere it is missing, too.
    """
    if value is None or value != value:
        return ""
    text = str(value).strip()
    return "" if text == "NaN" or (text == "nan" and not is_words) else text
