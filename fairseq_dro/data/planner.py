"""Plan an epoch: single-group batches of about ``batch_seconds``, as a pure function.

The same arguments give the same batches on every worker, after every restart, so a resumed run
continues exactly where it stopped. Neither fairseq nor files are known here.

Shapes: N utterances, G groups, B batches.

How it works
    1. Per group: sort by length (with a little noise, so that batches differ between epochs) and
       cut the sorted list where its running sum passes equal shares. Neighbours in a sorted list
       have similar lengths, so little is padded; equal shares make the sum over a batch comparable
       between groups, which is what CTC-DRO needs (Bartelds et al. 2025, section 4.1:
       length-matched batches).
    2. Choose how many batches of each group an epoch holds (``GroupSampling``).
    3. Bring the number of batches to a multiple of ``multiple_of`` (workers x micro-batches) by
       cutting the groups with most batches a little finer: no batch is repeated and no worker
       ever needs a dummy batch (which would spoil its whole update, fairseq ``trainer.py:799``).
    4. Order them: at random, or in rounds of one batch a group.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np


class GroupSampling(str, Enum):
    """How often each group is drawn in an epoch."""

    PROPORTIONAL = "proportional"
    """Every utterance exactly once."""
    UNIFORM = "uniform"
    """Rounds: each holds one batch of every group, in random order."""
    TEMPERATURE = "temperature"
    """In proportion to (seconds of the group) ** (1 / temperature)."""


@dataclass(frozen=True)
class BatchPlanner:
    """Everything that shapes the batches of a run.

    Attributes:
        batch_samples: aimed sum of audio in a batch, in samples (seconds x sample rate).
        max_padded_samples: bound on utterances x longest utterance of a batch, in samples
            (fairseq's ``dataset.max_tokens``); None for no bound.
        max_utterances: bound on utterances in a batch (``dataset.batch_size``); None for no bound.
        temperature: exponent of ``temperature`` sampling, >= 1; 1 is proportional.
        length_noise: relative noise on lengths before sorting. 0 gives the same batches in every
            epoch; 0.05 costs about a point of padding.
    """

    batch_samples: float
    max_padded_samples: int | None = None
    max_utterances: int | None = None
    sampling: GroupSampling = GroupSampling.PROPORTIONAL
    temperature: float = 2.0
    length_noise: float = 0.05
    seed: int = 1

    def plan(
        self, n_samples: np.ndarray, groups: np.ndarray, *, epoch: int, multiple_of: int = 1
    ) -> Plan:
        """The batches of one epoch, in the global order in which workers take turns.

        Args:
            n_samples: [N] int, length of each utterance.
            groups: [N] int, its group, 0 <= group < G.
            epoch: 1-based epoch.
            multiple_of: workers x micro-batches of an update.
        """
        rng = np.random.default_rng([self.seed, epoch])
        too_long = np.zeros(len(n_samples), dtype=bool)
        if self.max_padded_samples is not None:
            too_long = n_samples > self.max_padded_samples
        members = _members_of_groups(groups, ~too_long)
        sorted_members = {
            group: self._sort_by_length(indices, n_samples, rng)
            for group, indices in members.items()
        }
        counts = {
            group: len(self._cut(indices, n_samples, self._aimed_batches(indices, n_samples)))
            for group, indices in sorted_members.items()
        }
        if self.sampling is GroupSampling.PROPORTIONAL:
            batches = self._once_each(sorted_members, counts, n_samples, multiple_of)
            order = rng.permutation(len(batches))
            batches = [batches[i] for i in order]
        else:
            batches = self._sampled(sorted_members, counts, n_samples, multiple_of, rng)
        return Plan(batches, left_out=np.flatnonzero(too_long))

    def sampling_share(self, n_samples: np.ndarray, groups: np.ndarray) -> dict[int, float]:
        """Share of an epoch's batches that each group gets, by group; they sum to 1.

        Proportional: by audio; uniform: 1 / G; temperature T: by audio ** (1 / T).
        """
        present, audio = self._audio_of_groups(n_samples, groups)
        if self.sampling is GroupSampling.UNIFORM:
            audio = np.ones(len(audio))
        elif self.sampling is GroupSampling.TEMPERATURE:
            audio = audio ** (1 / self.temperature)
        return dict(zip(present.tolist(), (audio / audio.sum()).tolist()))

    def sampling_weights(self, n_samples: np.ndarray, groups: np.ndarray) -> dict[int, float]:
        """Share of the audio over share of the batches, by group: 1 under ``proportional``.

        A loss multiplied by its group's factor has, in expectation over the batches of an epoch,
        the value that it has under proportional sampling: with audio share p_g and sampled share
        s_g, sum_g s_g (p_g / s_g) L_g = sum_g p_g L_g (importance weights).

        Args:
            n_samples: [N] int, length of each utterance.
            groups: [N] int, its group.
        """
        present, audio = self._audio_of_groups(n_samples, groups)
        sampled = self.sampling_share(n_samples, groups)
        return {
            group: share / sampled[group]
            for group, share in zip(present.tolist(), (audio / audio.sum()).tolist())
        }

    def _audio_of_groups(
        self, n_samples: np.ndarray, groups: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Groups that have any utterance within the memory bound, and their sums of samples."""
        if self.max_padded_samples is not None:
            keep = n_samples <= self.max_padded_samples
            n_samples, groups = n_samples[keep], groups[keep]
        present, rows = np.unique(groups, return_inverse=True)
        return present, np.bincount(rows, weights=n_samples)

    def _sort_by_length(
        self, indices: np.ndarray, n_samples: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        noise = rng.uniform(1 - self.length_noise, 1 + self.length_noise, len(indices))
        return indices[np.argsort(n_samples[indices] * noise, kind="stable")]

    def _aimed_batches(self, indices: np.ndarray, n_samples: np.ndarray) -> int:
        total = int(n_samples[indices].sum())
        return min(len(indices), max(1, round(total / self.batch_samples)))

    def _cut(
        self, indices: np.ndarray, n_samples: np.ndarray, n_batches: int
    ) -> list[np.ndarray]:
        """Cut sorted ``indices`` into ``n_batches`` runs of near-equal sums, then obey bounds."""
        ends = np.cumsum(n_samples[indices])
        shares = ends[-1] * np.arange(1, n_batches) / n_batches
        # the utterance that straddles a share goes to the side that holds more of it
        middles = ends - n_samples[indices] / 2
        cuts = np.searchsorted(middles, shares)
        # no run is empty: the j-th cut lies in [j + 1, N - (n_batches - 1 - j)]
        step = np.arange(n_batches - 1)
        cuts = np.maximum.accumulate(np.maximum(cuts, 1) - step) + step
        cuts = np.minimum(cuts, len(indices) - (n_batches - 1 - step))
        bounded = self.max_padded_samples is not None or self.max_utterances is not None
        runs = np.split(indices, cuts)
        if not bounded:
            return runs
        return [part for run in runs for part in self._obey_bounds(run, n_samples)]

    def _obey_bounds(self, run: np.ndarray, n_samples: np.ndarray) -> list[np.ndarray]:
        longest = int(n_samples[run].max())
        parts = 1
        if self.max_padded_samples is not None:
            parts = -(-len(run) // max(1, self.max_padded_samples // longest))
        if self.max_utterances is not None:
            parts = max(parts, -(-len(run) // self.max_utterances))
        return np.array_split(run, parts)

    def _once_each(
        self,
        members: dict[int, np.ndarray],
        counts: dict[int, int],
        n_samples: np.ndarray,
        multiple_of: int,
    ) -> list[np.ndarray]:
        missing = -sum(counts.values()) % multiple_of
        finer = _spread(missing, counts, {group: len(m) for group, m in members.items()})
        batches: list[np.ndarray] = []
        for group, indices in members.items():
            aimed = self._aimed_batches(indices, n_samples)
            runs = self._cut(indices, n_samples, min(len(indices), aimed + finer[group]))
            batches += _split_until(runs, counts[group] + finer[group], n_samples)
        while len(batches) % multiple_of:  # bounds can yield more runs than asked for
            before = len(batches)
            batches = _split_until(batches, before + 1, n_samples)
            if len(batches) == before:
                break  # fewer utterances than workers x micro-batches
        return batches

    def _sampled(
        self,
        members: dict[int, np.ndarray],
        counts: dict[int, int],
        n_samples: np.ndarray,
        multiple_of: int,
        rng: np.random.Generator,
    ) -> list[np.ndarray]:
        total = max(sum(counts.values()), len(members))
        total += -total % multiple_of
        groups = list(members)
        if self.sampling is GroupSampling.UNIFORM:
            share = np.full(len(groups), 1 / len(groups))
        else:
            seconds = np.array([float(n_samples[members[group]].sum()) for group in groups])
            share = seconds ** (1 / self.temperature)
            share /= share.sum()
        supply = {
            group: self._endless(members[group], counts[group], n_samples, rng)
            for group in groups
        }
        batches: list[np.ndarray] = []
        # Each group's credit grows by its share at every draw and is spent by being drawn, so
        # uniform shares give rounds of one batch a group and others are spread evenly.
        credit = rng.uniform(0, 1e-6, len(groups))
        for draw in range(total):
            if self.sampling is GroupSampling.UNIFORM and draw % len(groups) == 0:
                credit = rng.permutation(len(groups)) * 1e-6
            credit += share
            chosen = int(np.argmax(credit))
            credit[chosen] -= 1
            batches.append(next(supply[groups[chosen]]))
        return batches

    def _endless(
        self,
        indices: np.ndarray,
        n_batches: int,
        n_samples: np.ndarray,
        rng: np.random.Generator,
    ):
        while True:
            runs = self._cut(indices, n_samples, min(len(indices), n_batches))
            for i in rng.permutation(len(runs)):
                yield runs[i]
            indices = self._sort_by_length(indices, n_samples, rng)


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
        return np.array([n_samples[batch].sum() for batch in self.batches]) / batch_samples

    def padding(self, n_samples: np.ndarray) -> float:
        """Share of padded samples over all batches, 0 to 1."""
        padded = sum(len(batch) * int(n_samples[batch].max()) for batch in self.batches)
        return 1 - sum(int(n_samples[batch].sum()) for batch in self.batches) / padded


def _members_of_groups(groups: np.ndarray, keep: np.ndarray) -> dict[int, np.ndarray]:
    """Indices of each group that has any, by ascending group and index."""
    kept = np.flatnonzero(keep)
    order = kept[np.argsort(groups[kept], kind="stable")]
    present, starts = np.unique(groups[order], return_index=True)
    return dict(zip(present.tolist(), np.split(order, starts[1:])))


def _spread(extra: int, counts: dict[int, int], room: dict[int, int]) -> dict[int, int]:
    """Give ``extra`` batches to the groups with most batches: there one more changes sums least."""
    given = {group: 0 for group in counts}
    for _ in range(extra):
        open_groups = [g for g in counts if counts[g] + given[g] < room[g]]
        if not open_groups:
            break
        largest = max(open_groups, key=lambda g: counts[g] / (1 + given[g]))
        given[largest] += 1
    return given


def _split_until(
    runs: list[np.ndarray], wanted: int, n_samples: np.ndarray
) -> list[np.ndarray]:
    """Halve the longest run that has two utterances until there are ``wanted`` runs."""
    runs = list(runs)
    while len(runs) < wanted:
        splittable = [i for i, run in enumerate(runs) if len(run) > 1]
        if not splittable:
            break
        longest = max(splittable, key=lambda i: int(n_samples[runs[i]].sum()))
        first, second = np.array_split(runs[longest], 2)
        runs[longest : longest + 1] = [first, second]
    return runs
