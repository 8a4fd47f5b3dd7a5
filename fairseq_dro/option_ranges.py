"""One sentence for every option whose value means nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fairseq_dro.errors import UserError


def require_in_ranges(section: str, cfg: Any, ranges: Iterable[tuple[str, bool, str]]) -> None:
    """Refuse a value by the name of its option.

    Args:
        section: such as ``task``.
        cfg: the options of the section.
        ranges: (option, whether its value is right, what it must be).

    Raises:
        UserError: the first that is wrong.
    """
    for name, is_right, expected in ranges:
        if not is_right:
            raise out_of_range(f"{section}.{name}", getattr(cfg, name), expected)


def out_of_range(option: str, value: Any, expected: str) -> UserError:
    return UserError(f"{option}={value} is out of range: it must be {expected}.")
