"""A run too short for its learning rate to decay is said in words.

``tri_stage`` divides by the number of updates of its last phase
(fairseq/optim/lr_scheduler/tri_stage_lr_scheduler.py:122), which is 0 for a smoke test of a few
updates: ``ZeroDivisionError: float division by zero``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from fairseq_dro.compat import own_runs
from fairseq_dro.errors import UserError


def needed() -> bool:
    """Always: fairseq 0.12.2 is the last release."""
    return True


def apply() -> None:
    """Wrap ``TriStageLRSchedule.__init__``."""
    from fairseq.optim.lr_scheduler.tri_stage_lr_scheduler import TriStageLRSchedule

    original = TriStageLRSchedule.__init__

    @functools.wraps(original)
    def init(self: Any, cfg: Any, optimizer: Any) -> None:
        if own_runs.current():
            require_decay(cfg.max_update, cfg.phase_ratio, cfg.decay_steps)
        original(self, cfg, optimizer)

    TriStageLRSchedule.__init__ = init


def require_decay(
    max_update: float, phase_ratio: Sequence[float] | None, decay_steps: float
) -> None:
    """Refuse a last phase of ``tri_stage`` without updates.

    Args:
        max_update: ``optimization.max_update``.
        phase_ratio: warm up, hold, decay as parts of it; None: ``decay_steps`` counts.

    Raises:
        UserError: what follows its last colon is what to set.
    """
    if phase_ratio is None:
        if decay_steps < 1:
            raise UserError(
                f"lr_scheduler.decay_steps={decay_steps:g} leaves the decay of the learning rate "
                "no update: set lr_scheduler.decay_steps=1 or more."
            )
        return
    if sum(phase_ratio) != 1:  # as fairseq asserts it
        raise UserError(
            f"lr_scheduler.phase_ratio={list(phase_ratio)} adds up to {sum(phase_ratio)!r}, and "
            "fairseq asks for exactly 1 in floating point: change one of its parts."
        )
    share = phase_ratio[2]
    if int(max_update * share) > 0:  # as fairseq cuts it
        return
    if share <= 0 or max_update <= 0:
        raise UserError(
            f"lr_scheduler.phase_ratio={list(phase_ratio)} of optimization.max_update="
            f"{max_update:g} leaves the decay of the learning rate no update: set both so that its "
            "last part has one."
        )
    enough = math.ceil(1 / share)
    raise UserError(
        f"optimization.max_update={max_update:g} leaves the decay of the learning rate, "
        f"{share:g} of it by lr_scheduler.phase_ratio, no update: set optimization.max_update="
        f"{enough if int(enough * share) > 0 else enough + 1} or more."
    )
