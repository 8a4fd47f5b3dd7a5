"""fairseq's epoch iterator that keeps the planner's order and carries the group DRO state.

The iterator's ``state_dict`` is the one place in a checkpoint that every worker gets back on
resume while the model file stays a stock ``wav2vec_ctc`` checkpoint (``trainer.py:611``; a
criterion's buffers are never saved, ``trainer.py:396``, and ``task.state`` is not restored).

What a resume finds changed
    - nothing: it resumes at the next batch, exactly;
    - the dictionary, the objective, what a group is: refused, always;
    - languages, their order, the manifest, the number of workers, or, inside an epoch, how its
      batches are planned: refused with the values then and now, unless
      ``task.accept_changed_data=true``. Then weights, optimizer and q stay; q is mapped by name; an
      epoch that was begun resumes at the same batch if its batches are still the same and the next
      update can begin there, and is begun again otherwise. Each is said in a warning.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from fairseq.data.iterators import EpochBatchIterator

from fairseq_dro.batching.planner import BatchPlanner
from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.errors import UserError
from fairseq_dro.training.fingerprint import Fingerprint
from fairseq_dro.training.training_plan import TrainingPlan

logger = logging.getLogger(__name__)


class GroupedEpochBatchIterator(EpochBatchIterator):
    """Batches of one epoch in the planner's global order; worker w of W takes w, w + W, ...

    Args:
        batches: the plan of this epoch, equal on all workers.
        multiple_of: workers x micro-batches that the plan was made for.
        group_state: what to save and restore beside the position; None with a criterion that
            keeps no such state.
        units: symbols of the target dictionary: output unit i of the model means ``units[i]``.
        planner: what planned them, so that a changed option can be named.
        plan_by: the plan of this epoch with groups drawn by [G] shares, where they are drawn by q:
            a checkpoint's rest of an epoch is planned again by the q it was planned with.
        accept_changed_data: resume although what the checkpoint was trained on has changed.
    """

    def __init__(
        self,
        dataset: GroupedAudioDataset,
        batches: Sequence[np.ndarray],
        *,
        multiple_of: int,
        group_state: GroupDroState | None,
        units: Sequence[str],
        planner: BatchPlanner | None = None,
        plan_by: Callable[[np.ndarray], TrainingPlan] | None = None,
        accept_changed_data: bool = False,
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
        self.planner = planner
        self.accept_changed_data = accept_changed_data
        self.replan(batches, multiple_of, plan_by)

    def replan(
        self,
        batches: Sequence[np.ndarray],
        multiple_of: int,
        plan_by: Callable[[np.ndarray], TrainingPlan] | None = None,
    ) -> None:
        """Take the plan of the next epoch; the loader and its processes stay."""
        self.plan_by = plan_by
        self._frozen_batches = tuple(batch.tolist() for batch in batches)
        self.multiple_of = multiple_of
        self._checksum_of_batches: int | None = None

    @property
    def has_given_all(self) -> bool:
        """Whether the update at work is the epoch's last: its batches have been taken by now.

        After a resume, before the next update, whether the one that was saved was the last.
        """
        if self._cur_epoch_itr is None:
            return self.iterations_in_epoch == 0
        return self.end_of_epoch()

    # --- saving ---

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        state["plan"] = self._plan_identity()
        state["batch_options"] = self._batch_options()
        state["data"] = self.fingerprint.state_dict()
        state["units_checksum"] = self.units_checksum
        if self.group_state is not None:
            state["group_dro"] = self.group_state.state_dict()
        return state

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Of all utterances of the split, whether a plan holds them or not.

        Not in it: the folder of the audio, which may move.
        """
        manifest, rows = self.dataset.manifest, self.dataset.rows
        if self.group_state is None:
            names = [manifest.languages[row] for row in rows]
        else:
            names = [self.group_state.groups[group] for group in self.dataset.groups]
        return Fingerprint.of(
            (name, f"{manifest.paths[row]}\t{manifest.n_samples[row]}\t{manifest.labels[row]}")
            for name, row in zip(names, rows)
        )

    def _plan_identity(self) -> dict[str, int]:
        """What must be the same for the rest of an epoch to be the same."""
        if self._checksum_of_batches is None:
            manifest, rows = self.dataset.manifest, self.dataset.rows
            checksum = 0
            for batch in self.frozen_batches:
                lines = [f"{manifest.paths[rows[i]]} {manifest.n_samples[rows[i]]}" for i in batch]
                checksum = zlib.crc32("\n".join(lines).encode(), checksum)
            self._checksum_of_batches = checksum
        return {
            "workers": self.num_shards,
            "workers_x_micro_batches": self.multiple_of,
            "n_batches": len(self.frozen_batches),
            "checksum_of_batches": self._checksum_of_batches,
        }

    def _batch_options(self) -> dict[str, Any]:
        if self.planner is None:
            return {}
        options = {option: getattr(self.planner, name) for name, option in _OPTION_OF.items()}
        return options | {"task.group_sampling": self.planner.sampling.value}

    # --- resuming ---

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the saved batch, with the saved q; see the head of this file.

        Raises:
            UserError: the dictionary or the objective changed, or something else and
                ``accept_changed_data`` is not set.
        """
        state = dict(state_dict)
        if state.get("units_checksum", self.units_checksum) != self.units_checksum:
            raise UserError(
                "The dictionary of the data folder holds other units, or the same in another "
                "order, than the checkpoint was trained with, so its outputs would change their "
                "meaning: put the dictionary back that it was trained with."
            )
        if self.group_state is not None:
            self.group_state.require_trained_alike(state.get("group_dro", {}))
            self._replan_as_saved(state)
        changes = self._changes_since(state)
        if changes and not self.accept_changed_data:
            raise UserError(self._refusal(changes))
        if changes:
            logger.warning(
                "task.accept_changed_data=true: the run resumes although %s", "; ".join(changes)
            )
            state["iterations_in_epoch"] = self._position_after_changes(state)
        if self.group_state is not None:
            self._load_group_state(state)
        super().load_state_dict(state)

    def _replan_as_saved(self, state: dict[str, Any]) -> None:
        """Where groups are drawn by q, the plan was made before the checkpoint's q was known.

        Inside an epoch its batches are those of the q it was planned with; the next epoch is
        planned by the q of its end, as is one that was begun without being drawn by q.
        """
        saved = state.get("group_dro", {})
        if self.plan_by is None or tuple(saved.get("groups", ())) != self.group_state.groups:
            return
        begun = state.get("iterations_in_epoch", 0) > 0
        share = (saved.get("planned_share") if begun else None) or saved["q"]
        planned = self.plan_by(np.array(share))
        self.replan(planned.batches, planned.multiple_of, self.plan_by)

    def _changes_since(self, state: dict[str, Any]) -> list[str]:
        """A clause for each change, with both values."""
        changes = []
        if "data" in state:
            of_data = self.fingerprint.changes_since(Fingerprint.from_state_dict(state["data"]))
            changes += of_data[:_NAMED]
            if len(of_data) > _NAMED:
                changes.append(f"{len(of_data) - _NAMED} more groups changed")
        then = state.get("group_dro", {}).get("groups")
        if then is not None and self.group_state is not None:
            changes += _changes_of_groups(then, self.group_state.groups, is_explained=bool(changes))
        plan, now = state.get("plan"), self._plan_identity()
        begun = state.get("iterations_in_epoch", 0) > 0
        if plan is None:
            if begun:
                changes.append("the checkpoint lies inside an epoch that another task planned")
            return changes
        if plan["workers"] != now["workers"]:
            changes.append(
                f"the number of workers was {plan['workers']} and is {now['workers']}"
            )
        if begun:
            changes += _changed_values(plan, now, ["workers_x_micro_batches"])
            other_batches = _changed_values(plan, now, ["n_batches", "checksum_of_batches"])
            if other_batches:  # an option that changes none, as a bound may, is not worth a word
                options = state.get("batch_options", {})
                changes += _changed_values(options, self._batch_options(), list(options))
                changes = changes or other_batches
        return changes

    def _refusal(self, changes: list[str]) -> str:
        manifest = self.dataset.manifest
        return (
            f"The checkpoint was trained otherwise than this command and "
            f"{manifest.folder / manifest.split}.tsv say now ({'; '.join(changes)}): put back what "
            "changed (data, workers x update_freq, seed, batch options), or start once with "
            "task.accept_changed_data=true, which keeps weights, optimizer and q, gives a new "
            "group the mean weight, drops one that is gone, and begins an epoch again whose "
            "batches changed."
        )

    def _position_after_changes(self, state: dict[str, Any]) -> int:
        """Batches of this worker that are done; 0 begins the epoch again."""
        done = state.get("iterations_in_epoch", 0)
        if done == 0:
            return 0
        plan, now = state.get("plan"), self._plan_identity()
        same = ("n_batches", "checksum_of_batches")
        if plan is not None and all(plan[key] == now[key] for key in same):
            done_by_all = done * plan["workers"]
            if done_by_all % self.multiple_of == 0:
                logger.warning(
                    "epoch %d resumes after its first %d of %d batches, which are the same",
                    state["epoch"], done_by_all, now["n_batches"],
                )
                return done_by_all // self.num_shards
        logger.warning(
            "epoch %d was begun with other batches: it is begun again, with the weights, the "
            "optimizer and q of the checkpoint",
            state["epoch"],
        )
        return 0

    def _load_group_state(self, state: dict[str, Any]) -> None:
        if "group_dro" not in state:
            logger.warning(
                "The checkpoint holds no group DRO state: q starts again, uniform over %d groups.",
                len(self.group_state.groups),
            )
            return
        saved = state["group_dro"]
        if not self.accept_changed_data:
            self.group_state.load_state_dict(saved)
            return
        self.group_state.adopt(saved)
        if self.plan_by is not None and tuple(saved["groups"]) != self.group_state.groups:
            planned = self.plan_by(self.group_state.q)
            self.replan(planned.batches, planned.multiple_of, self.plan_by)
        q = dict(zip(self.group_state.groups, self.group_state.q))
        for name in [name for name in q if name not in saved["groups"]]:
            logger.warning("%s is new: it starts at the mean weight, q = %.4g", name, q[name])
        for name, weight in zip(saved["groups"], saved["q"]):
            if name not in q:
                logger.warning("%s is gone, and its weight, q = %.4g, with it", name, weight)


_NAMED = 12
"""So many changed groups are named in a message."""

_OPTION_OF = {
    "batch_samples": "task.batch_seconds (in samples)",
    "max_padded_samples": "dataset.max_tokens",
    "max_utterances": "dataset.batch_size",
    "temperature": "task.sampling_temperature",
    "length_noise": "task.length_noise",
    "epoch_updates": "task.epoch_updates",
    "seed": "common.seed",
}
"""Field of ``BatchPlanner`` -> what the user sets; ``sampling`` is an enumeration, see there."""


def _changed_values(then: dict[str, Any], now: dict[str, Any], keys: Sequence[str]) -> list[str]:
    return [
        f"{key} was {then[key]} and is {now[key]}" for key in keys
        if key in now and then[key] != now[key]
    ]


def _changes_of_groups(then: Sequence[str], now: Sequence[str], is_explained: bool) -> list[str]:
    """Differences of the group lists that a fingerprint of the data does not show."""
    common_then = [name for name in then if name in now]
    common_now = [name for name in now if name in then]
    if common_then != common_now:
        return [f"the order of the groups was {', '.join(then)} and is {', '.join(now)}"]
    if list(then) != list(now) and not is_explained:
        return [f"the groups were {', '.join(then)} and are {', '.join(now)}"]
    return []
