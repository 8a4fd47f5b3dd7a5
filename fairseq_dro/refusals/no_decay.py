"""A run too short for its learning rate to decay is said in words.

``tri_stage`` divides by the number of updates of its last phase
(fairseq/optim/lr_scheduler/tri_stage_lr_scheduler.py:122), which is 0 for a smoke test of a few
updates: ``ZeroDivisionError: float division by zero``.
"""

from __future__ import annotations

import functools
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.checks.learning_rate import require_decay


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
