"""Student's t distribution, vectorised: two-sided p-values and quantiles.

NumPy has neither, and scipy would be a large dependency for two functions. The distribution is an
incomplete beta function, P(|T| >= t) = I_x(df / 2, 1 / 2) at x = df / (df + t^2) (Abramowitz and
Stegun 26.7.1), here by its continued fraction (26.5.8) with Lentz's recurrence.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

_log_gamma = np.vectorize(math.lgamma, otypes=[float])
_MOST_TERMS = 500
_MOST_STEPS = 60
_NEARLY_ZERO = 1e-300


def two_sided_p(t: ArrayLike, degrees: ArrayLike) -> np.ndarray:
    """P(abs(T) >= abs(t)); 0 at infinite t, NaN where t or the degrees of freedom are NaN.

    Args:
        t, degrees: statistics and degrees of freedom (> 0), of shapes that broadcast together.
    """
    t, degrees = np.broadcast_arrays(np.asarray(t, float), np.asarray(degrees, float))
    with np.errstate(over="ignore"):
        squared = t * t
    x = np.where(np.isinf(squared), 0.0, degrees / (degrees + squared))
    return _incomplete_beta(degrees / 2, np.full_like(degrees, 0.5), x)


def quantile(confidence: float, degrees: ArrayLike) -> np.ndarray:
    """The t of a two-sided interval: P(abs(T) <= t) = ``confidence``.

    By Newton's method from the normal quantile: the tail is convex and the normal quantile the
    smallest of all, so that every step goes up and none too far.

    Args:
        confidence: between 0 and 1, such as 0.95.
        degrees: degrees of freedom, 1 or more; NaN stays NaN.
    """
    degrees = np.asarray(degrees, float)
    t = np.full_like(degrees, NormalDist().inv_cdf((1 + confidence) / 2))
    log_height = _log_gamma((degrees + 1) / 2) - _log_gamma(degrees / 2)
    log_height = log_height - 0.5 * np.log(degrees * math.pi)
    for _ in range(_MOST_STEPS):
        log_density = log_height - (degrees + 1) / 2 * np.log1p(t * t / degrees)
        step = (two_sided_p(t, degrees) - (1 - confidence)) / (2 * np.exp(log_density))
        t = t + step
        if not np.any(np.abs(step) > 1e-9 * t):
            break
    return np.where(np.isnan(degrees), np.nan, t)


def _incomplete_beta(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Regularised I_x(a, b) for 0 <= x <= 1."""
    swap = x > (a + 1) / (a + b + 2)  # where I_x(a, b) = 1 - I_{1-x}(b, a) converges faster
    first, second, at = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, 1 - x, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_front = (
            _log_gamma(a + b) - _log_gamma(a) - _log_gamma(b)
            + first * np.log(at) + second * np.log1p(-at)
        )  # fmt: skip
    front = np.where(at <= 0, 0.0, np.exp(log_front) / first)
    value = front * _beta_fraction(first, second, at)
    return np.where(swap, 1 - value, value)


def _beta_fraction(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    c = np.ones_like(x)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            step = c * d
            value = value * step
        if not np.any(np.abs(step - 1) > 1e-14):
            break
    return value


def _away_from_zero(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) < _NEARLY_ZERO, _NEARLY_ZERO, values)
