"""One pass over the labels of a split: units, frames that CTC needs, what the dictionary lacks.

Shapes: N utterances.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from fairseq_dro.data.manifest import Manifest
from fairseq_dro.data.units import N_CODE_POINTS, UnitChunk, UnitNumbers


class LabelTally:
    """What a pass has counted so far.

    Args:
        symbols: units of the dictionary; None where there is none to compare with.

    Attributes:
        n_units: [N] units of the target.
        needed: [N] frames that CTC needs at least: one a unit, and one more between two that are
            equal.
        unknown: [N] bool, a unit is outside the dictionary.
        unit_counts: how often each unit occurs; filled by `finish`.
    """

    def __init__(
        self, manifest: Manifest, symbols: Collection[str] | None, numbers: UnitNumbers
    ) -> None:
        self.manifest, self.numbers = manifest, numbers
        self.n_units = np.zeros(len(manifest), np.int64)
        self.needed = np.zeros(len(manifest), np.int64)
        self.unknown = np.zeros(len(manifest), bool)
        self.unit_counts: dict[str, int] = {}
        self._known = None if symbols is None else numbers.mask(symbols)
        self._counts = np.zeros(N_CODE_POINTS, np.int64)

    @classmethod
    def of(cls, manifest: Manifest, symbols: Collection[str] | None = None) -> LabelTally:
        """Of all lines."""
        numbers = UnitNumbers()
        tally = cls(manifest, symbols, numbers)
        for chunk in numbers.chunks(manifest.labels):
            tally.add(chunk)
        return tally.finish()

    def add(self, chunk: UnitChunk) -> None:
        """Count a stretch of lines."""
        rows = slice(chunk.first, chunk.last)
        self.n_units[rows] = chunk.units_per_line()
        self.needed[rows] = self.n_units[rows] + chunk.repeats_per_line()
        if self._known is not None:
            unknown = np.flatnonzero(~self.numbers.is_in(self._known, chunk.units))
            self.unknown[chunk.first + chunk.line_of(unknown)] = True
        counts = np.bincount(chunk.units)
        if len(counts) > len(self._counts):
            self._counts = np.pad(self._counts, (0, len(counts) - len(self._counts)))
        self._counts[: len(counts)] += counts

    def finish(self) -> LabelTally:
        """Name the units."""
        for number in np.flatnonzero(self._counts).tolist():
            self.unit_counts[self.numbers.name(number)] = int(self._counts[number])
        return self
