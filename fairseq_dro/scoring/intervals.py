"""Intervals of a language's error rate: where the true one may lie.

A percentile interval of replicates covers the truth too rarely with few utterances (83 to 90 %
instead of 95 % with ten of them), as the variance is estimated from the same few. Two remedies
were measured: studentising, that is resampling (rate - estimate) / standard error (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 12), and Student's t on the logarithm of
the rate. With ten utterances the first fails where errors are rare (85 % at a rate of 0.02), the
second where nearly all is wrong (90 % at 0.9); below twenty each end is therefore taken from the
one that reaches further. That covers 90 to 99 % with ten utterances or more, 86 to 99 % with fewer
(``scripts/benchmark_intervals.py``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fairseq_dro.scoring.bootstrap import CONFIDENCE, N_MOMENTS, Block, Blocks

# Shapes: R replicates, n blocks of a language.

FEWEST_BLOCKS = 5  # below, a language's variance is not known well enough for an interval
ENOUGH_BLOCKS = 20  # from here on studentising alone holds its level


class Interval(NamedTuple):
    """A number with the ends of its interval."""

    value: float
    low: float | None  # None where there is too little data for an interval
    high: float | None


def language_intervals(
    blocks: Blocks, seed: int = 0, n_replicates: int = N_MOMENTS, level: float = CONFIDENCE
) -> dict[str, Interval]:
    """Each language's rate with its interval; languages without reference units are left out.

    There is no interval with fewer than ``FEWEST_BLOCKS`` blocks that have a reference unit.
    Without any error, the upper end is the rate that would give none with probability
    (1 - level) / 2 if errors were independent.
    """
    intervals = {}
    rated = blocks.rated()
    for index, (name, block) in enumerate(zip(rated.languages, rated.sums)):
        generator = np.random.default_rng([seed, index])
        intervals[name] = _studentised(block, rated.one_error, generator, n_replicates, level)
    return intervals


def _studentised(
    block: Block, one_error: float, generator: np.random.Generator, n_replicates: int, level: float
) -> Interval:
    errors, lengths = block.errors.astype(float), block.lengths.astype(float)
    n, rate, total = len(errors), block.rate, float(lengths.sum())
    if np.count_nonzero(lengths) < FEWEST_BLOCKS:
        return Interval(rate, None, None)
    if not errors.any():
        return interval_without_errors(total, one_error, level)
    tail = (1 - level) / 2
    drawn = generator.integers(0, n, size=(n, n_replicates))
    moments = (errors, lengths, errors**2, errors * lengths, lengths**2)
    # their sums over the n drawn blocks: [R] each
    e, length, ee, el, ll = (x.take(drawn).sum(axis=0) for x in moments)
    length = np.maximum(length, 1.0)
    rates = e / length
    # a standard error is never below that of one error: a replicate may have no spread, and 0
    # cannot be divided by
    spread = np.maximum(ee - 2 * rates * el + rates**2 * ll, 0.0)
    deviations = np.sqrt(spread * n / (n - 1) + one_error**2) / length
    low, high = np.quantile((rates - rate) / deviations, [tail, 1 - tail])
    residuals = errors - rate * lengths
    deviation = np.sqrt((residuals**2).sum() * n / (n - 1) + one_error**2) / total
    return interval_about(rate, (low, high), deviation, n, level)


def interval_without_errors(length: float, one_error: float, level: float) -> Interval:
    """Up to the rate that would give none in ``length`` with probability (1 - level) / 2."""
    return Interval(0.0, 0.0, min(1.0, float(-np.log((1 - level) / 2)) * one_error / length))


def interval_about(
    rate: float, statistics: tuple[float, float], deviation: float, n_blocks: int, level: float
) -> Interval:
    """From the quantiles of the studentised statistic; with few blocks see the head of the file.

    Args:
        rate, deviation: the observed rate, above 0, and its standard error.
        n_blocks: degrees of freedom and 1.
    """
    low, high = rate - statistics[1] * deviation, rate - statistics[0] * deviation
    if n_blocks < ENOUGH_BLOCKS:
        from scipy import special  # imported when used, as it is large

        factor = np.exp(special.stdtrit(n_blocks - 1, (1 + level) / 2) * deviation / rate)
        low, high = min(low, rate / factor), max(high, rate * factor)
    return Interval(rate, float(max(0.0, low)), float(high))
