"""One arm against the baseline: what of the differences is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fairseq_dro.report.verdicts import Verdict, verdict_of
from fairseq_dro.scoring import levelling, paired


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

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """By group."""
        judged = map(verdict_of, self.by_group.estimate, self.holm_p)
        return dict(zip(self.codes, judged))

    def count(self) -> Counter[Verdict]:
        """Groups by verdict."""
        return Counter(self.verdicts.values())

    @property
    def doubtful(self) -> list[str]:
        """Measures whose correction for chance is larger than their standard error."""
        return [
            name
            for name, value in self.measures.items()
            if abs(value.correction) > value.standard_error
        ]

    @property
    def gap(self) -> levelling.GapChange:
        """Whether and from where the gap closed."""
        return levelling.gap_change(
            self.measures["gap"], self.measures["worst"], self.measures["best"]
        )
