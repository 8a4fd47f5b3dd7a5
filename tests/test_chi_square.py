"""Chi-square DRO gives the q of the highest loss within its ball (Zhou et al. 2021)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_dro.dro.rules import Q_FLOOR, ChiSquareDro
from fairseq_dro.dro.rules.chi_square import divergence

SHARES = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
LOSSES = np.array([1.0, 2.0, 1.5, 4.0, 3.0])


def best_response(losses, radius, shares=SHARES):
    return ChiSquareDro(shares, radius).step(shares, losses)


def test_two_equal_groups_have_the_closed_form():
    """1/2 sum p (q/p - 1)^2 = 2 d^2 for q = (1/2 + d, 1/2 - d), so d = sqrt(rho / 2)."""
    q = best_response(np.array([3.0, 1.0]), 0.1, np.array([0.5, 0.5]))
    assert q == pytest.approx([0.5 + np.sqrt(0.05), 0.5 - np.sqrt(0.05)], abs=1e-12)


@pytest.mark.parametrize(
    ("n_groups", "radius", "most"), [(6, 0.5, 0.539), (6, 1.0, 0.694), (143, 1.0, 0.125)]
)
def test_the_radius_bounds_what_one_group_gets(n_groups, radius, most):
    """Equal shares, one group far above the rest: q = (1 + sqrt(2 rho (G - 1))) / G."""
    losses = np.ones(n_groups)
    losses[0] = 1e6
    q = best_response(losses, radius, np.full(n_groups, 1 / n_groups))
    assert q[0] == pytest.approx((1 + np.sqrt(2 * radius * (n_groups - 1))) / n_groups, abs=1e-9)
    assert q[0] == pytest.approx(most, abs=5e-4)


def test_without_a_bound_at_zero_q_is_linear_in_the_losses():
    """Where no group falls to zero, q_g = p_g (1 + sqrt(2 rho) (L_g - mean) / sd) under p."""
    mean = SHARES @ LOSSES
    deviation = np.sqrt(SHARES @ (LOSSES - mean) ** 2)
    expected = SHARES * (1 + np.sqrt(2 * 0.1) * (LOSSES - mean) / deviation)
    assert (expected > 0).all()
    assert best_response(LOSSES, 0.1) == pytest.approx(expected, abs=1e-10)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.floats(1e-3, 3.0))
def test_no_other_q_within_the_ball_has_a_higher_loss(seed, radius):
    rng = np.random.default_rng(seed)
    shares, losses = rng.dirichlet(np.ones(5)), rng.exponential(100, 5)
    q = best_response(losses, radius, shares)
    slack = 1e-6 + 1e-9 / shares.min() ** 2  # the floor lifts tiny weights of tiny groups
    assert divergence(q, shares) <= radius * (1 + slack) + slack
    others = rng.dirichlet(np.ones(5), 300)
    for other in others:
        if divergence(other, shares) > radius:  # pull it towards p until it is on the ball
            pull = np.sqrt(radius / divergence(other, shares))
            other = shares + pull * (other - shares)
        assert other @ losses <= q @ losses * (1 + 1e-7)


def test_the_radius_goes_from_erm_to_the_worst_group():
    assert best_response(LOSSES, 0.0) == pytest.approx(SHARES)
    assert best_response(LOSSES, 1e-13) == pytest.approx(SHARES, abs=1e-6)
    worst = best_response(LOSSES, 1e6)
    assert worst[3] == pytest.approx(1, abs=1e-8) and worst.min() >= Q_FLOOR / 2
    tied = best_response(np.array([1.0, 4.0, 1.0, 4.0, 1.0]), 1e6)
    assert tied[[1, 3]] == pytest.approx([0.75, 0.25]), "equal losses share as their data do"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_q_does_not_depend_on_the_unit_of_the_losses(scale):
    assert best_response(7 + LOSSES * scale, 0.2) == pytest.approx(
        best_response(LOSSES, 0.2), abs=1e-6
    )
