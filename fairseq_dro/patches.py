"""Every patch of fairseq and hydra that is made once fairseq is imported, in order.

Each wraps what the ones before it have wrapped: of those around ``load_checkpoint``, preemption is
the outermost, since training begins when it returns. ``compat/`` has what exists because fairseq
0.12.2 and hydra 1.0.7 are old, ``survival/`` what keeps a run whole, ``refusals/`` what says in a
sentence what fairseq would stumble over, ``convert/`` what reads models of other libraries.
"""

from __future__ import annotations

import os

from fairseq_dro import compat, own_runs

AFTER_FAIRSEQ: tuple[str, ...] = (
    "compat.config_copies",
    "compat.safe_globals",
    "compat.trusted_broadcast",
    "refusals.mistaken_options",
    "convert.pretrained_folders",
    "refusals.unreadable_files",
    "compat.foreign_task_keys",
    "refusals.wrong_pretrained_files",
    "training.finetuned_units",
    "training.changed_options",
    "refusals.another_encoder",
    "refusals.unmatched_weights",
    "compat.relative_paths",
    "compat.plus_signs",
    "refusals.missing_inputs",
    "compat.sweep_leftovers",
    "compat.cpu_backend",
    "compat.primitive_cache",
    "compat.ema_copies",
    "survival.finished_run",
    "survival.failed_update",
    "refusals.no_decay",
    "refusals.half_precision",
    "survival.crash_checkpoint",
    "survival.atomic_saving",
    "survival.damaged_checkpoints",
    "refusals.missing_restore_file",
    "refusals.on_every_rank",
    "survival.preemption",
)
"""Modules; ``FAIRSEQ_DRO_COMPAT`` names them without their folder."""


def apply() -> None:
    """Make every patch that is needed and not switched off; a second call does nothing."""
    if os.environ.get("FAIRSEQ_DRO_COMPAT") == "startup":
        return
    own_runs.apply()
    for module in AFTER_FAIRSEQ:
        compat.apply_once(f"fairseq_dro.{module}")
