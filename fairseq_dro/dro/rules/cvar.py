"""Greedy CVaR over groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairseq_dro.dro.rules.rule import RuleOfShares, floored, parameter, register_rule


@register_rule("cvar_dro")
@dataclass(frozen=True)
class CvarDro(RuleOfShares):
    """Greedy CVaR over groups: q lies on the worst groups that hold ``cvar_fraction`` of the data.

    Source: the code released with Sagawa et al. 2020 (group_DRO, ``compute_robust_loss_greedy``).
    Groups are taken from the highest loss down; each gets ``p_g / fraction``, p_g its share of the
    training data, and the last only what is left of 1. A fraction of 1 gives q = p, which is
    ERM; with q = p it also starts.
    There is no step size: q depends on L alone, which is why L should be a decayed mean
    (``update_when=every_update``; the released code decays with gamma = 0.1).
    Deviations: groups of equal loss share in proportion to p instead of by their order; weights
    below ``Q_FLOOR`` are raised to it.
    """

    cvar_fraction: float = parameter(
        0.2,
        "share of the training data, in the groups of highest loss, that is trained on",
        above=0,
        at_most=1,
    )

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        # level 0 holds the group, or the groups of equal loss, with the highest loss
        _, level_of = np.unique(-losses, return_inverse=True)
        level_shares = np.bincount(level_of, weights=self.shares)
        taken_before = np.cumsum(level_shares) - level_shares
        taken = np.clip(self.cvar_fraction - taken_before, 0, level_shares)
        return floored(self.shares * (taken / level_shares)[level_of])
