"""Whether a learning rate is one, and whether the phases of its schedule have updates."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairseq_dro.errors import UserError

ONE_RATE = frozenset(
    ["cosine", "inverse_sqrt", "reduce_lr_on_plateau", "tri_stage", "triangular"]
)
"""Schedules for which fairseq takes one learning rate; the others take one for each epoch."""


def require_rates(scheduler: str, rates: Sequence[float]) -> None:
    """Refuse several learning rates that are most often one, typed with a comma: ``[0,001]``.

    fairseq would train an epoch at a rate of 0, and then at a rate of 1.

    Args:
        scheduler: ``lr_scheduler._name``.
        rates: ``optimization.lr``.

    Raises:
        UserError: what follows its last colon is what to set.
    """
    if len(rates) < 2 or (scheduler not in ONE_RATE and min(rates) > 0):
        return
    why = f"{scheduler} takes one" if scheduler in ONE_RATE else "nothing is learnt at 0"
    raise UserError(
        f"optimization.lr=[{','.join(f'{rate:g}' for rate in rates)}] are {len(rates)} learning "
        f"rates, and {why}: set one, with a decimal point, such as 'optimization.lr=[0.001]'."
    )


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
