"""Spearman's rank correlation over languages."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def spearman(x: Mapping[str, float], y: Mapping[str, float]) -> float:
    """Correlation of the ranks of the keys that both have, equal values sharing a mean rank.

    NaN with fewer than three common keys, or where all values on a side are equal.
    """
    codes = sorted(code for code in x if code in y and x[code] == x[code] and y[code] == y[code])
    if len(codes) < 3:
        return float("nan")
    left, right = (_ranks(np.array([values[code] for code in codes])) for values in (x, y))
    if left.std() == 0 or right.std() == 0:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
