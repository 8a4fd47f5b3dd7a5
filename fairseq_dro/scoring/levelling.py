"""Whether a gap between languages closed from below, or by levelling down.

The gap is the highest error rate less the lowest. It can close because the worst-served language
got better (from below, what group DRO is for) or because the best-served one got worse (from above:
everybody is equal because nobody is served well).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from fairseq_dro.scoring.paired import Difference


class GapVerdict(str, Enum):
    """What is shown, at the confidence of the differences; the value is for files."""

    FROM_BELOW = "closed_from_below"
    FROM_ABOVE = "closed_from_above"
    FROM_BOTH = "closed_from_both_ends"
    CLOSED = "closed"
    """The gap is shown to be smaller, but of neither end is a move shown, or of the lesser one."""
    WIDENED = "widened"
    NOT_SHOWN = "no_change_shown"


class GapChange(NamedTuple):
    """Change of the gap; the parts are fractions and add up to how much it closed."""

    verdict: GapVerdict
    from_below: float  # by how much the worst rate fell; below 0: it rose
    from_above: float  # by how much the best rate rose; below 0: it fell


def gap_change(gap: Difference, worst: Difference, best: Difference) -> GapChange:
    """Judge the differences (other - baseline) of the gap and of its two ends."""
    worst_fell, best_rose = worst.high < 0, best.low > 0
    if gap.low > 0:
        verdict = GapVerdict.WIDENED
    elif not gap.high < 0:
        verdict = GapVerdict.NOT_SHOWN
    elif worst_fell and best_rose:
        verdict = GapVerdict.FROM_BOTH
    elif worst_fell and -worst.estimate >= best.estimate:
        verdict = GapVerdict.FROM_BELOW
    elif best_rose and best.estimate >= -worst.estimate:
        verdict = GapVerdict.FROM_ABOVE
    else:
        verdict = GapVerdict.CLOSED
    return GapChange(verdict, -float(worst.estimate), float(best.estimate))


def best(rates: np.ndarray) -> np.ndarray:
    """The lowest of rates [..., G] -> [...]."""
    return rates.min(axis=-1)
