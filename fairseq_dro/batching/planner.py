"""Plan an epoch: single-group batches of about ``batch_samples``, as a pure function.

The same arguments give the same batches on every worker, after every restart, so a resumed run
continues exactly where it stopped. Neither fairseq nor files are known here.

Shapes: N utterances, G groups, B batches.

How it works
    1. How many batches each group has (``batch_counts``): by its audio, by a share of the epoch, or
       one a round. Under ``proportional`` sampling their
       sum is a multiple of ``multiple_of`` (workers x micro-batches): no batch is repeated and no
       worker ever needs a dummy batch (which would spoil its whole update, fairseq
       ``trainer.py:799``).
    2. Which utterances they hold. Under ``proportional`` each group is sorted by length, with a
       little noise so that batches differ between epochs, and cut where sums are even and padding
       is small (``partition``); each utterance comes exactly once. Else each group is passed over
       as often as its turns ask for; batches of a group with little audio continue from one pass
       into the next, so that they are full (``full_batches``). Like sums are what CTC-DRO needs
       (Bartelds et al. 2025, section 4.1: length-matched batches).
    3. In which order they come (``batch_order``): every group evenly over the epoch, or in
       rounds; within that at random, but with batches of like cost in one update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from fairseq_dro.batching import batch_counts, partition
from fairseq_dro.batching.batch_order import spread_turns, take_turns, turns_in_rounds
from fairseq_dro.batching.full_batches import ENOUGH_BATCHES, full_batches
from fairseq_dro.batching.partition import SortedGroups

PASSES_CHOSEN_OF = 20
"""In a short epoch a group with little audio gets batches of so many passes, chosen at random."""
EVEN_FILL = (0.7, 1.4)
"""Mean fill of a language's batches beyond which their sums no longer compare with others'."""


class GroupSampling(str, Enum):
    """How often each group is drawn in an epoch."""

    PROPORTIONAL = "proportional"
    """Every utterance exactly once."""
    UNIFORM = "uniform"
    """Rounds: each holds one batch of every group, in random order."""
    TEMPERATURE = "temperature"
    """In proportion to (seconds of the group) ** (1 / temperature)."""
    Q = "q"
    """By the group weights q, which then weight no loss."""


@dataclass(frozen=True)
class BatchPlanner:
    """Everything that shapes the batches of a run.

    Attributes:
        batch_samples: aimed sum of audio in a batch, in samples (seconds x sample rate).
        max_padded_samples: bound on utterances x longest utterance of a batch, in samples
            (fairseq's ``dataset.max_tokens``); None for no bound.
        max_utterances: bound on utterances in a batch (``dataset.batch_size``); None for no bound.
        temperature: exponent of ``temperature`` sampling, >= 1; 1 is proportional.
        length_noise: how far utterances trade places before batches are cut, relative to their
            lengths. 0 gives the same batches in every epoch; 0.02 costs half a point of padding
            (``scripts/benchmark_planner.py``) and parts a fifth (of 10 minutes a language) to two
            fifths (of an hour) of the utterances that shared a batch.
        epoch_updates: updates of an epoch, for sampling that is not proportional; 0: as many as
            hold as much audio as there is.
    """

    batch_samples: float
    max_padded_samples: int | None = None
    max_utterances: int | None = None
    sampling: GroupSampling = GroupSampling.PROPORTIONAL
    temperature: float = 2.0
    length_noise: float = 0.02
    epoch_updates: int = 0
    seed: int = 1

    def plan(
        self,
        n_samples: np.ndarray,
        groups: np.ndarray,
        *,
        epoch: int,
        multiple_of: int = 1,
        earlier_multiples: Sequence[int] | None = None,
        share: np.ndarray | None = None,
    ) -> Plan:
        """The batches of one epoch, in the global order in which workers take turns.

        Args:
            n_samples: [N] int, length of each utterance.
            groups: [N] int, its group, 0 <= group < G.
            epoch: 1-based epoch.
            multiple_of: workers x micro-batches of an update.
            earlier_multiples: the same of each epoch before, where it may have been another
                (``update_freq`` by epoch): rounds continue where the last epoch left off.
            share: [G] of the epoch's batches, sum 1, for ``q``; None for all alike. Each group gets
                one batch at least, so that its loss stays known.
        """
        rng = np.random.default_rng([self.seed, epoch])
        kept = self.kept(n_samples)
        corpus = SortedGroups.of(n_samples, groups, kept)
        counts = batch_counts.aimed_counts(corpus.audio, corpus.sizes, self.batch_samples)
        if len(kept) == 0:
            batches = []
        elif self.sampling is GroupSampling.PROPORTIONAL:
            batches = self._once_each(corpus, counts, multiple_of, rng)
        else:
            if earlier_multiples is None:
                earlier_multiples = [multiple_of] * (epoch - 1)
            before = sum(self._batches_of_epoch(counts, n) for n in earlier_multiples)
            total = self._batches_of_epoch(counts, multiple_of)
            if self.sampling is GroupSampling.TEMPERATURE:
                share = corpus.audio ** (1 / self.temperature)
                share = share / share.sum()
            elif share is None:
                share = np.full(len(counts), 1 / len(counts))
            else:  # of the groups that any utterance is left of
                share = share[groups[corpus.order[corpus.starts[:-1]]]]
                share = share / share.sum()
            batches = self._sampled(
                corpus, counts, n_samples, total, before, multiple_of, rng, share
            )
        is_left_out = np.ones(len(n_samples), dtype=bool)
        is_left_out[kept] = False
        return Plan(batches, left_out=np.flatnonzero(is_left_out))

    def plan_of_updates(
        self,
        n_samples: np.ndarray,
        groups: np.ndarray,
        *,
        epoch: int,
        workers: int,
        micro_batches: Sequence[int],
        share: np.ndarray | None = None,
    ) -> tuple[Plan, int]:
        """A plan that workers x micro-batches divide, and that number.

        A small corpus may not yield such a multiple; then it is one of workers, with which no
        worker needs a dummy batch either. With fewer utterances than workers it is 0.

        Args:
            micro_batches: of an update, in each epoch up to this one.
        """
        *earlier, multiple = [workers * n for n in micro_batches]
        for multiple_of in (multiple, workers):
            plan = self.plan(
                n_samples, groups, epoch=epoch, multiple_of=multiple_of, earlier_multiples=earlier,
                share=share,
            )
            if len(plan.batches) % multiple_of == 0:
                return plan, multiple_of
        return plan, 0

    def _batches_of_epoch(self, counts: np.ndarray, multiple_of: int) -> int:
        if self.epoch_updates:
            return self.epoch_updates * multiple_of
        return -(-int(counts.sum()) // multiple_of) * multiple_of

    def kept(self, n_samples: np.ndarray) -> np.ndarray:
        """Indices of what fits into memory."""
        if self.max_padded_samples is None:
            return np.arange(len(n_samples))
        return np.flatnonzero(n_samples <= self.max_padded_samples)

    def _once_each(
        self,
        corpus: SortedGroups,
        counts: np.ndarray,
        multiple_of: int,
        rng: np.random.Generator,
    ) -> list[np.ndarray]:
        counts = batch_counts.to_multiple(counts, corpus.audio, corpus.sizes, multiple_of)
        order, lengths, cuts = self._cut(corpus, counts, rng)
        wanted = -(-(len(cuts) - 1) // multiple_of) * multiple_of  # bounds can have added some
        cuts = partition.split_until(lengths, cuts, wanted)
        group = np.searchsorted(corpus.starts, cuts[:-1], side="right") - 1
        cost = partition.longest_of_batches(lengths, cuts) * np.diff(cuts)
        turns = spread_turns(np.bincount(group, minlength=len(counts)), rng)
        chosen = take_turns(turns, group, cost, multiple_of, rng)
        return _pieces(order, cuts, chosen)

    def _cut(
        self, corpus: SortedGroups, counts: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One pass over every group: [N] utterances, [N] their lengths, [B + 1] cuts."""
        mixed = corpus.mixed(counts, self.length_noise, rng)
        lengths = corpus.lengths[mixed]
        cuts = partition.cut(
            lengths, corpus.lengths, corpus.starts, counts, self.batch_samples
        )
        cuts = partition.split_beyond_bounds(
            lengths, cuts, self.max_padded_samples, self.max_utterances
        )
        return corpus.order[mixed], lengths, cuts

    def _sampled(
        self,
        corpus: SortedGroups,
        counts: np.ndarray,
        n_samples: np.ndarray,
        total: int,
        before: int,
        multiple_of: int,
        rng: np.random.Generator,
        share: np.ndarray,
    ) -> list[np.ndarray]:
        """``total`` batches of an epoch, after the ``before`` batches of all earlier ones."""
        n_groups, rounds = len(counts), None
        if self.sampling is GroupSampling.UNIFORM:
            rounds = (before + np.arange(total)) // n_groups
            turns = turns_in_rounds(n_groups, total, before, self.seed)
            drawn = np.bincount(turns, minlength=n_groups)
        else:
            drawn = batch_counts.by_share(share, total)
            turns = spread_turns(drawn, rng)
        in_passes = counts >= ENOUGH_BATCHES
        of_group = self._whole_passes(corpus, counts, np.where(in_passes, drawn, 0), rng)
        for group in np.flatnonzero(~in_passes):
            alone = corpus.one(group)
            of_group[group] = full_batches(
                lambda alone=alone, n=counts[group : group + 1]: alone.order[
                    alone.mixed(n, self.length_noise, rng)
                ],
                n_samples, self.batch_samples, int(drawn[group]), rng,
                max_padded_samples=self.max_padded_samples, max_utterances=self.max_utterances,
                chosen_of=PASSES_CHOSEN_OF * int(counts[group]) if self.epoch_updates else 0,
            )
        batches = [batch for of_one in of_group for batch in of_one]
        cost = np.array([len(batch) * int(n_samples[batch].max()) for batch in batches])
        group_of_batch = np.repeat(np.arange(n_groups), drawn)
        chosen = take_turns(turns, group_of_batch, cost, multiple_of, rng, rounds)
        return [batches[i] for i in chosen]

    def _whole_passes(
        self,
        corpus: SortedGroups,
        counts: np.ndarray,
        needed: np.ndarray,
        rng: np.random.Generator,
    ) -> list[list[np.ndarray]]:
        """``needed`` [G] batches of each group: all of each pass, and of the last one some."""
        of_group: list[list[np.ndarray]] = [[] for _ in needed]
        missing = needed.copy()
        while (missing > 0).any():
            at_work = np.flatnonzero(missing > 0)
            part = corpus.only(missing > 0)
            order, _, cuts = self._cut(part, counts[at_work], rng)
            first = np.searchsorted(cuts, part.starts)  # [groups at work + 1]
            for group, begin, end in zip(at_work, first[:-1], first[1:]):
                taken = begin + rng.permutation(end - begin)[: missing[group]]
                of_group[group] += _pieces(order, cuts, taken)
            missing[at_work] -= np.minimum(np.diff(first), missing[at_work])
        return of_group


def _pieces(order: np.ndarray, cuts: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """The ``chosen`` of the batches that ``cuts`` [B + 1] make of ``order``."""
    begins, ends = cuts[chosen].tolist(), cuts[chosen + 1].tolist()
    return [order[begin:end] for begin, end in zip(begins, ends)]


@dataclass(frozen=True)
class Plan:
    """One epoch.

    Attributes:
        batches: B index arrays in global order; worker w of W takes batches w, w + W, ...
        left_out: utterances that no batch holds because one alone exceeds the memory bound.
    """

    batches: list[np.ndarray] = field(repr=False)
    left_out: np.ndarray

    def fill(self, n_samples: np.ndarray, batch_samples: float) -> np.ndarray:
        """[B] sum of audio of each batch over the aimed sum, 1 is exactly full."""
        return self._over_batches(np.add, n_samples) / batch_samples

    def group_of_batch(self, groups: np.ndarray) -> np.ndarray:
        """[B] group of each batch, from the [N] groups of the utterances."""
        return groups[[batch[0] for batch in self.batches]]

    def mean_fills(
        self, n_samples: np.ndarray, groups: np.ndarray, batch_samples: float
    ) -> dict[int, float]:
        """Mean `fill` of the batches of each group that has any."""
        group_of_batch = self.group_of_batch(groups)
        n_batches = np.bincount(group_of_batch)
        sums = np.bincount(group_of_batch, self.fill(n_samples, batch_samples))
        return {
            group: float(sums[group] / n_batches[group])
            for group in np.flatnonzero(n_batches).tolist()
        }

    def padding(self, n_samples: np.ndarray) -> float:
        """Share of padded samples over all batches, 0 to 1."""
        longest = self._over_batches(np.maximum, n_samples)
        padded = int((longest * [len(batch) for batch in self.batches]).sum())
        return 1 - int(n_samples[np.concatenate(self.batches)].sum()) / padded

    def _over_batches(self, reduce: np.ufunc, n_samples: np.ndarray) -> np.ndarray:
        """[B] ``reduce`` over the utterances of each batch, none of which is empty."""
        sizes = np.array([len(batch) for batch in self.batches])
        return reduce.reduceat(n_samples[np.concatenate(self.batches)], np.cumsum(sizes) - sizes)
