"""What the true error rates of all languages may be, given the observed ones.

The observed worst is the worst true rate plus luck, and a bootstrap replicate adds luck once more.
Here the luck is taken out by a hierarchical model (Gelman et al., Bayesian Data Analysis, section
5.4, the eight schools): the root of an observed rate is normal about the root of the true one, and
the true rates come from one distribution that is learnt from them. That is normal on the scale of
the logarithm, the square root or the rate itself, of unknown centre and spread; all of these are
weighed by how well they explain what was observed, so that a long tail of bad languages is found
where there is one. One language in fifty may be anywhere: an outlier is not drawn towards the
others and says nothing of their spread.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fairseq_dro.scoring.sampling_noise import Noise

# Shapes: G languages, K points on the scale of the root of the rate, P priors, R replicates.

_POWERS = (0.0, 1.0, 2.0)  # of the root: logarithm, root, rate
_N_CENTRES, _N_SPREADS = 17, 24
_ANYWHERE = 0.02  # share of languages that follow no distribution
_FEWEST_LANGUAGES = 3  # of two no spread can be learnt
_N_POINTS = (150, 1_500)
_MOST_PRIORS = 200  # that draws are made from


def draw_true_rates(noise: Noise, seed: int = 0) -> np.ndarray:
    """[R, G] draws from the posterior; fewer than three languages learn nothing from each other."""
    roots, deviations = noise.roots, np.sqrt(noise.variances)
    n_replicates, n_languages = noise.draws.shape
    generator = np.random.default_rng([seed, n_languages, 2])
    if n_languages < _FEWEST_LANGUAGES:
        return noise.replicates()
    low = max(1e-4, float((roots - 4 * deviations).min()))
    high = float((roots + 4 * deviations).max())
    n_points = int(np.clip(2 * (high - low) / deviations.min(), *_N_POINTS))
    step = (high - low) / n_points
    points = low + step * (np.arange(n_points) + 0.5)
    deviations = np.maximum(deviations, step)[:, None]
    likelihood = np.exp(-0.5 * ((roots[:, None] - points) / deviations) ** 2) / deviations  # [G, K]
    priors = np.concatenate(list(_priors(roots, points, step)))  # [P, K]
    priors = (1 - _ANYWHERE) * priors + _ANYWHERE / n_points
    evidence = np.log(priors @ likelihood.T + 1e-300).sum(axis=1)
    weights = np.exp(evidence - evidence.max()).cumsum()
    # systematic resampling: each prior in proportion to its evidence, with one random number
    n_chosen = min(_MOST_PRIORS, n_replicates)
    places = (np.arange(n_chosen) + generator.random()) / n_chosen * weights[-1]
    chosen = generator.permutation(np.searchsorted(weights, places))
    drawn = np.concatenate([
        _draw(likelihood * priors[index], len(part), generator)
        for index, part in zip(chosen, np.array_split(np.arange(n_replicates), n_chosen))
    ])  # fmt: skip
    return (points[drawn] + step * (generator.random(drawn.shape) - 0.5)) ** 2


def _priors(roots: np.ndarray, points: np.ndarray, step: float) -> Iterator[np.ndarray]:
    """[centres x spreads, K] for each power: weights of the points, sums of 1."""
    middle = float(np.median(roots))
    n_languages = len(roots)
    for power in _POWERS:
        scaled, observed = (
            _scaled(x, power, middle) for x in (points, np.maximum(roots, points[0]))
        )
        spread = observed.std(ddof=1)
        error = max(spread / np.sqrt(n_languages), step)
        centres = observed.mean() + 4 * error * np.linspace(-1, 1, _N_CENTRES)
        # a flat prior of the spread (Gelman), up to where few languages leave it open
        widest = spread * (1 + 8 / np.sqrt(n_languages))
        spreads = np.maximum(widest * (np.arange(_N_SPREADS) + 0.5) / _N_SPREADS, step / 2)
        distance = (scaled - centres[:, None, None]) / spreads[:, None]
        density = np.exp(-0.5 * distance**2) * np.gradient(scaled, points)
        density = density.reshape(-1, len(points))
        yield density / (density.sum(axis=1, keepdims=True) + 1e-300)


def _scaled(roots: np.ndarray, power: float, middle: float) -> np.ndarray:
    """Box-Cox transform with slope 1 at the ``middle``, so that spreads mean the same for each."""
    if power == 0:
        return middle * np.log(roots / middle)
    return (roots**power - middle**power) / (power * middle ** (power - 1))


def _draw(weights: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """[n, G] points drawn by ``weights`` [G, K], all languages in one look-up."""
    sums = weights.cumsum(axis=1)
    n_languages, n_points = sums.shape
    order = np.arange(n_languages)
    sums = (sums / sums[:, -1:] + order[:, None]).ravel()
    found = np.searchsorted(sums, generator.random((n, n_languages)) + order, side="right")
    return np.clip(found - order * n_points, 0, n_points - 1)
