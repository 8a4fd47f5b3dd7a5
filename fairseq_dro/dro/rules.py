"""How the group weights q answer to group losses: ERM, group DRO and CTC-DRO.

Symbols: G groups; q [G] weights that sum to 1; L [G] loss of each group in nats; eta
(``step_size``); alpha (``smoothing``).

Every rule multiplies q by the exponential of a step and normalises (exponentiated gradient
ascent). The work is done in float64 on logarithms: fp16 or bf16 weights freeze, since a relative
change of 1e-4 is below their resolution, and exponentials of large losses overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

Q_FLOOR = 1e-10
"""Smallest weight before normalising. A group at zero could never come back, since updates only
multiply. The value is the epsilon of the code released with the CTC-DRO paper."""


class UpdateRule(Protocol):
    """One step of q."""

    sums_batches: bool
    """The group loss is the mean over batches of the *sum* over a batch (True) or the mean over
    utterances (False)."""

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """New q [G] from q [G] and group losses [G] in nats; both stay unchanged."""


@dataclass(frozen=True)
class Erm:
    """Empirical risk minimisation: q stays where it is (uniform)."""

    sums_batches: bool = False

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return q


@dataclass(frozen=True)
class GroupDro:
    """Group DRO, min over theta of max over q of sum_g q_g L_g.

    Source: Sagawa, Koh, Hashimoto, Liang 2020 (arXiv 1911.08731), algorithm 1:
    ``q_g <- q_g exp(eta L_g)``, then normalise. L_g is the mean over utterances.
    Deviations: L_g is the mean over all batches since the last move and over all workers, not
    that of one batch; the floor ``Q_FLOOR``.
    """

    step_size: float
    sums_batches: bool = False

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return _exponentiated(q, self.step_size * losses)


@dataclass(frozen=True)
class CtcDro:
    """CTC-DRO, min over theta of max over q of sum_g log(q_g + alpha) L_g.

    Source: Bartelds, Nandi, Doumbouya, Jurafsky, Hashimoto, Livescu 2025 (arXiv 2502.01777),
    equation 10: ``q_g <- q_g exp(eta L_g / (q_g + alpha))``, then normalise; equation 12 is the
    objective. L_g is the mean over the group's batches of the sum over a batch, where batches of
    all groups hold about the same seconds of audio.
    With constant L the fixed point on the groups with q_g > 0 (A of them) is
    ``q_g = L_g (1 + A alpha) / (sum of L over A) - alpha``.
    Deviation: the batch just drawn is weighted by the q before its own loss moved it; the
    released code moves q first.
    """

    step_size: float
    smoothing: float
    sums_batches: bool = True

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return _exponentiated(q, self.step_size * losses / (q + self.smoothing))


def make_rule(objective: str, *, step_size: float, smoothing: float) -> UpdateRule:
    """The rule behind the criterion option ``objective``.

    Raises:
        KeyError: no rule has this name; ``RULES`` lists them.
    """
    return RULES[objective](step_size, smoothing)


RULES = {
    "erm": lambda step_size, smoothing: Erm(),
    "group_dro": lambda step_size, smoothing: GroupDro(step_size),
    "ctc_dro": lambda step_size, smoothing: CtcDro(step_size, smoothing),
}
"""Objective -> rule from (step_size, smoothing). A new rule is a class and a line here."""


def _exponentiated(q: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """``q exp(exponent)``, normalised and floored, without overflow."""
    logits = np.log(np.maximum(q, Q_FLOOR)) + exponent
    weights = np.exp(logits - logits.max())
    weights = np.maximum(weights / weights.sum(), Q_FLOOR)
    return weights / weights.sum()
