"""Where q moves: the sums that fairseq logs after an update are the sums that q needs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import metrics

from fairseq_dro.criterions.group_sums import column, total_group_sums
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.report.history import GROUP_WEIGHTS_FILE, append_record
from fairseq_dro.tasks.validation_log import ValidationLog

logger = logging.getLogger(__name__)

# Shapes: G groups, K columns of group_sums.COLUMNS.


class GroupLog:
    """Takes in [G, K] sums: in training q moves by them, in validation they are reported.

    Args:
        state: moved at most once per call of ``reduce`` in training.
        folder: of ``group_weights.jsonl`` and ``history.jsonl``; the rank 0 process writes them.
        group_by: task option of that name, for the history.
        sample_rate: of the audio, in Hz.
        start_update: the state sees no loss of the updates up to this one.
        full_batch_samples: audio samples that count as one batch in a group's loss; None: each
            batch counts as one, whatever it holds.

    Attributes:
        update: number of the update at work, from 1; kept up to date by the task, as is ``epoch``.
        validation: what is reported of the validation split at work.
    """

    def __init__(
        self,
        state: GroupDroState,
        *,
        objective: str,
        folder: str,
        tensorboard_logdir: str | None,
        group_by: str = "language",
        sample_rate: int = 16_000,
        start_update: int = 0,
        full_batch_samples: float | None = None,
    ) -> None:
        self.state = state
        self.objective = objective
        self.folder = Path(folder)
        self.sample_rate = sample_rate
        self.start_update = start_update
        self.full_batch_samples = full_batch_samples
        self.update = 0
        self.epoch = 0
        self.validation = ValidationLog(
            state, folder=self.folder, tensorboard_logdir=tensorboard_logdir,
            run={"objective": objective, "group_by": group_by},
        )
        self._named_not_finite = False

    def reduce(self, logging_outputs: list[dict[str, Any]], *, training: bool) -> None:
        """Take in the logging outputs of an update or of a validation batch."""
        sums = total_group_sums(logging_outputs)
        if sums is None:
            return
        if training:
            self._observe(sums)
        else:
            self.validation.add(sums)

    def _observe(self, sums: np.ndarray) -> None:
        self._warn_of_losses_left_out(sums)
        state = self.state
        state.audio_seconds = state.audio_seconds + column(sums, "audio_samples") / self.sample_rate
        moved = False
        if self.update > self.start_update:
            moved = state.observe(column(sums, "loss_nats"), self._counts(sums))
        metrics.log_scalar("q_max", float(state.q.max()), weight=0, priority=210, round=4)
        metrics.log_scalar("q_groups", state.effective_groups, weight=0, priority=211, round=1)
        is_rank_zero = distributed_utils.get_global_rank() == 0
        if moved and self.objective != "erm" and is_rank_zero:
            append_record(
                self.folder / GROUP_WEIGHTS_FILE,
                {
                    "update": self.update,
                    "q": dict(zip(state.groups, state.q.tolist())),
                    "group_loss_nats": dict(zip(state.groups, state.last_loss.tolist())),
                },
            )

    def _counts(self, sums: np.ndarray) -> np.ndarray:
        """[G] by what the sum of losses is divided to give a group's loss."""
        if not self.state.rule.sums_batches:
            return column(sums, "n_utterances")
        if self.full_batch_samples is None:
            return column(sums, "n_batches")
        return column(sums, "audio_samples") / self.full_batch_samples

    def _warn_of_losses_left_out(self, sums: np.ndarray) -> None:
        left_out = column(sums, "n_not_finite")
        if left_out.any() and not self._named_not_finite:
            self._named_not_finite = True
            names = [self.state.groups[g] for g in np.flatnonzero(left_out)]
            logger.warning(
                "%d utterances of this update (groups: %s) had a loss that is not finite or was "
                "zeroed by zero_infinity; such losses never reach q (this is said once)",
                int(left_out.sum()), ", ".join(names),
            )
