"""fairseq's epoch iterator that keeps the planner's order and carries the group DRO state.

The iterator's ``state_dict`` is the one place in a checkpoint that every worker gets back on
resume while the model file stays a stock ``wav2vec_ctc`` checkpoint (``trainer.py:611``; a
criterion's buffers are never saved, ``trainer.py:396``, and ``task.state`` is not restored).
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from fairseq.data.iterators import EpochBatchIterator

from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.errors import UserError

logger = logging.getLogger(__name__)


class GroupedEpochBatchIterator(EpochBatchIterator):
    """Batches of one epoch in the planner's global order; worker w of W takes w, w + W, ...

    Args:
        batches: the plan of this epoch, equal on all workers.
        multiple_of: workers x micro-batches that the plan was made for.
        group_state: what to save and restore beside the position; None with a criterion that
            keeps no such state.
        units: symbols of the target dictionary: output unit i of the model means ``units[i]``.
    """

    def __init__(
        self,
        dataset: GroupedAudioDataset,
        batches: Sequence[np.ndarray],
        *,
        multiple_of: int,
        group_state: GroupDroState | None,
        units: Sequence[str],
        **options: Any,
    ) -> None:
        super().__init__(
            dataset=dataset,
            collate_fn=dataset.collater,
            batch_sampler=(),
            disable_shuffling=True,  # iterators.py:545 would undo the planner's rounds
            reuse_dataloader=True,  # else each epoch leaves its loader processes behind
            **options,
        )
        self.group_state = group_state
        self.units_checksum = zlib.crc32("\n".join(units).encode())
        self.replan(batches, multiple_of)

    def replan(self, batches: Sequence[np.ndarray], multiple_of: int) -> None:
        """Take the plan of the next epoch; the loader and its processes stay."""
        self._frozen_batches = tuple(batch.tolist() for batch in batches)
        self.multiple_of = multiple_of

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        state["plan"] = {"workers": self.num_shards, **self._plan_identity()}
        state["units_checksum"] = self.units_checksum
        if self.group_state is not None:
            state["group_dro"] = self.group_state.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the saved batch, with the saved q.

        Raises:
            UserError: the rest of the epoch cannot be the same, or the languages changed.
        """
        state = dict(state_dict)
        if state.get("units_checksum", self.units_checksum) != self.units_checksum:
            raise UserError(
                "The dictionary of the data folder holds other units, or the same in another "
                "order, than the checkpoint was trained with, so its outputs would change their "
                "meaning: put the dictionary back that it was trained with."
            )
        if state.get("iterations_in_epoch", 0) > 0:
            state["iterations_in_epoch"] = self._same_position(state)
        super().load_state_dict(state)
        if self.group_state is None:
            return
        if "group_dro" in state:
            self.group_state.load_state_dict(state["group_dro"])
        else:
            logger.warning(
                "The checkpoint holds no group DRO state: q starts afresh, uniform over %d "
                "languages.",
                len(self.group_state.groups),
            )

    def _same_position(self, state: dict[str, Any]) -> int:
        """Batches of this worker that are done, when perhaps other workers did them."""
        plan = state.get("plan")
        if plan is None:
            raise UserError(
                "The checkpoint lies inside an epoch that another task planned: to go on with its "
                f"weights {_START_AFRESH}."
            )
        now = self._plan_identity()
        changed = [
            f"{key} was {plan[key]} and is {new}"
            for key, new in now.items()
            if new != plan[key]
        ]
        if changed:
            raise UserError(
                f"The checkpoint lies inside an epoch whose batches were planned otherwise "
                f"({'; '.join(changed)}): use the same data, seed, workers x update_freq and batch "
                f"options, or, to go on with its weights, {_START_AFRESH}."
            )
        done = state["iterations_in_epoch"] * plan["workers"]
        return done // self.num_shards

    def _plan_identity(self) -> dict[str, int]:
        """What must be the same for the rest of an epoch to be the same."""
        manifest, rows = self.dataset.manifest, self.dataset.rows
        checksum = 0
        for batch in self.frozen_batches:
            lines = [f"{manifest.paths[rows[i]]} {manifest.n_samples[rows[i]]}" for i in batch]
            checksum = zlib.crc32("\n".join(lines).encode(), checksum)
        return {
            "workers_x_micro_batches": self.multiple_of,
            "n_batches": len(self.frozen_batches),
            "checksum_of_batches": checksum,
        }


_START_AFRESH = (
    "start once with checkpoint.reset_dataloader=true, which begins at epoch 1 with uniform q, "
    "and leave the option out again after the first save"
)
