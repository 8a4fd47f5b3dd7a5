"""How the group weights q answer to group losses: ERM, group DRO, CTC-DRO and greedy CVaR.

Symbols: G groups; q [G] weights that sum to 1; L [G] loss of each group in nats; n [G] training
utterances of each group; eta (``step_size``); alpha (``smoothing``).

Group DRO and CTC-DRO multiply q by the exponential of a step and normalise (exponentiated
gradient ascent). The work is done in float64 on logarithms: fp16 or bf16 weights freeze, since a
relative change of 1e-4 is below their resolution, and exponentials of large losses overflow.
"""

from __future__ import annotations

from collections.abc import Callable
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

    q_holds_shares: bool
    """q contains each group's share of the data already, so that its loss must be divided by the
    probability with which the group is drawn."""

    def start(self, n_groups: int) -> np.ndarray:
        """q [G] before the first step."""

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """New q [G] from q [G] and group losses [G] in nats; both stay unchanged."""


class StartingUniform:
    """What the rules have in common that weigh all groups alike at first."""

    q_holds_shares: bool = False

    def start(self, n_groups: int) -> np.ndarray:
        return np.full(n_groups, 1 / n_groups)


@dataclass(frozen=True)
class Erm(StartingUniform):
    """Empirical risk minimisation: q stays where it is (uniform)."""

    sums_batches: bool = False

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return q


@dataclass(frozen=True)
class GroupDro(StartingUniform):
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
class CtcDro(StartingUniform):
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


@dataclass(frozen=True)
class CvarDro:
    """Greedy CVaR over groups: q lies on the worst groups that hold ``fraction`` of the data.

    Source: the code released with Sagawa et al. 2020 (group_DRO, ``compute_robust_loss_greedy``).
    Groups are taken from the highest loss down; each gets ``p_g / fraction``, p_g its share of the
    training utterances, and the last only what is left of 1. ``fraction=1`` gives q = p, which is
    ERM; with q = p it also starts.
    There is no step size: q depends on L alone, which is why L should be a decayed mean
    (``update_when=every_update``; the released code decays with gamma = 0.1).
    Deviations: groups of equal loss share in proportion to p instead of by their order; weights
    below ``Q_FLOOR`` are raised to it.
    """

    shares: np.ndarray
    fraction: float
    sums_batches: bool = False
    q_holds_shares: bool = True

    def start(self, n_groups: int) -> np.ndarray:
        return self.shares / self.shares.sum()

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        # level 0 holds the group, or the groups of equal loss, with the highest loss
        _, level_of = np.unique(-losses, return_inverse=True)
        level_shares = np.bincount(level_of, weights=self.shares)
        taken_before = np.cumsum(level_shares) - level_shares
        taken = np.clip(self.fraction - taken_before, 0, level_shares)
        return _floored(self.shares * (taken / level_shares)[level_of])


@dataclass(frozen=True)
class GroupAdjusted:
    """Another rule, fed ``L_g + C / sqrt(n_g)``: small groups overfit, and are lifted for it.

    Source: Sagawa et al. 2020, equation 5 (group adjustment). C is in the unit of the rule's
    group loss: nats an utterance, for CTC-DRO nats a batch.
    """

    rule: UpdateRule
    adjustment: np.ndarray

    @property
    def sums_batches(self) -> bool:
        return self.rule.sums_batches

    @property
    def q_holds_shares(self) -> bool:
        return self.rule.q_holds_shares

    def start(self, n_groups: int) -> np.ndarray:
        return self.rule.start(n_groups)

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return self.rule.step(q, losses + self.adjustment)


@dataclass(frozen=True)
class RuleOptions:
    """What rules are made of; each takes what it needs.

    Attributes:
        step_size: eta of group DRO and CTC-DRO, > 0.
        smoothing: alpha of CTC-DRO, > 0.
        cvar_fraction: of greedy CVaR, 0 < fraction <= 1.
        group_adjustment: C of the group adjustment, >= 0; 0 is none.
        group_sizes: n [G], training utterances of each group.
    """

    step_size: float
    smoothing: float
    cvar_fraction: float
    group_adjustment: float
    group_sizes: np.ndarray


RULES: dict[str, Callable[[RuleOptions], UpdateRule]] = {
    "erm": lambda options: Erm(),
    "group_dro": lambda options: GroupDro(options.step_size),
    "ctc_dro": lambda options: CtcDro(options.step_size, options.smoothing),
    "cvar_dro": lambda options: CvarDro(
        options.group_sizes / options.group_sizes.sum(), options.cvar_fraction
    ),
}
"""Criterion option ``objective`` -> rule. A new rule is a class and a line here."""


def make_rule(objective: str, options: RuleOptions) -> UpdateRule:
    """The rule of ``objective``, with the group adjustment where one is asked for.

    Raises:
        KeyError: no rule has this name; ``RULES`` lists them.
    """
    rule = RULES[objective](options)
    if options.group_adjustment == 0:
        return rule
    return GroupAdjusted(rule, options.group_adjustment / np.sqrt(options.group_sizes))


def _exponentiated(q: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """``q exp(exponent)``, normalised and floored, without overflow."""
    logits = np.log(np.maximum(q, Q_FLOOR)) + exponent
    return _floored(np.exp(logits - logits.max()))


def _floored(weights: np.ndarray) -> np.ndarray:
    """Weights of sum 1, none below ``Q_FLOOR`` (but for the last normalisation)."""
    weights = np.maximum(weights / weights.sum(), Q_FLOOR)
    return weights / weights.sum()
