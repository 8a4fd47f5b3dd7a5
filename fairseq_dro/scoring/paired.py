"""Differences between two arms on the same test utterances, with intervals and p-values.

An *arm* is one way of training, run once or with several seeds. Utterances are paired: both arms
heard the same ones, so what makes an utterance hard for both cancels. They are counted in *blocks*
that are independent of each other (a speaker, or a single utterance where speakers are unknown).
A difference is other - baseline, as a fraction; below 0 the other arm makes fewer errors.

Two things vary: which utterances the test split happens to hold, and training (seeds). Their
variances are estimated apart and added:

- *test sampling*: blocks are drawn with replacement within each language, the same draw for every
  arm and seed (paired block bootstrap). B - 1 of B blocks are drawn, which makes the variance of a
  sum unbiased even for a few blocks (McCarthy and Snowden, The bootstrap and finite population
  sampling, 1985; drawing B is too narrow by (B - 1) / B);
- *training*: an arm's number is the mean over its runs, with the variance of a mean of runs. An arm
  of one run borrows the variance of the other arm's runs; with one run each there is none to
  estimate, and the interval holds for *these two models* only. Variances are not pooled over
  languages: a seed can be good for all of them at once, and many languages would then look like
  many independent estimates of what a few runs say.

An interval is estimate -+ t * standard error, with Satterthwaite's degrees of freedom: percentile
intervals reject a true null in 16 to 24 % of cases with 3 to 5 blocks, where this rejects in 4 to
5 % (``scripts/benchmark_paired.py``). Bootstrapping seeds would have the same fault, as a few runs
are all there are.

**The worst is not smooth.** The highest of many noisy rates is too high by chance, the more the
more languages are near the top, and resampling adds noise once more. Where one arm has one bad
language and the other many nearly equal ones, the observed difference is biased. The bootstrap sees
a part of that bias, b: all of it where rates lie apart, sqrt(2) - 1 of it where languages tie
(their spread is then all noise, sigma, and that of a replicate sqrt(2) sigma). So an interval is
stretched to reach both the plain estimate and the one corrected by b / (sqrt(2) - 1), and p is the
largest on the way. What this leaves uncovered is measured in ``scripts/benchmark_paired.py``: with
one outlier against half of 40 languages level at the same worst, nominal 95 % intervals of the
worst cover 88 % (the percentile interval 25 %), with 143 languages 84 % (12 %), and those of the
worst tenth 72 % (0 %). Between equal arms all sizes are 5 % or less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from fairseq_dro.scoring.bootstrap import CONFIDENCE, MOST_BLOCKS, N_MOMENTS

# Shapes: G languages, N blocks, R replicates, S runs of an arm, A arms.

TIE_LIMIT = 1 / (np.sqrt(2) - 1)  # of all bias to the bias that the bootstrap sees

Functional = Callable[[np.ndarray], np.ndarray]  # rates [..., G] -> [...]


@dataclass(frozen=True)
class PairedBlocks:
    """Errors of all arms on the same blocks.

    Attributes:
        languages: G names.
        language: [N] index into ``languages`` of each block.
        lengths: [N] reference units of each block, the same for all arms.
        errors: one array [S, N] an arm; arms may differ in S.
    """

    languages: Sequence[str]
    language: np.ndarray
    lengths: np.ndarray
    errors: Sequence[np.ndarray]

    @property
    def n_blocks(self) -> np.ndarray:
        """[G] blocks of each language that have a reference unit."""
        return np.bincount(self.language[self.lengths > 0], minlength=len(self.languages))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """[..., N] -> [..., G], added up by language."""
        order = np.argsort(self.language, kind="stable")
        starts = np.searchsorted(self.language[order], np.arange(len(self.languages)))
        return np.add.reduceat(np.asarray(values, float)[..., order], starts, axis=-1)

    def rates(self, arm: int) -> np.ndarray:
        """[S, G] error rates, as fractions; NaN where a language has no reference unit."""
        lengths = self.sums(self.lengths)
        return self.sums(self.errors[arm]) / np.where(lengths > 0, lengths, np.nan)


@dataclass(frozen=True)
class Difference:
    """Differences other - baseline; all fields are arrays of one shape, or all single numbers.

    Attributes:
        estimate: of the observed rates, without correction.
        low, high: interval at ``CONFIDENCE``; NaN where nothing can be said (one block).
        p: two-sided, uncorrected for the number of comparisons.
        standard_error: of test sampling and training together.
        training_share: of the variance, that between seeds; NaN where no arm has two runs.
        correction: what the estimate, and one end of its interval, is at most moved by because the
            number is not smooth; 0 for a single language. Where it is larger than the standard
            error the interval covers too rarely (see the head of this file).
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    standard_error: np.ndarray
    training_share: np.ndarray
    correction: np.ndarray

    def at(self, index: int) -> Difference:
        """One of them."""
        return Difference(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class Replicates:
    """Sums of resampled blocks, the same draw for every arm and run.

    Attributes:
        errors: one array [S, R, G] an arm; NaN where nothing is known of how a language varies.
        lengths: [R, G].
    """

    errors: Sequence[np.ndarray]
    lengths: np.ndarray

    def rates(self, arm: int) -> np.ndarray:
        """[S, R, G]"""
        return self.errors[arm] / self.lengths


def difference_by_language(blocks: PairedBlocks, baseline: int, other: int) -> Difference:
    """Difference of the error rate of each language, [G].

    The standard error of test sampling is the one that the bootstrap tends to with ever more
    replicates: that of the ratio's linearisation, sqrt(B / (B - 1) sum(residual^2)) / length. It is
    taken as no less than one error in the language, because a few blocks can agree by chance.
    """
    length = blocks.sums(blocks.lengths)
    by_run = [blocks.rates(arm) for arm in (baseline, other)]
    estimate = by_run[1].mean(axis=0) - by_run[0].mean(axis=0)
    block_difference = blocks.errors[other].mean(axis=0) - blocks.errors[baseline].mean(axis=0)
    residual = block_difference - estimate[blocks.language] * blocks.lengths
    n_blocks = blocks.n_blocks.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        inflation = np.where(n_blocks > 1, n_blocks / (n_blocks - 1), np.nan)
    sampling = np.maximum(inflation * blocks.sums(residual**2), 1.0) / length**2
    sampling = np.where(np.isnan(inflation), np.nan, sampling)
    return _difference(estimate, np.zeros_like(estimate), sampling, n_blocks - 1, by_run)


def resample(
    blocks: PairedBlocks, n_replicates: int = N_MOMENTS, seed: int = 0
) -> Replicates:
    """Draw B - 1 of each language's B blocks with replacement, ``n_replicates`` times.

    A language of one block says nothing of how it varies, and is taken to vary as the others do.
    """
    generator = np.random.default_rng(seed)
    n_languages, n_blocks = len(blocks.languages), blocks.n_blocks
    errors = [np.empty((len(runs), n_replicates, n_languages)) for runs in blocks.errors]
    lengths = np.empty((n_replicates, n_languages))
    for g in range(n_languages):
        mine = np.flatnonzero(blocks.language == g)
        values = np.vstack([blocks.lengths[mine], *(runs[:, mine] for runs in blocks.errors)])
        if n_blocks[g] > 1:
            sums = _draw(_pooled(values), n_replicates, generator)  # [1 + runs of all arms, R]
        else:
            sums = _as_others(blocks, values.sum(axis=1), n_replicates, [seed, g])
        lengths[:, g] = sums[0]
        start = 1
        for arm_errors in errors:
            arm_errors[:, :, g] = sums[start : start + len(arm_errors)]
            start += len(arm_errors)
    return Replicates(errors, lengths)


def differences_of_functionals(
    blocks: PairedBlocks,
    replicates: Replicates,
    functionals: Mapping[str, Functional],
    baseline: int,
    other: int,
) -> dict[str, Difference]:
    """Difference of each functional of the languages' rates, such as the worst.

    An arm's number is the mean over its runs of the functional of each run: the worst language that
    a run is expected to have, not the worst of averaged rates. ``micro``, the rate of all
    utterances together, is added to what is asked for; it is no functional of the rates.
    """
    arms = (baseline, other)
    observed = [blocks.rates(arm) for arm in arms]
    drawn = [replicates.rates(arm) for arm in arms]
    by_run = [[functional(rates) for functional in functionals.values()] for rates in observed]
    by_draw = [
        [functional(rates).mean(axis=0) for functional in functionals.values()] for rates in drawn
    ]
    total, drawn_total = blocks.lengths.sum(), replicates.lengths.sum(axis=1)
    for position, arm in enumerate(arms):
        by_run[position].append(blocks.errors[arm].sum(axis=1) / total)
        by_draw[position].append(replicates.errors[arm].sum(axis=2).mean(axis=0) / drawn_total)
    columns = [np.stack(values, axis=1) for values in by_run]  # [S, F]
    estimate = columns[1].mean(axis=0) - columns[0].mean(axis=0)
    replicate = np.stack(by_draw[1]) - np.stack(by_draw[0])  # [F, R]
    degrees = _VarianceByLanguage(drawn).degrees(replicate, blocks.n_blocks)
    together = _difference(
        estimate, replicate.mean(axis=1) - estimate, replicate.var(axis=1, ddof=1), degrees, columns
    )
    return {name: together.at(index) for index, name in enumerate([*functionals, "micro"])}


def holm(p: np.ndarray) -> np.ndarray:
    """p-values after Holm's step-down correction, which bounds the chance of any false finding.

    Holm (Scandinavian Journal of Statistics 6, 1979). NaN are no comparisons: they stay NaN and do
    not count.
    """
    p = np.asarray(p, float)
    corrected = np.full_like(p, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return corrected


def _pooled(values: np.ndarray) -> np.ndarray:
    """[K, B] with at most ``MOST_BLOCKS`` columns, each the sum of as many blocks (or one more)."""
    if values.shape[1] <= MOST_BLOCKS:
        return values
    bundle = np.arange(values.shape[1]) % MOST_BLOCKS
    return np.stack([np.bincount(bundle, row, MOST_BLOCKS) for row in values])


def _draw(values: np.ndarray, n_replicates: int, generator: np.random.Generator) -> np.ndarray:
    """[K, B] -> [K, R]; a replicate without any reference unit (first row) is what was observed."""
    n_blocks = values.shape[1]
    drawn = generator.integers(0, n_blocks, size=(n_replicates, n_blocks - 1))
    cells = drawn + n_blocks * np.arange(n_replicates)[:, None]
    times = np.bincount(cells.ravel(), minlength=n_replicates * n_blocks)
    sums = values @ times.reshape(n_replicates, n_blocks).T.astype(float)
    return np.where(sums[0] > 0, sums, values.sum(axis=1, keepdims=True))


def _as_others(
    blocks: PairedBlocks, observed: np.ndarray, n_replicates: int, seed: Sequence[int]
) -> np.ndarray:
    """[K, R] sums of a language of one block, by what blocks of other languages are off by.

    As in ``sampling_noise``, the variance of errors grows with the errors to be expected. What a
    block is off by is drawn for all runs together, so that pairing is kept. NaN without others.

    Args:
        observed: [K] its length, and the errors of each run.
    """
    runs = np.vstack(blocks.errors)
    rates = blocks.sums(runs) / blocks.sums(blocks.lengths)
    expected = rates.mean(axis=0)[blocks.language] * blocks.lengths
    n = blocks.n_blocks[blocks.language]
    known = (n > 1) & (expected > 0)
    off = (runs - rates[:, blocks.language] * blocks.lengths)[:, known]
    off *= np.sqrt(n / np.maximum(1, n - 1) / np.maximum(expected, 1e-300))[known]
    if not off.size:
        return np.vstack([np.full(n_replicates, observed[0]),
                          np.full((len(runs), n_replicates), np.nan)])  # fmt: skip
    drawn = off[:, np.random.default_rng(seed).integers(0, off.shape[1], n_replicates)]
    errors = observed[1:, None] + np.sqrt(max(1.0, observed[1:].mean())) * drawn
    return np.vstack([np.full(n_replicates, observed[0]), np.maximum(errors, 0.0)])


def _difference(
    estimate: np.ndarray,
    bias: np.ndarray,
    sampling: np.ndarray,
    degrees: np.ndarray,
    by_run: Sequence[np.ndarray],
) -> Difference:
    """Put variances together; arrays are [...], those of ``by_run`` [S, ...].

    Args:
        bias: of the estimate as far as the bootstrap sees it.
        sampling: variance of test sampling, with its degrees of freedom.
    """
    from scipy import special  # imported when used, as it is large

    training, training_squares = _training_variance(by_run)
    variance = sampling + training
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.where(sampling > 0, sampling**2 / degrees, 0.0) + training_squares
        degrees = np.maximum(1.0, np.where(squares > 0, variance**2 / squares, np.inf))
        degrees = np.where(np.isnan(sampling), np.nan, np.minimum(degrees, 1e6))
        standard_error = np.sqrt(variance)
        t = special.stdtrit(degrees, (1 + CONFIDENCE) / 2) * standard_error
        corrected = estimate - TIE_LIMIT * bias
        nearest = np.minimum(np.abs(estimate), np.abs(corrected))
        nearest = np.where(estimate * corrected <= 0, 0.0, nearest)
        statistic = np.where(nearest == 0, 0.0, nearest / standard_error)
        statistic = np.where(np.isnan(sampling), np.nan, statistic)
        share = training / variance
    has_seeds = max(len(runs) for runs in by_run) > 1
    return Difference(
        estimate=estimate,
        low=np.minimum(estimate, corrected) - t,
        high=np.maximum(estimate, corrected) + t,
        p=2 * special.stdtr(degrees, -np.abs(statistic)),
        standard_error=standard_error,
        training_share=share if has_seeds else np.full_like(variance, np.nan),
        correction=corrected - estimate,
    )


def _training_variance(by_run: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the difference by seeds, and the sum of variance^2 / degrees of its parts."""
    n_runs = [len(runs) for runs in by_run]
    variances = [runs.var(axis=0, ddof=1) if len(runs) > 1 else None for runs in by_run]
    if variances[0] is None and variances[1] is None:
        zero = np.zeros(np.shape(by_run[0])[1:])
        return zero, zero
    if variances[0] is not None and variances[1] is not None:
        parts = [variance / n for variance, n in zip(variances, n_runs)]
        return parts[0] + parts[1], sum(part**2 / (n - 1) for part, n in zip(parts, n_runs))
    lender = 0 if variances[0] is not None else 1
    borrowed = variances[lender] * (1 / n_runs[0] + 1 / n_runs[1])
    return borrowed, borrowed**2 / (n_runs[lender] - 1)


class _VarianceByLanguage:
    """How much of a number's bootstrap variance comes from each language.

    Draws are independent between languages, so the variance that a language explains is that of the
    regression of the number on its own rates (one an arm). The worst hangs on one or two languages
    and has about their degrees of freedom; the mean has those of all together.
    """

    def __init__(self, drawn_rates: Sequence[np.ndarray]) -> None:
        rates = np.stack([np.nan_to_num(runs.mean(axis=0)) for runs in drawn_rates])  # [A, R, G]
        self._rates = rates - rates.mean(axis=1, keepdims=True)
        covariance = np.einsum("arg,brg->gab", self._rates, self._rates)
        self._inverse = np.linalg.pinv(covariance, hermitian=True)  # [G, A, A]

    def degrees(self, replicate: np.ndarray, n_blocks: np.ndarray) -> np.ndarray:
        """Satterthwaite's degrees of freedom, [F], of numbers from their replicates [F, R]."""
        centred = replicate - replicate.mean(axis=1, keepdims=True)
        cross = np.einsum("arg,fr->fga", self._rates, centred, optimize=True)
        explained = np.einsum("fga,gab,fgb->fg", cross, self._inverse, cross, optimize=True)
        chance = len(self._rates) * (centred**2).mean(axis=1)  # what unrelated rates explain
        explained = np.maximum(0.0, explained - 2 * chance[:, None]) * (n_blocks > 1)
        squares = (explained**2 / np.maximum(1, n_blocks - 1)).sum(axis=1)
        everything = max(1, int(n_blocks.sum() - len(n_blocks)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(squares > 0, explained.sum(axis=1) ** 2 / squares, everything)
