"""The rate of all utterances together (micro average) with its interval."""

from __future__ import annotations

import numpy as np

from fairseq_dro.scoring.bootstrap import CONFIDENCE, MOST_BLOCKS, N_MOMENTS, Blocks
from fairseq_dro.scoring.intervals import (
    FEWEST_BLOCKS,
    Interval,
    interval_about,
    interval_without_errors,
)

# Shapes: R replicates, n blocks of a language.

_BLOCKS = 2_000  # of all languages, about; more are put together
_FEWEST_IN_A_BUNDLE = 20  # bundles that a language keeps


def micro_interval(
    blocks: Blocks, seed: int = 0, n_replicates: int = N_MOMENTS, level: float = CONFIDENCE
) -> Interval:
    """Errors over reference units of all languages, for other utterances of the *same* languages.

    Blocks are drawn within their language, as many as it has, so that what languages differ by is
    no uncertainty (drawn from all together, a replicate would hold more or fewer of the hard ones).
    Studentised as ``intervals.language_intervals``, with the variance of a stratified ratio
    (Cochran, Sampling Techniques, 1977, section 6.11); of one language it is that language's
    interval. A language of one block says nothing of how much it varies, and adds nothing.

    There is no interval where fewer than ``FEWEST_BLOCKS`` - 1 blocks are left after one of each
    language.

    Raises:
        ValueError: there is no reference unit.
    """
    errors, lengths = blocks.totals
    if not lengths:
        raise ValueError("there is no reference unit")
    rate = errors / lengths
    n_blocks = int((blocks.n_blocks - 1).sum()) + 1  # as many as one language would need
    if n_blocks < FEWEST_BLOCKS:
        return Interval(rate, None, None)
    if not errors:
        return interval_without_errors(lengths, blocks.one_error, level)
    tail = (1 - level) / 2
    most = min(MOST_BLOCKS, max(_FEWEST_IN_A_BUNDLE, _BLOCKS // len(blocks.sums)))
    drawn_sums, drawn_spread = np.zeros((2, n_replicates)), np.zeros((3, n_replicates))
    spread = np.zeros(3)
    for index, block in enumerate(blocks.bundled(seed, most).sums):
        e, length = block.errors.astype(float), block.lengths.astype(float)
        n = len(e)
        drawn = np.random.default_rng([seed, index]).integers(0, n, size=(n, n_replicates))
        moments = np.array([e, length, e**2, e * length, length**2])
        replicates = np.array([x.take(drawn).sum(axis=0) for x in moments])  # [5, R]
        drawn_sums += replicates[:2]
        if n > 1:
            drawn_spread += _about_their_means(replicates, n)
            spread += _about_their_means(moments.sum(axis=1), n)
    replicate_lengths = np.maximum(drawn_sums[1], 1.0)
    rates = drawn_sums[0] / replicate_lengths
    deviations = _deviation(drawn_spread, rates, blocks.one_error) / replicate_lengths
    low, high = np.quantile((rates - rate) / deviations, [tail, 1 - tail])
    deviation = float(_deviation(spread, np.float64(rate), blocks.one_error)) / lengths
    return interval_about(rate, (low, high), deviation, n_blocks, level)


def _about_their_means(moments: np.ndarray, n: int) -> np.ndarray:
    """[3, ...] variances and covariance of n blocks' errors and lengths, of their sums.

    Args:
        moments: [5, ...] sums of errors e, lengths l, e^2, e l and l^2 over the blocks.
    """
    e, length, ee, el, ll = moments
    return np.array([ee - e**2 / n, el - e * length / n, ll - length**2 / n]) * (n / (n - 1))


def _deviation(spread: np.ndarray, rate: np.ndarray, one_error: float) -> np.ndarray:
    """Standard error of a rate, times its length; not below that of one error."""
    ee, el, ll = spread
    return np.sqrt(np.maximum(ee - 2 * rate * el + rate**2 * ll, 0.0) + one_error**2)
