"""How much observed error rates vary by the choice of speakers and sentences.

All on the scale of the square root of the rate, where the variance does not depend on the rate: a
rate r over L reference units has the variance phi r / L, its root phi / (4 L). phi is the
dispersion: 1 if errors were independent, more as utterances differ in difficulty.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fairseq_dro.scoring.bootstrap import Block, Blocks, replicate_rates
from fairseq_dro.scoring.intervals import FEWEST_BLOCKS

# Shapes: G languages, R replicates.

SHRINKAGE_BLOCKS = 20
"""So many blocks of a language weigh as much as all others in its dispersion."""


class Noise(NamedTuple):
    """Square roots of rates, and how they vary."""

    roots: np.ndarray  # [G] sqrt(rate + variance): unbiased to first order, as Anscombe's (1948)
    variances: np.ndarray  # [G] of the roots
    draws: np.ndarray  # [R, G] of mean 0 and these variances

    def rates(self, roots: np.ndarray, copies: int = 1) -> np.ndarray:
        """[..., G] squares without the bias of ``copies`` variances that are in ``roots``."""
        return np.maximum(np.maximum(roots, 0.0) ** 2 - copies * self.variances, 0.0)

    def replicates(self) -> np.ndarray:
        """[R, G] rates about the observed ones: noise is in a replicate twice."""
        return self.rates(self.roots + self.draws, copies=2)


def sampling_noise(blocks: Blocks, n_replicates: int, seed: int = 0) -> Noise:
    """Bootstrap replicates less their mean, scaled to a variance that languages share in part.

    A dispersion from n blocks is noise itself: it weighs (n - 1) / (n - 1 + 20) beside the mean of
    all languages, which stands in where a language has one block or no error. Where no language has
    more, errors are taken as independent.
    """
    lengths = np.array([float(block.lengths.sum()) for block in blocks.sums])
    variances = np.array([jackknife_variance(block) for block in blocks.sums])
    known = np.isfinite(variances) & (variances > 0)
    own = np.where(known, blocks.n_blocks - 1.0, 0.0)
    dispersion = np.zeros_like(lengths)
    dispersion[known] = (variances * lengths)[known] / blocks.rates[known]
    common = np.average(dispersion, weights=own) if known.any() else blocks.one_error
    dispersion = (own * dispersion + SHRINKAGE_BLOCKS * common) / (own + SHRINKAGE_BLOCKS)
    # what never varies lies at a bound, such as 1 where nothing is written: one error at most
    constant = (variances == 0) & (blocks.rates > 0) & (blocks.n_blocks >= FEWEST_BLOCKS)
    one = blocks.one_error**2 / (lengths * np.where(constant, blocks.rates, 1.0))
    dispersion = np.where(constant, np.minimum(one, dispersion), dispersion)
    variances = dispersion / (4 * lengths)
    replicates = np.nan_to_num(replicate_rates(blocks, n_replicates, seed), nan=0.0)
    draws = np.sqrt(replicates + variances)
    draws -= draws.mean(axis=0)
    spread = draws.std(axis=0)
    generator = np.random.default_rng([seed, len(lengths), 1])
    for index in np.flatnonzero(~known | (spread == 0)):  # nothing to resample: normal
        draws[:, index] = generator.standard_normal(n_replicates)
        spread[index] = 1.0
    return Noise(
        np.sqrt(blocks.rates + variances), variances, draws * (np.sqrt(variances) / spread)
    )


def jackknife_variance(block: Block) -> float:
    """Variance of a language's rate, from leaving out each block in turn.

    Nearly unbiased for a ratio with unequal lengths, where the usual linear formula is 2 % too low
    at 60 utterances and 8 % at ten. With a single block it is not known: NaN.
    """
    n, total = len(block.errors), block.lengths.sum()
    if n < 2:
        return float("nan")
    rest = total - block.lengths
    if not rest.all():  # one block holds all reference units
        return float("nan")
    residuals = block.errors - block.rate * block.lengths
    return float((n - 1) / n * ((residuals / rest) ** 2).sum())
