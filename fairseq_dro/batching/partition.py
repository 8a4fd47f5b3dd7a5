"""Cut each group's utterances, sorted by length, into batches of even sums and little padding.

The sorted list of a group is a line of audio; a batch is a piece of it. Neighbours have like
lengths, so little is padded. Where to cut is chosen for all groups at once by dynamic programming
over a few candidates about each even share, which minimises

    sum over batches of  |audio - aimed sum| + padded samples that hold no audio,

that is, a second beside the aimed sum costs as much as a padded second. The dynamic programming
over all places (``scripts/benchmark_planner.py``) is at most a few tenths of a point better.

Shapes: N utterances in sorted order, G groups, B batches, C candidates of a cut.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

CANDIDATES = 8
"""Places about an even share at which a cut may lie."""
CHAIN = 64
"""Batches whose cuts are chosen together; between chains a cut lies at the even share."""
FARTHEST_MOVE = 0.5
"""How far noise may move an utterance along the sorted list, in batches."""
FARTHEST_AIM = 0.05
"""How far the sum that is aimed at may lie from the even share. A group that is cut into more or
fewer batches than its audio fills has them uneven by no more than this."""


@dataclass
class SortedGroups:
    """Utterances by (group, length).

    Attributes:
        order: [N] index of the utterance.
        lengths: [N] its samples.
        starts: [G + 1] where each group begins, then N; only groups that have any utterance.
    """

    order: np.ndarray
    lengths: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, n_samples: np.ndarray, groups: np.ndarray, kept: np.ndarray) -> SortedGroups:
        """Sort the ``kept`` indices of [.] ``n_samples`` and ``groups``."""
        lengths = n_samples[kept].astype(np.int64)
        # one key, for np.lexsort takes twice the time
        key = groups[kept] * (lengths.max(initial=0) + 1) + lengths
        order = kept[np.argsort(key, kind="stable")]
        starts = np.unique(groups[order], return_index=True)[1]
        return cls(order, n_samples[order], np.append(starts, len(order)))

    def only(self, chosen: np.ndarray) -> SortedGroups:
        """The groups that a [G] mask chooses."""
        kept = np.repeat(chosen, self.sizes)
        starts = np.concatenate(([0], np.cumsum(self.sizes[chosen])))
        return SortedGroups(self.order[kept], self.lengths[kept], starts)

    def one(self, group: int) -> SortedGroups:
        """One group, without a look at the others."""
        begin, end = self.starts[group], self.starts[group + 1]
        return SortedGroups(
            self.order[begin:end], self.lengths[begin:end], np.array([0, end - begin])
        )

    @property
    def sizes(self) -> np.ndarray:
        """[G] utterances of each group."""
        return np.diff(self.starts)

    @property
    def audio(self) -> np.ndarray:
        """[G] samples of each group."""
        if not len(self.lengths):
            return np.zeros(0, dtype=np.int64)
        return np.add.reduceat(self.lengths, self.starts[:-1])

    def mixed(
        self, n_batches: np.ndarray, length_noise: float, rng: np.random.Generator
    ) -> np.ndarray:
        """[N] positions in a new order in which neighbours traded places at random.

        An utterance moves by up to ``length_noise`` of its length, and by no more than
        ``FARTHEST_MOVE`` batches: where lengths are dense the second bound keeps batches narrow,
        where they are sparse the first one does.

        Args:
            n_batches: [G] batches that each group will be cut into.
        """
        cuts = _even_cuts(self.lengths, self.starts, n_batches)
        shortest, longest = self.lengths[cuts[:-1]], self.lengths[cuts[1:] - 1]
        reach = np.full(len(shortest), float(FARTHEST_MOVE))
        np.minimum(reach, length_noise * longest / np.maximum(longest - shortest, 1), out=reach)
        reach = np.repeat(reach, np.diff(cuts))
        place = _places(self.lengths, self.starts, n_batches)
        place += reach * rng.uniform(-1, 1, len(place))
        first = _firsts(n_batches)
        lowest = np.repeat(first[:-1], self.sizes)
        np.clip(place, lowest, lowest + np.repeat(n_batches, self.sizes) - 1e-9, out=place)
        return np.argsort(place, kind="stable")


def cut(
    lengths: np.ndarray,
    in_order: np.ndarray,
    starts: np.ndarray,
    n_batches: np.ndarray,
    batch_samples: float,
) -> np.ndarray:
    """[B + 1] positions at which batches begin, then N; batch b is [cuts[b], cuts[b + 1]).

    Args:
        lengths: [N] samples in the order that is cut.
        in_order: [N] the same, sorted within each group: tells the longest of a batch nearly.
        starts: [G + 1] where groups begin, then N.
        n_batches: [G] batches of each group, 1 to its number of utterances.
        batch_samples: the sum that is aimed at.
    """
    cuts = _even_cuts(lengths, starts, n_batches)
    ends = np.concatenate(([0], np.cumsum(lengths)))  # [N + 1]
    first = _firsts(n_batches)
    # chains: pieces of a group of at most CHAIN batches, the longest chain first
    chains_of_group = -(-n_batches // CHAIN)
    group = np.repeat(np.arange(len(n_batches)), chains_of_group)
    begin = first[group] + CHAIN * (np.arange(len(group)) - _firsts(chains_of_group)[group])
    n_steps = np.minimum(first[group + 1] - begin, CHAIN)
    by_steps = np.argsort(-n_steps, kind="stable")
    group, begin, n_steps = group[by_steps], begin[by_steps], n_steps[by_steps]
    share = (ends[starts[1:]] - ends[starts[:-1]]) / n_batches
    aimed = np.clip(batch_samples, share * (1 - FARTHEST_AIM), share * (1 + FARTHEST_AIM))[group]
    low, high = starts[group] + 1, starts[group + 1] - 1

    window = np.arange(CANDIDATES) - CANDIDATES // 2
    before = np.repeat(cuts[begin][:, None], CANDIDATES, axis=1)  # [chains, C]
    cost = np.zeros(before.shape)
    places, choices = [], []
    for step in range(1, int(n_steps.max(initial=0)) + 1):
        active = int(np.searchsorted(-n_steps, -step, side="right"))
        middle = cuts[begin[:active] + step]
        after = middle[:, None] + window
        after = np.clip(after, low[:active, None], high[:active, None])
        closing = n_steps[:active] == step
        after[closing] = middle[closing, None]
        left, right = before[:active, :, None], after[:, None, :]  # [active, C, 1], [active, 1, C]
        audio = ends[right] - ends[left]
        padding = in_order[right - 1] * (right - left) - audio
        total = np.abs(audio - aimed[:active, None, None]) + padding
        total += cost[:active, :, None]
        total[np.broadcast_to(right <= left, total.shape)] = np.inf
        choice = total.argmin(1)  # [active, C]
        cost = np.take_along_axis(total, choice[:, None, :], 1)[:, 0]
        places.append(after)
        choices.append(choice)
        before = after
    chosen = np.zeros(len(begin), dtype=np.int64)  # all candidates of a closing step are one place
    for step in range(len(places), 0, -1):
        after, choice = places[step - 1], choices[step - 1]
        rows = np.arange(len(after))
        cuts[begin[rows] + step] = after[rows, chosen[rows]]
        chosen[rows] = choice[rows, chosen[rows]]
    return cuts


def split_beyond_bounds(
    lengths: np.ndarray,
    cuts: np.ndarray,
    max_padded_samples: int | None,
    max_utterances: int | None,
) -> np.ndarray:
    """``cuts`` with more of them, where a batch would be too large for memory."""
    sizes, longest = np.diff(cuts), longest_of_batches(lengths, cuts)
    parts = np.ones(len(sizes), dtype=np.int64)
    if max_padded_samples is not None:
        parts = -(-sizes // np.maximum(1, max_padded_samples // longest))
    if max_utterances is not None:
        parts = np.maximum(parts, -(-sizes // max_utterances))
    too_large = np.flatnonzero(parts > 1)
    more = [
        cuts[batch] + np.arange(1, parts[batch]) * sizes[batch] // parts[batch]
        for batch in too_large
    ]
    return np.sort(np.concatenate([cuts, *more])) if more else cuts


def split_until(lengths: np.ndarray, cuts: np.ndarray, n_batches: int) -> np.ndarray:
    """Halve the batch with most audio until there are ``n_batches``, or only single utterances."""
    missing = n_batches - (len(cuts) - 1)
    if missing <= 0:
        return cuts
    ends = np.concatenate(([0], np.cumsum(lengths)))
    heap = [
        (-int(ends[stop] - ends[start]), int(start), int(stop))
        for start, stop in zip(cuts[:-1], cuts[1:])
        if stop - start > 1
    ]
    heapq.heapify(heap)
    more: list[int] = []
    while heap and len(more) < missing:
        _, start, stop = heapq.heappop(heap)
        middle = int(np.searchsorted(ends, (ends[start] + ends[stop]) / 2))
        middle = min(max(middle, start + 1), stop - 1)
        more.append(middle)
        for part in ((start, middle), (middle, stop)):
            if part[1] - part[0] > 1:
                heapq.heappush(heap, (-int(ends[part[1]] - ends[part[0]]), *part))
    return np.sort(np.concatenate([cuts, more])).astype(np.int64)


def longest_of_batches(lengths: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """[B] samples of the longest utterance of each batch."""
    return np.maximum.reduceat(lengths, cuts[:-1]) if len(cuts) > 1 else cuts[:0]


def _firsts(n_batches: np.ndarray) -> np.ndarray:
    """[G + 1] number of the first batch of each group, then B."""
    return np.concatenate(([0], np.cumsum(n_batches)))


def _places(lengths: np.ndarray, starts: np.ndarray, n_batches: np.ndarray) -> np.ndarray:
    """[N] where the middle of each utterance lies, counted in batches over all groups."""
    ends = np.cumsum(lengths)
    group_ends = np.concatenate(([0], ends))[starts]
    scale = n_batches / np.diff(group_ends)
    sizes = np.diff(starts)
    place = ends - lengths / 2
    place -= np.repeat(group_ends[:-1], sizes)
    place *= np.repeat(scale, sizes)
    place += np.repeat(_firsts(n_batches)[:-1], sizes)
    return place


def _even_cuts(lengths: np.ndarray, starts: np.ndarray, n_batches: np.ndarray) -> np.ndarray:
    """[B + 1] cuts at even shares: an utterance goes to the share that holds its middle.

    Every batch holds an utterance, so each group needs at least as many as it has batches.
    """
    first = _firsts(n_batches)
    number = np.arange(first[-1] + 1)
    cuts = np.searchsorted(_places(lengths, starts, n_batches), number)
    group = np.repeat(np.arange(len(n_batches)), n_batches)
    within = number[:-1] - first[group]
    lowest = starts[group] + within
    highest = starts[group + 1] - (n_batches[group] - within)
    cuts[:-1] = np.clip(cuts[:-1], lowest, highest)
    cuts[-1] = starts[-1]
    return np.maximum.accumulate(cuts - number) + number
