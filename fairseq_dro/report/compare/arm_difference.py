"""One arm against the baseline: what of the differences is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from fairseq_dro.scoring import levelling, paired

LEVEL = 1 - paired.CONFIDENCE


class Verdict(str, Enum):
    """On one group, after Holm's correction over the groups; the value is for files."""

    BETTER = "better"
    SAME = "same"
    """No difference is shown; there may be one that the test split is too small to show."""
    WORSE = "worse"
    NONE = "no verdict"
    """One block: how much it varies is not known."""


@dataclass(frozen=True)
class ArmDifference:
    """One arm against the baseline; differences are other - baseline, of CER as a fraction.

    Attributes:
        codes: [G] names of the groups, as in the arrays of ``by_group``.
        holm_p: [G].
        measures: by name, as in ``MEASURES``, and ``micro``.
    """

    name: str
    codes: Sequence[str]
    by_group: paired.Difference
    holm_p: np.ndarray
    measures: Mapping[str, paired.Difference]

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """By group."""
        found = {}
        for index, code in enumerate(self.codes):
            p, estimate = self.holm_p[index], self.by_group.estimate[index]
            if np.isnan(p):
                found[code] = Verdict.NONE
            elif p > LEVEL:
                found[code] = Verdict.SAME
            else:
                found[code] = Verdict.BETTER if estimate < 0 else Verdict.WORSE
        return found

    def count(self) -> Counter[Verdict]:
        """Groups by verdict."""
        return Counter(self.verdicts.values())

    @property
    def gap(self) -> levelling.GapChange:
        """Whether and from where the gap closed."""
        return levelling.gap_change(
            self.measures["gap"], self.measures["worst"], self.measures["best"]
        )
