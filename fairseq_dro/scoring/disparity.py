"""How unequally languages are served: functions of their error rates.

Each takes rates [..., G] (fractions, one a language, none missing), and gives [...]: so one call
serves the observed rates and all replicates of a bootstrap. The larger, the more unequal or the
worse; of ``mean`` too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Shapes: G languages, ... any leading ones, such as R replicates.

WORST_K = 15  # ML-SUPERB 2025 judges by the mean of the worst 15 languages
WORST_FEW = 3
CVAR_FRACTION = 0.1


def mean(rates: np.ndarray) -> np.ndarray:
    """Every language with the same weight (macro average)."""
    return rates.mean(axis=-1)


def worst(rates: np.ndarray) -> np.ndarray:
    """The highest rate."""
    return rates.max(axis=-1)


def worst_k(rates: np.ndarray, k: int = WORST_K) -> np.ndarray:
    """Mean of the k highest rates; of all where there are fewer than k languages."""
    n_languages = rates.shape[-1]
    k = min(k, n_languages)
    return np.partition(rates, n_languages - k, axis=-1)[..., n_languages - k :].mean(axis=-1)


def worst_few(rates: np.ndarray) -> np.ndarray:
    """Mean of the three highest rates."""
    return worst_k(rates, WORST_FEW)


def gap(rates: np.ndarray) -> np.ndarray:
    """The highest rate less the lowest."""
    return rates.max(axis=-1) - rates.min(axis=-1)


def sd(rates: np.ndarray) -> np.ndarray:
    """Standard deviation over languages, with G - 1 (as ML-SUPERB); NaN for a single language."""
    n_languages = rates.shape[-1]
    if n_languages < 2:
        return np.full(rates.shape[:-1], np.nan)
    return rates.std(axis=-1, ddof=1)


def gini(rates: np.ndarray) -> np.ndarray:
    """Gini coefficient: mean difference of two languages over twice the mean, within 0 and 1.

    0 where all rates are equal, also all 0; (G - 1) / G where one language has all errors.
    """
    n_languages = rates.shape[-1]
    rank = 2.0 * np.arange(1, n_languages + 1) - n_languages - 1  # sum of |xi - xj| by ranks
    total = rates.sum(axis=-1)
    spread = (np.sort(rates, axis=-1) * rank).sum(axis=-1)
    return np.maximum(spread, 0.0) / (n_languages * np.where(total > 0, total, 1.0))


def cvar(rates: np.ndarray, fraction: float = CVAR_FRACTION) -> np.ndarray:
    """Conditional value at risk: the mean of the worst ``fraction`` of languages.

    Of ``fraction * G`` languages, the last one by its share; of one language at least, so that with
    ten or fewer the tenth part is the worst one.
    """
    n_languages = rates.shape[-1]
    count = max(1.0, fraction * n_languages)
    weights = np.clip(count - np.arange(n_languages), 0.0, 1.0)[::-1]  # for ascending rates
    return (np.sort(rates, axis=-1) * weights).sum(axis=-1) / weights.sum()


def p90(rates: np.ndarray) -> np.ndarray:
    """90th percentile over languages, interpolated linearly (numpy's default)."""
    return np.quantile(rates, 0.9, axis=-1)


MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": mean,
    "worst": worst,
    "worst_3": worst_few,
    "worst_15": worst_k,
    "gap": gap,
    "sd": sd,
    "gini": gini,
    "cvar_10": cvar,
    "p90": p90,
}
"""By the names they have in ``scores.json``."""
