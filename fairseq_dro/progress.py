"""Progress of long work: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
FIRST_LINE_SECONDS = 5.0
SECONDS_BETWEEN_LINES = 30.0
"""At most; the first lines come sooner, each after three times as long as the one before."""


def with_progress(
    items: Iterable[Item], total: int | None, unit: str, doing: str = ""
) -> Iterator[Item]:
    """Yield the items, saying how many are done and, where it can be known, what time is left.

    Args:
        doing: what is done to them, such as ``decoding test``.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, doing or None, total, unit=f" {unit}", leave=False)
        return
    begun, wait = time.monotonic(), FIRST_LINE_SECONDS
    due = begun + wait
    for number, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now >= due:
            wait = min(3 * wait, SECONDS_BETWEEN_LINES)
            due = now + wait
            logger.info("%s", _line(number, total, unit, doing, now - begun))


def _line(number: int, total: int | None, unit: str, doing: str, seconds: float) -> str:
    head = f"{doing}: " if doing else ""
    if not total:
        return f"{head}{number} {unit}"
    left = seconds * max(0, total - number) / number
    return f"{head}{number} of {total} {unit}, about {left:.0f} s left"
