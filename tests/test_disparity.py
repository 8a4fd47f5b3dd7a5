"""Laws of the disparity numbers."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_dro.scoring import disparity
from fairseq_dro.scoring.disparity import MEASURES

rates = st.lists(st.floats(0.0, 3.0), min_size=2, max_size=40).map(np.array)
SPREADS = ("gap", "sd", "gini")


def test_by_hand() -> None:
    # ML-SUPERB's definitions: standard deviation with n - 1, worst 15 as a mean
    x = np.arange(1, 21) / 20
    expected = {
        "mean": 0.525, "worst": 1.0, "worst_3": 0.95, "worst_15": statistics.mean(x[5:]),
        "gap": 0.95,
        "sd": statistics.stdev(x), "gini": 0.3166666667, "cvar_10": 0.975, "p90": 0.905,
    }  # fmt: skip
    for name, measure in MEASURES.items():
        assert measure(x) == pytest.approx(expected[name], abs=1e-9), name


@given(rates)
def test_gini_is_the_mean_difference_over_twice_the_mean(x: np.ndarray) -> None:
    pairs = [abs(a - b) for a in x for b in x]
    expected = statistics.fmean(pairs) / (2 * x.mean()) if x.sum() > 0 else 0.0
    assert disparity.gini(x) == pytest.approx(expected, abs=1e-9)


@given(rates, st.floats(0.01, 1.0))
def test_cvar_is_the_mean_of_the_worst_share(x: np.ndarray, fraction: float) -> None:
    count = max(1.0, fraction * len(x))
    descending = sorted(x, reverse=True)
    whole, part = int(count), count - int(count)
    total = math.fsum(descending[:whole]) + (part * descending[whole] if part else 0.0)
    assert disparity.cvar(x, fraction) == pytest.approx(total / count, abs=1e-9)


@given(rates)
def test_equal_rates_have_no_spread_and_every_level_is_theirs(x: np.ndarray) -> None:
    equal = np.full(len(x), x[0])
    for name, measure in MEASURES.items():
        expected = 0.0 if name in SPREADS else x[0]
        assert measure(equal) == pytest.approx(expected, abs=1e-9), name


@given(rates, st.randoms(use_true_random=False))
def test_the_order_of_languages_changes_nothing(x: np.ndarray, random) -> None:
    shuffled = np.array(random.sample(list(x), len(x)))
    for measure in MEASURES.values():
        assert measure(shuffled) == pytest.approx(measure(x), abs=1e-12)


@given(rates)
def test_levels_lie_between_mean_and_worst(x: np.ndarray) -> None:
    tolerance = 1e-9
    assert disparity.mean(x) <= disparity.worst_k(x) + tolerance
    assert disparity.worst_k(x) <= disparity.worst(x) + tolerance
    assert disparity.mean(x) <= disparity.cvar(x) + tolerance
    assert disparity.cvar(x) <= disparity.worst(x) + tolerance
    assert disparity.gap(x) <= disparity.worst(x)
    assert -tolerance <= disparity.gini(x) <= (len(x) - 1) / len(x) + tolerance


def test_all_replicates_at_once_are_each_one_alone() -> None:
    x = np.random.default_rng(0).random((3, 50, 17))
    for name, measure in MEASURES.items():
        each = np.array([[measure(row) for row in rows] for rows in x])
        assert measure(x).shape == (3, 50)
        np.testing.assert_allclose(measure(x), each, rtol=1e-12, err_msg=name)


def test_one_language_has_levels_but_no_standard_deviation() -> None:
    x = np.array([0.3])
    assert np.isnan(disparity.sd(x))
    for name in ("mean", "worst", "worst_15", "cvar_10", "p90"):
        assert MEASURES[name](x) == pytest.approx(0.3)
    assert disparity.gap(x) == disparity.gini(x) == 0.0
