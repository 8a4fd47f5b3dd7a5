"""A finished run that is started again trains no further.

fairseq asks whether ``optimization.max_update`` is reached only after an update
(fairseq_cli/train.py:374, in ``validate_and_save``), so the command of a finished run, typed
again, makes update ``max_update + 1`` and saves it over the result.
"""

from __future__ import annotations

import functools
import logging
import math
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.survival import training_command

logger = logging.getLogger(__name__)


def apply() -> None:
    """Wrap ``fairseq_cli.train.train``."""
    training_command.wrap("train", _stopping_when_finished, mark="stops_when_finished")


def _stopping_when_finished(train: Any) -> Any:
    @functools.wraps(train)
    def train_or_stop(cfg: Any, trainer: Any, task: Any, epoch_itr: Any) -> Any:
        max_update = cfg.optimization.max_update or math.inf
        if own_runs.has_own_part(trainer) and trainer.get_num_updates() >= max_update:
            logger.info(
                "nothing to do: the checkpoint holds %d updates and optimization.max_update is %d",
                trainer.get_num_updates(), max_update,
            )
            return [None], True
        return train(cfg, trainer, task, epoch_itr)

    return train_or_stop
