"""How many batches each group has in an epoch.

Shapes: G groups.
"""

from __future__ import annotations

import heapq

import numpy as np

FEWER_AT_MOST = 0.02
"""Share of an epoch's batches by which their number may be lowered to reach a multiple."""


def aimed_counts(audio: np.ndarray, sizes: np.ndarray, batch_samples: float) -> np.ndarray:
    """[G] batches whose mean sum is nearest to ``batch_samples``, at least 1 a group.

    Args:
        audio: [G] samples of each group.
        sizes: [G] its utterances.
    """
    return np.clip(np.rint(audio / batch_samples).astype(np.int64), 1, sizes)


def to_multiple(
    counts: np.ndarray, audio: np.ndarray, sizes: np.ndarray, multiple_of: int
) -> np.ndarray:
    """[G] ``counts`` whose sum is a multiple, changed where the mean sum changes least.

    The sum grows to the next multiple, or shrinks to the one before where that is nearer and
    takes few batches away. Where there are too few utterances it stays short of the multiple.
    """
    counts = counts.copy()
    surplus = int(counts.sum()) % multiple_of
    missing = -surplus % multiple_of
    fewer = surplus <= missing and surplus <= FEWER_AT_MOST * counts.sum()
    step, n_steps = (-1, surplus) if fewer else (1, missing)

    def key(group: int) -> float:
        """Audio a batch after the step: the largest stays nearest when it is made smaller."""
        return step * -audio[group] / max(counts[group] + step, 1)

    def has_room(group: int) -> bool:
        return 1 <= counts[group] + step <= sizes[group]

    heap = [(key(group), group) for group in range(len(counts)) if has_room(group)]
    heapq.heapify(heap)
    while n_steps and heap:
        _, group = heapq.heappop(heap)
        counts[group] += step
        n_steps -= 1
        if has_room(group):
            heapq.heappush(heap, (key(group), group))
    return counts


def by_share(share: np.ndarray, total: int) -> np.ndarray:
    """[G] counts that sum to ``total`` >= G, at least 1 each, by largest remainders."""
    wanted = np.maximum(share * total, 1.0)
    counts = np.floor(wanted).astype(np.int64)
    left = total - int(counts.sum())
    if left > 0:
        counts[np.argsort(counts - wanted, kind="stable")[:left]] += 1
    for _ in range(-left):
        counts[np.argmax(np.where(counts > 1, counts - share * total, -np.inf))] -= 1
    return counts
