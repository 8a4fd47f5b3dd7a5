"""A checkpoint that was asked for by name is there, and does not undo what was trained since.

``Trainer.load_checkpoint`` says "No existing checkpoint found" and trains from update 0 when
``checkpoint.restore_file`` or ``checkpoint.continue_once`` name no file (fairseq/trainer.py:469,
:671). A missing ``checkpoint.finetune_from_model`` ends in a traceback (checkpoint_utils.py:231).
"""

from __future__ import annotations

import functools
import math
import os
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError
from fairseq_dro.refusals.unreadable_files import places_of
from fairseq_dro.survival.checkpoint_files import updates_of
from fairseq_dro.survival.rank_zero import on_rank_zero


def apply() -> None:
    """Wrap ``checkpoint_utils.load_checkpoint``."""
    from fairseq import checkpoint_utils

    original = checkpoint_utils.load_checkpoint

    @functools.wraps(original)
    def load_checkpoint(cfg: Any, trainer: Any, **kwargs: Any) -> Any:
        if own_runs.has_own_part(trainer):
            on_rank_zero(trainer, lambda: require_named_files(cfg, trainer.checkpoint_suffix))
        return original(cfg, trainer, **kwargs)

    checkpoint_utils.load_checkpoint = load_checkpoint


def require_named_files(cfg: Any, suffix: str = "") -> None:
    """Check the options of the checkpoint section that name a file to start from.

    ``finetune_from_model`` and ``continue_once`` count for a run without checkpoints only.

    Raises:
        UserError: one names no file, or ``restore_file`` one that the run has left behind: fairseq
            takes it again at each start, and would write over what was trained since.
    """
    from fairseq.file_io import PathManager

    named: dict[str, str | None] = {}
    last = os.path.join(cfg.save_dir, f"checkpoint_last{suffix}.pt")
    if cfg.restore_file != "checkpoint_last.pt":
        named["restore_file"] = cfg.restore_file.replace(".pt", f"{suffix}.pt")
    elif not PathManager.exists(last):
        named["continue_once"] = getattr(cfg, "continue_once", None)
        named["finetune_from_model"] = cfg.finetune_from_model
    for option, path in named.items():
        if path and not PathManager.isfile(path):
            meant = os.path.join(cfg.save_dir, os.path.basename(path))
            advice = "name an existing file, or leave the option out."
            raise UserError(
                f"checkpoint.{option}={path}: there is no file at {' or '.join(places_of(path))}; "
                f"{f'did you mean {meant}?' if os.path.isfile(meant) else advice}"
            )
    start = named.get("restore_file")
    if start and os.path.isfile(start) and os.path.isfile(last):
        before, done = updates_of(start), updates_of(last)
        if before < done < math.inf:
            raise UserError(
                f"checkpoint.restore_file={start} would go back to update {before}, and write over "
                f"{last}, which holds {done}: leave the option out to resume from there; to go "
                "back all the same, move that file away or choose another hydra.run.dir."
            )
