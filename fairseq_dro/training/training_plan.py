"""The planner's batches of a loaded training split, and what has to be said about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_dro.batching.planner import BatchPlanner, GroupSampling, Plan
from fairseq_dro.checks.batch_fill import uneven
from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.errors import UserError
from fairseq_dro.wording import counted

# Shapes: N items of the data set, B batches.


@dataclass(frozen=True)
class TrainingPlan:
    """One epoch.

    Attributes:
        plan: batches of items of the data set.
        multiple_of: what their number is a multiple of.
        trainable: items that this epoch or another draws.
    """

    dataset: GroupedAudioDataset
    planner: BatchPlanner
    plan: Plan
    multiple_of: int
    trainable: np.ndarray

    @classmethod
    def of_epoch(
        cls,
        dataset: GroupedAudioDataset,
        planner: BatchPlanner,
        infeasible: np.ndarray,
        *,
        epoch: int,
        workers: int,
        micro_batches: Sequence[int],
        share: np.ndarray | None = None,
    ) -> TrainingPlan:
        """Plan all items but the ``infeasible`` ones (``BatchPlanner.plan_of_updates``).

        Args:
            micro_batches: of an update, in each epoch up to this one.
            share: [G] of the epoch's batches, where groups are drawn by q.

        Raises:
            UserError: there are fewer utterances than workers, or fewer batches than groups in an
                epoch of ``epoch_updates``.
        """
        n_groups, n_batches = len(np.unique(dataset.groups)), workers * micro_batches[-1]
        n_batches *= planner.epoch_updates
        if 0 < n_batches < n_groups and planner.sampling is not GroupSampling.UNIFORM:
            raise UserError(
                f"task.epoch_updates={planner.epoch_updates} makes an epoch of {n_batches} batches "
                f"for {n_groups} groups, of which each has one at least: type "
                f"task.epoch_updates={-(-n_groups * planner.epoch_updates // n_batches)} or more."
            )
        kept = _feasible_items(dataset, infeasible)
        n_samples, groups = np.asarray(dataset.sizes)[kept], dataset.groups[kept]
        plan, multiple_of = planner.plan_of_updates(
            n_samples, groups, epoch=epoch, workers=workers, micro_batches=micro_batches,
            share=share,
        )
        if not multiple_of:
            manifest = dataset.manifest
            raise UserError(
                f"{manifest.folder}/{manifest.split}.tsv has {len(kept) - len(plan.left_out)} "
                f"utterances to train on, too few for {workers} workers: start fewer workers."
            )
        items = Plan([kept[batch] for batch in plan.batches], kept[plan.left_out])
        return cls(dataset, planner, items, multiple_of, np.delete(kept, plan.left_out))

    @property
    def batches(self) -> list[np.ndarray]:
        """B arrays of item indices, in the order in which workers take turns."""
        return self.plan.batches

    def require_every_group(self, groups: Sequence[str]) -> None:
        """q would wait forever for a group of which nothing can be trained on.

        Raises:
            UserError: naming the groups.
        """
        present = np.unique(self.dataset.groups[self.trainable])
        without = [name for group, name in enumerate(groups) if group not in present]
        if without:
            manifest = self.dataset.manifest
            raise UserError(
                f"{manifest.folder}/{manifest.split}.tsv: no utterance of {', '.join(without)} can "
                "be trained on, for each is longer than dataset.max_tokens="
                f"{self.planner.max_padded_samples} samples, shorter than task.min_sample_size, or "
                "left out by task.skip_infeasible: remove the lines from all files of the split, "
                "or change these options."
            )

    def sampling_share(self, of: str, n_groups: int) -> np.ndarray:
        """[G] what share of the epoch each group has, sum 1.

        A group that this epoch does not draw (a round of ``uniform`` sampling may lie across two
        epochs) counts as drawn once, with a batch of the mean size; its share is not used, but
        without it those of the others would be too large.

        Args:
            of: ``batches``, where each batch weighs the same in the gradient, or ``utterances``.
        """
        weights = [len(batch) if of == "utterances" else 1 for batch in self.batches]
        counts = np.bincount(
            self.plan.group_of_batch(self.dataset.groups), weights=weights, minlength=n_groups
        )
        counts = np.where(counts > 0, counts, np.mean(weights))
        return counts / counts.sum()

    def warnings(self, groups: Sequence[str], batch_seconds: float) -> list[str]:
        """Sentences about what is left out and about groups whose losses do not compare."""
        found = []
        too_long = self.names_of_too_long()
        if too_long:
            found.append(
                f"{len(too_long)} utterances are longer than dataset.max_tokens="
                f"{self.planner.max_padded_samples} samples and are left out: "
                f"{', '.join(too_long[:10])}{', ...' if len(too_long) > 10 else ''}"
            )
        odd = uneven(self.mean_fills(groups))
        if odd:
            fills = ", ".join(f"{name} {batch_seconds * x:.0f} s" for name, x in odd.items())
            found.append(
                f"batches of {counted(len(odd), 'group')} hold much less or more audio than "
                f"task.batch_seconds={batch_seconds:g}, so their summed losses, and with ctc_dro "
                f"their q, do not compare with those of the others: {fills}; "
                "criterion.group_loss=per_second counts batches by their seconds"
            )
        return found

    def mean_fills(self, groups: Sequence[str]) -> dict[str, float]:
        """Mean seconds of a group's batches, over those that a batch should hold."""
        means = self.plan.mean_fills(
            np.asarray(self.dataset.sizes), self.dataset.groups, self.planner.batch_samples
        )
        return {groups[group]: x for group, x in means.items()}

    def names_of_too_long(self) -> list[str]:
        """Utterance ids of what the memory bound leaves out."""
        ids, rows = self.dataset.manifest.utterance_ids, self.dataset.rows
        return [ids[rows[item]] for item in self.plan.left_out]

    def describe(self, sample_rate: int) -> str:
        """One line for the log."""
        n_samples = np.asarray(self.dataset.sizes)
        items = np.concatenate(self.batches)
        hours = n_samples[items].sum() / sample_rate / 3600
        return (
            f"{len(items)} utterances, {hours:.2f} hours, "
            f"{len(np.unique(self.dataset.groups[items]))} groups in {len(self.batches)} batches, "
            f"filled {100 * self._fills().mean():.0f} % of "
            f"{self.planner.batch_samples / sample_rate:g} seconds on average, "
            f"{100 * self.plan.padding(n_samples):.1f} % padding"
        )

    def _fills(self) -> np.ndarray:
        return self.plan.fill(np.asarray(self.dataset.sizes), self.planner.batch_samples)


def trainable_items(
    dataset: GroupedAudioDataset, planner: BatchPlanner, infeasible: np.ndarray
) -> np.ndarray:
    """Items that any epoch draws: neither infeasible nor too long for memory."""
    feasible = _feasible_items(dataset, infeasible)
    return feasible[planner.kept(np.asarray(dataset.sizes)[feasible])]


def _feasible_items(dataset: GroupedAudioDataset, infeasible: np.ndarray) -> np.ndarray:
    return np.setdiff1d(np.arange(len(dataset)), infeasible)
