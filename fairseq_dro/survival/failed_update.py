"""After an update that failed nothing is validated and saved a second time.

fairseq asks after every step whether it is time to validate and to save (fairseq_cli/train.py:330),
by the number of updates. After an overflow in float16, or a batch that did not fit into memory,
that is still the number of the update before. If its validation was due, all of it is done again:
the history has two lines, and ``checkpoint.patience`` counts a validation that could not be better.
At the end of an epoch it may still be so, for what belongs to the epoch has to be done.
"""

from __future__ import annotations

import functools
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.survival import training_command


def apply() -> None:
    """Wrap ``fairseq_cli.train.validate_and_save``."""
    training_command.wrap("validate_and_save", _asking_once_an_update, mark="asks_once_an_update")


def _asking_once_an_update(validate_and_save: Any) -> Any:
    @functools.wraps(validate_and_save)
    def validate_and_save_after_updates(
        cfg: Any, trainer: Any, task: Any, epoch_itr: Any, subsets: Any, end_of_epoch: bool
    ) -> Any:
        if own_runs.has_own_part(trainer):
            update, before = trainer.get_num_updates(), getattr(trainer, "asked_after_update", None)
            trainer.asked_after_update = update
            if update == before and not end_of_epoch:
                return [None], False
        return validate_and_save(cfg, trainer, task, epoch_itr, subsets, end_of_epoch)

    return validate_and_save_after_updates
