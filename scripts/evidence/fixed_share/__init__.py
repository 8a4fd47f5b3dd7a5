"""The control of drawing by q: the same share of one language all along, whatever its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairseq_dro.dro.rules import Rule, parameter, register_rule


@register_rule("fixed_share")
@dataclass(frozen=True)
class FixedShare(Rule):
    """q is ``share`` for one group, and the others have the same weight each."""

    moves: ClassVar[bool] = False

    place: int = parameter(0, "which group, counted from 0 in the order of names", at_least=0)
    share: float = parameter(0.5, "its weight", above=0, at_most=1)

    def start(self, n_groups: int) -> np.ndarray:
        q = np.full(n_groups, (1 - self.share) / (n_groups - 1))
        q[self.place] = self.share
        return q

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return q
