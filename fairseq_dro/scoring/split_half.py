"""The worst language, found on one half of its utterances and measured on the other."""

from __future__ import annotations

import numpy as np

from fairseq_dro.scoring.bootstrap import Blocks
from fairseq_dro.scoring.intervals import Interval


def split_half_worst(blocks: Blocks, n_splits: int = 1_000, seed: int = 0) -> Interval | None:
    """Rate of the worst language, chosen on one half of its utterances and measured on the other.

    What is measured had no part in the choice, so luck does not raise it. Mean over random halves,
    with the range that holds 95 % of them (how much the choice of halves matters: no confidence
    interval). Languages of a single block take no part; None where fewer than two are left, or
    where no two halves have references in common.
    """
    sums = [block for block in blocks.sums if len(block.errors) > 1]
    if len(sums) < 2:
        return None
    halves = np.full((2, n_splits, len(sums)), np.nan)
    for index, block in enumerate(sums):
        n = len(block.errors)
        generator = np.random.default_rng([seed, index, 3])
        order = generator.random((n_splits, n)).argsort(axis=1)
        first = (order < n // 2).astype(float)  # [splits, n]
        for half, chosen in enumerate((first, 1.0 - first)):
            total = chosen @ block.lengths
            halves[half, :, index] = np.where(
                total > 0, (chosen @ block.errors) / np.maximum(total, 1.0), np.nan
            )
    rows = np.arange(n_splits)
    measured = []
    for choose, measure in ((halves[0], halves[1]), (halves[1], halves[0])):
        usable = np.where(np.isnan(measure), -np.inf, np.nan_to_num(choose, nan=-np.inf))
        measured.append(measure[rows, usable.argmax(axis=1)])
    both = np.mean(measured, axis=0)
    both = both[np.isfinite(both)]  # two halves may have no language with references in both
    if not both.size:
        return None
    low, high = np.quantile(both, [0.025, 0.975])
    return Interval(float(both.mean()), float(low), float(high))
