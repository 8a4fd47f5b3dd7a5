"""Units of many label lines at once, as arrays of numbers.

Splitting a million lines one by one takes four times as long; most units are one character, and
then their code points are an array that numpy can look at.

Shapes: N lines, U units of a stretch of lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from fairseq_dro.data.lines import CHUNK_BYTES, TextLines

N_CODE_POINTS = 0x110000
_BLANK = np.array([chr(code).isspace() for code in range(0x3002)])
"""Whether a code point is white space; the last stands for all above, which are none."""


@dataclass(frozen=True)
class UnitChunk:
    """Units of the lines ``first`` to ``last`` - 1.

    Attributes:
        units: [U] int32 numbers, see `UnitNumbers`.
        starts: [last - first + 1] int64, line i has the units ``starts[i]`` to ``starts[i + 1]``.
    """

    first: int
    last: int
    units: np.ndarray
    starts: np.ndarray

    def units_per_line(self) -> np.ndarray:
        """[last - first] int64."""
        return np.diff(self.starts)

    def repeats_per_line(self) -> np.ndarray:
        """[last - first] int64, how often a unit is the same as the one before it."""
        repeats = np.flatnonzero(self.units[1:] == self.units[:-1]) + 1
        lines = self.line_of(repeats)
        inside = repeats > self.starts[lines]  # the first of a line follows none
        return np.bincount(lines[inside], minlength=self.last - self.first)

    def line_of(self, positions: np.ndarray) -> np.ndarray:
        """The line, counted from ``first``, of units at these positions."""
        return np.searchsorted(self.starts, positions, side="right") - 1


class UnitNumbers:
    """A number for each unit: its code point, or above all of those for a longer one."""

    def __init__(self) -> None:
        self._longer: dict[str, int] = {}
        self._names: list[str] = []

    @property
    def longer_names(self) -> list[str]:
        """Units of several characters, the first of them has the number ``N_CODE_POINTS``."""
        return self._names

    def name(self, number: int) -> str:
        """The unit of a number."""
        if number < N_CODE_POINTS:
            return chr(number)
        return self._names[number - N_CODE_POINTS]

    def number(self, unit: str) -> int:
        """The number of a unit, a new one for one not met before."""
        if len(unit) == 1:
            return ord(unit)
        if unit not in self._longer:
            self._longer[unit] = N_CODE_POINTS + len(self._names)
            self._names.append(unit)
        return self._longer[unit]

    def mask(self, units: Iterable[str]) -> np.ndarray:
        """[..] bool, true at the number of each of these units; read it with `is_in`."""
        numbers = np.array([self.number(unit) for unit in units], dtype=np.int64)
        is_known = np.zeros(N_CODE_POINTS + len(self._names), dtype=bool)
        is_known[numbers] = True
        return is_known

    @staticmethod
    def is_in(mask: np.ndarray, units: np.ndarray) -> np.ndarray:
        """[U] bool; a unit met first after the mask was made is not in it."""
        if units.max(initial=0) < len(mask):
            return mask[units]
        return mask[np.minimum(units, len(mask) - 1)] & (units < len(mask))

    def chunks(self, lines: TextLines, at_most_bytes: int = CHUNK_BYTES) -> Iterator[UnitChunk]:
        """All lines in stretches of about so many bytes of text."""
        for first, last in lines.chunks(at_most_bytes):
            start, end = int(lines.starts[first]), int(lines.ends[last - 1])
            text = lines.data[start:end].decode()
            codes = np.frombuffer(text.encode("utf-32-le"), np.int32)
            found = _alternating(codes) or self._any(text, codes)
            yield UnitChunk(first, last, *found)

    def _any(self, text: str, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Units and line starts of a text whose units may be long and its blanks many."""
        bounds = np.flatnonzero(np.diff(_is_blank(codes), prepend=True, append=True))
        begins, ends = bounds[::2], bounds[1::2]
        newlines = np.flatnonzero(codes == ord("\n"))
        starts = np.concatenate([[0], np.searchsorted(begins, newlines), [len(begins)]])
        units = codes[begins]
        longer = np.flatnonzero(ends - begins > 1)
        if len(longer):
            pairs = zip(begins[longer].tolist(), ends[longer].tolist())
            names = [text[begin:end] for begin, end in pairs]
            for name in dict.fromkeys(names):
                self.number(name)
            units[longer] = np.fromiter(map(self._longer.__getitem__, names), np.int32, len(names))
        return units, starts


def _is_blank(codes: np.ndarray) -> np.ndarray:
    return _BLANK[np.minimum(codes, len(_BLANK) - 1)]


def _alternating(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Units and line starts where one character and one blank or newline take turns; else None."""
    units, blanks = codes[::2], codes[1::2]
    is_newline = blanks == ord("\n")
    if len(codes) % 2 == 0 or not (is_newline | (blanks == ord(" "))).all():
        return None
    if _is_blank(units).any():
        return None
    starts = np.concatenate([[0], np.flatnonzero(is_newline) + 1, [len(units)]])
    return units, starts
