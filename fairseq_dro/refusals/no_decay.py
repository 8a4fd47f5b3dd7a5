"""A learning rate that cannot be, or a run too short for it to decay, is said in words.

``tri_stage`` divides by the number of updates of its last phase
(fairseq/optim/lr_scheduler/tri_stage_lr_scheduler.py:122), which is 0 for a smoke test of a few
updates: ``ZeroDivisionError: float division by zero``. ``[0,001]`` are two learning rates: for most
schedules a ``ValueError``, for the others an epoch in which nothing is learnt.
"""

from __future__ import annotations

import functools
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.checks.learning_rate import require_decay, require_rates


def apply() -> None:
    """Wrap ``lr_scheduler.build_lr_scheduler``."""
    from fairseq.optim import lr_scheduler

    original = lr_scheduler.build_lr_scheduler

    @functools.wraps(original)
    def build(cfg: Any, optimizer: Any) -> Any:
        if own_runs.current():
            name = str(getattr(cfg, "_name", ""))
            require_rates(name, list(getattr(cfg, "lr", None) or []))  # some schedules have none
            if name == "tri_stage":
                require_decay(cfg.max_update, cfg.phase_ratio, cfg.decay_steps)
        return original(cfg, optimizer)

    lr_scheduler.build_lr_scheduler = build
