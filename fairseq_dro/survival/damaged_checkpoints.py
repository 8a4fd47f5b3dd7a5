"""A run resumes from its newest good checkpoint, whatever happened to the others.

fairseq looks at ``checkpoint_last.pt`` alone (checkpoint_utils.py:211-219): if a kill came between
``checkpoint_1_500.pt`` and its copy, the newer file is not used; if ``checkpoint_last.pt`` is
missing the run starts over; if it is damaged the run ends, or continues with a flipped bit, since
``torch.load`` checks no checksum.

Here rank 0 first looks into the folder, while the others wait:

- temporary files of a killed save are removed;
- ``checkpoint_last.pt`` is read through its checksums; a damaged one is set aside as
  ``checkpoint_last.pt.corrupt``, and the newest good one of the others takes its place;
- a checkpoint that was written after ``checkpoint_last.pt`` and holds more updates is what a kill
  during saving left: the run resumes from it, and that saving is done again, so that best and last
  are what they would have been.

A file that somebody copies over ``checkpoint_last.pt`` is newer than the others, so it is taken.
Model-parallel and sharded files (with a ``checkpoint_suffix``) are left to fairseq.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError
from fairseq_dro.survival import checkpoint_files
from fairseq_dro.survival.checkpoint_files import LAST
from fairseq_dro.survival.rank_zero import on_rank_zero
from fairseq_dro.survival.saved_position import SavedPosition

logger = logging.getLogger(__name__)


def apply() -> None:
    """Wrap ``checkpoint_utils.load_checkpoint``, the first to look at the files of a run."""
    from fairseq import checkpoint_utils

    original = checkpoint_utils.load_checkpoint

    @functools.wraps(original)
    def load_checkpoint(cfg: Any, trainer: Any, **kwargs: Any) -> Any:
        if not own_runs.has_own_part(trainer) or trainer.checkpoint_suffix:
            return original(cfg, trainer, **kwargs)
        if cfg.restore_file != LAST:
            on_rank_zero(trainer, lambda: _require_whole(cfg.restore_file))
            return original(cfg, trainer, **kwargs)
        starts = (cfg.finetune_from_model, getattr(cfg, "continue_once", None))
        newest = on_rank_zero(trainer, lambda: newest_good(cfg.save_dir, but=starts))
        if newest in (None, LAST):
            return original(cfg, trainer, **kwargs)
        with _restoring(cfg, os.path.join(cfg.save_dir, newest)):
            extra_state, epoch_itr = original(cfg, trainer, **kwargs)
        if not (cfg.reset_dataloader or cfg.reset_optimizer or cfg.no_last_checkpoints):
            checkpoint_utils.save_checkpoint(
                cfg, trainer, SavedPosition(extra_state["train_iterator"]),
                extra_state.get("val_loss"),
            )
        return extra_state, epoch_itr

    checkpoint_utils.load_checkpoint = load_checkpoint


def newest_good(folder: str, but: Iterable[str | None] = ()) -> str | None:
    """Name of the newest whole checkpoint in `folder`; None in a folder that never had one.

    Damaged ones that it meets on the way are set aside.

    Args:
        but: paths that are no part of this run, though perhaps in its folder: what it starts from.

    Raises:
        UserError: there were checkpoints, but all are damaged.
    """
    if not os.path.isdir(folder):
        return None
    leftovers = checkpoint_files.remove_leftovers(folder)
    if leftovers:
        logger.info("removed what a killed save left: %s", ", ".join(leftovers))
    last = os.path.join(folder, LAST)
    starts = {os.path.realpath(path) for path in but if path}
    others = [
        path
        for path in checkpoint_files.other_checkpoints(folder)
        if os.path.realpath(path) not in starts
    ]
    last_is_good = os.path.isfile(last) and _is_whole(last)
    if last_is_good:
        written = os.stat(last).st_mtime_ns
        others = [path for path in others if os.stat(path).st_mtime_ns > written]
    updates = {path: checkpoint_files.updates_of(path) for path in others}
    n_in_last = (checkpoint_files.updates_of(last) or 0) if last_is_good and others else -1
    for path in sorted(others, key=updates.get, reverse=True):
        if updates[path] <= n_in_last:
            break
        if _is_whole(path) and updates[path] < math.inf:
            logger.warning(
                "resuming from %s (update %d), the newest good checkpoint in %s",
                os.path.basename(path), updates[path], os.path.abspath(folder),
            )
            return os.path.basename(path)
    if last_is_good:
        return LAST
    corrupt = [name for name in sorted(os.listdir(folder)) if name.endswith(".pt.corrupt")]
    if corrupt:
        raise UserError(
            f"no good checkpoint is left in {os.path.abspath(folder)}, where damaged ones were set "
            f"aside ({', '.join(corrupt)}): put a good copy back as {LAST}, or remove them and "
            "run the same command again to start from update 0."
        )
    return None


def _is_whole(path: str) -> bool:
    """Whether the bytes are those that were written; if not, the file is set aside and named."""
    damage = checkpoint_files.damage_of(path)
    if damage is not None:
        aside = checkpoint_files.set_aside(path)
        logger.warning(
            "%s is damaged (%s): it was set aside as %s", path, damage, os.path.basename(aside)
        )
    return damage is None


def _require_whole(path: str) -> None:
    if not os.path.isfile(path):
        return  # a remote one, or missing_restore_file.py has said so
    damage = checkpoint_files.damage_of(path)
    if damage is not None:
        raise UserError(
            f"checkpoint.restore_file={path} is damaged ({damage}): copy it again, or name another "
            "checkpoint."
        )


@contextlib.contextmanager
def _restoring(cfg: Any, path: str) -> Iterator[None]:
    """The checkpoint section, with `path` as the file to resume from, and only for a while."""
    before = cfg.restore_file, cfg.finetune_from_model
    cfg.restore_file, cfg.finetune_from_model = path, None
    try:
        yield
    finally:
        cfg.restore_file, cfg.finetune_from_model = before
