"""``crash.pt`` is not taken for a checkpoint to resume from.

When an update fails, fairseq writes ``crash.pt`` without the position in the epoch
(fairseq/trainer.py:861 and :968 pass an empty ``extra_state``), so without q, and in the middle
of an update. Reading it back, fairseq makes up a position, the start of the first epoch
(checkpoint_utils.py:618), and trains on. It is for looking into; its weights can be the start of
another run.
"""

from __future__ import annotations

import functools
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError


def apply() -> None:
    """Wrap ``Trainer.load_checkpoint``; every rank has the state by the time it is judged."""
    from fairseq.trainer import Trainer

    original = Trainer.load_checkpoint

    @functools.wraps(original)
    def load_checkpoint(self: Any, filename: str, *args: Any, **kwargs: Any) -> Any:
        extra_state = original(self, filename, *args, **kwargs)
        cfg = self.cfg.checkpoint
        resumes = not cfg.reset_dataloader and filename != cfg.finetune_from_model
        lacks_position = extra_state is not None and not _has_position(extra_state)
        if resumes and lacks_position and own_runs.has_own_part(self):
            raise UserError(
                f"{filename} holds no position in the data and no group weights q, as crash.pt, "
                f"which fairseq writes when an update fails: to resume, leave out "
                f"checkpoint.restore_file, so that {cfg.save_dir}/checkpoint_last.pt is taken; to "
                f"start a run from its weights, use checkpoint.finetune_from_model={filename} "
                "and another hydra.run.dir."
            )
        return extra_state

    Trainer.load_checkpoint = load_checkpoint


def _has_position(extra_state: dict[str, Any]) -> bool:
    """Whether an epoch iterator wrote the position; what fairseq makes up has no version."""
    return "version" in (extra_state.get("train_iterator") or {})
