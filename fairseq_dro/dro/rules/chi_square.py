"""Chi-square DRO: the worst q within a distance of the data's own shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairseq_dro.dro.group_loss import GroupLoss
from fairseq_dro.dro.rules.rule import RuleOfShares, floored, parameter, register_rule

DOUBLINGS = 50
"""After so many the threshold is so low that q is p to the last bit of float64."""
BISECTIONS = 100
"""After so many float64 has nothing between the bounds."""


@register_rule("chi_square_dro")
@dataclass(frozen=True)
class ChiSquareDro(RuleOfShares):
    """Iterated best response: q maximises ``sum q L`` within a chi-square ball around p.

    Source: Zhou, Levy, Li, Ghazvininejad, Neubig 2021 (Distributionally robust multilingual
    machine translation, EMNLP; arXiv 2109.04020). The ball is
    ``1/2 sum_g p_g (q_g / p_g - 1)^2 <= radius``, and the best response has the form
    ``q_g = p_g relu(L_g - t) / sum_h p_h relu(L_h - t)``, with the threshold t at which the
    divergence is ``radius``, found by bisection. Where even t -> max L stays inside the ball, q
    lies on the groups of the highest loss.
    There is no step size: q depends on L alone, which is why L should be a decayed mean
    (``update_when=every_update`` or ``every_epoch``; the authors decay with 0.1 and answer once an
    epoch). They draw by q (``task.group_sampling=q``) instead of weighting losses.
    Deviations: p are the groups' shares of the data, theirs those of a temperature; weights below
    ``Q_FLOOR`` are raised to it. L per target unit, as theirs, times a constant, which
    changes nothing: q depends on differences of L by their ratios alone.
    """

    group_loss: ClassVar[GroupLoss] = GroupLoss.PER_UNIT
    radius: float = parameter(
        0.1,
        "rho: how far q may be from the groups' shares of the training data, in chi-square "
        "divergence; 0 is erm; the authors' code has 0.1",
        at_least=0,
    )

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        p = self.start(len(losses))
        # the answer does not depend on the unit, and differences of float64 should be of size 1
        spread = losses.max() - losses.min()
        if self.radius == 0 or spread == 0:
            return floored(p)
        scaled = (losses - losses.max()) / spread  # 0 for the worst, -1 for the best
        worst = np.where(scaled == 0, p, 0.0)
        worst /= worst.sum()
        if divergence(worst, p) <= self.radius:
            return floored(worst)
        # the divergence grows with t; far below the losses, q is nearly p
        low, high = -1.0, 0.0
        for _ in range(DOUBLINGS):
            if divergence(_response(scaled, low, p), p) <= self.radius:
                break
            low *= 2
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if divergence(_response(scaled, middle, p), p) > self.radius:
                high = middle
            else:
                low = middle
        return floored(_response(scaled, low, p))


def divergence(q: np.ndarray, p: np.ndarray) -> float:
    """Chi-square divergence ``1/2 sum p (q / p - 1)^2`` of [G] and [G]."""
    return float((p * (q / p - 1) ** 2).sum() / 2)


def _response(losses: np.ndarray, threshold: float, p: np.ndarray) -> np.ndarray:
    weights = p * np.maximum(losses - threshold, 0)
    return weights / weights.sum()
