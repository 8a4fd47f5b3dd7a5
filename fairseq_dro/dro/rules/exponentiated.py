"""ERM, group DRO and CTC-DRO: q stays, or is multiplied by the exponential of a step.

Exponentiated gradient ascent. The work is done in float64 on logarithms: fp16 or bf16 weights
freeze, since a relative change of 1e-4 is below their resolution, and exponentials of large losses
overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairseq_dro.dro.group_loss import GroupLoss
from fairseq_dro.dro.rules.rule import Q_FLOOR, Rule, floored, parameter, register_rule


@register_rule("erm")
@dataclass(frozen=True)
class Erm(Rule):
    """Empirical risk minimisation: q stays where it is (uniform)."""

    moves: ClassVar[bool] = False

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return q


@dataclass(frozen=True)
class Exponentiated(Rule):
    """What group DRO and CTC-DRO have in common."""

    step_size: float = parameter(
        1e-3,
        "eta, how fast q moves; the paper of ctc_dro uses 1e-3 or 1e-4, and 1e-5 to 1e-2 for "
        "group_dro; recipes with CTC set 1e-4",
        above=0,
    )


@register_rule("group_dro")
@dataclass(frozen=True)
class GroupDro(Exponentiated):
    """Group DRO, min over theta of max over q of sum_g q_g L_g.

    Source: Sagawa, Koh, Hashimoto, Liang 2020 (arXiv 1911.08731), algorithm 1:
    ``q_g <- q_g exp(eta L_g)``, then normalise. L_g is the mean over utterances.
    Deviations: L_g is the mean over all batches since the last move and over all workers, not
    that of one batch; the floor ``Q_FLOOR``.
    """

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return exponentiated(q, self.step_size * losses)


@register_rule("ctc_dro")
@dataclass(frozen=True)
class CtcDro(Exponentiated):
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

    group_loss: ClassVar[GroupLoss] = GroupLoss.PER_BATCH

    smoothing: float = parameter(
        0.5,
        "alpha; the paper uses 0.1, 0.5 or 1; larger values slow q down; at the fixed point they "
        "give less weight to easy groups",
        above=0,
    )

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return exponentiated(q, self.step_size * losses / (q + self.smoothing))


def exponentiated(q: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """``q exp(exponent)``, normalised and floored, without overflow."""
    logits = np.log(np.maximum(q, Q_FLOOR)) + exponent
    return floored(np.exp(logits - logits.max()))
