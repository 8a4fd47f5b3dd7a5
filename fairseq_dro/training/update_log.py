"""What is done with the sums of each update: q moves, and is logged."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import metrics

from fairseq_dro.dro.engine import GroupDroEngine
from fairseq_dro.dro.sums import column, total_group_sums
from fairseq_dro.runs.history import GROUP_WEIGHTS_FILE, append_record
from fairseq_dro.training.validation_log import ValidationLog

logger = logging.getLogger(__name__)

# Shapes: G groups, K columns of dro.sums.


class UpdateLog:
    """Hands the [G, K] sums of an update to the engine, and writes down what they did.

    Args:
        engine: moved at most once per call of ``observe``.
        folder: of ``group_weights.jsonl`` and ``history.jsonl``; the rank 0 process writes them.

    Attributes:
        update: number of the update at work, from 1; kept up to date by the task, as is ``epoch``.
        validation: what is reported of the validation split at work.
    """

    def __init__(
        self, engine: GroupDroEngine, *, folder: str, tensorboard_logdir: str | None
    ) -> None:
        self.engine = engine
        self.folder = Path(folder)
        self.update = 0
        self.epoch = 0
        self.validation = ValidationLog(
            engine, folder=self.folder, tensorboard_logdir=tensorboard_logdir
        )
        self._named_not_finite = False

    def observe(self, logging_outputs: list[dict[str, Any]], *, ends_epoch: bool = False) -> None:
        """Take in the logging outputs of one successful update, over all workers.

        Args:
            logging_outputs: as ``dro.sums.on_host`` gives them.
            ends_epoch: it was the epoch's last.
        """
        sums = total_group_sums(logging_outputs)
        if sums is None:
            return
        self._warn_of_losses_left_out(sums)
        state = self.engine.state
        moved = self.engine.observe(sums, self.update, ends_epoch=ends_epoch)
        metrics.log_scalar("q_max", float(state.q.max()), weight=0, priority=210, round=4)
        metrics.log_scalar("q_groups", state.effective_groups, weight=0, priority=211, round=1)
        is_rank_zero = distributed_utils.get_global_rank() == 0
        if moved and state.rule.moves and is_rank_zero:
            append_record(
                self.folder / GROUP_WEIGHTS_FILE,
                {
                    "update": self.update,
                    "q": dict(zip(state.groups, state.q.tolist())),
                    "group_loss_nats": dict(zip(state.groups, state.last_loss.tolist())),
                },
            )

    def _warn_of_losses_left_out(self, sums: np.ndarray) -> None:
        left_out = column(sums, "n_not_finite")
        if left_out.any() and not self._named_not_finite:
            self._named_not_finite = True
            names = [self.engine.state.groups[g] for g in np.flatnonzero(left_out)]
            logger.warning(
                "%d utterances of this update (groups: %s) had a loss that is not finite or was "
                "zeroed by zero_infinity; such losses never reach q (this is said once)",
                int(left_out.sum()), ", ".join(names),
            )
