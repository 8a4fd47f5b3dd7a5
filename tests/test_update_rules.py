"""Laws of the update rules and of the state that holds q."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairseq_dro.dro.rules import CtcDro, Erm, GroupDro
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.errors import UserError

LOSSES = np.array([300.0, 400, 500, 600, 450, 350])
UNIFORM = np.full(6, 1 / 6)

losses_of_many_sizes = hnp.arrays(
    np.float64, st.integers(1, 30), elements=st.floats(1e-8, 1e8, allow_nan=False)
)
rules = st.sampled_from([GroupDro(1e-2), CtcDro(1e-3, 0.1), CtcDro(1e-2, 1.0), CtcDro(1.0, 0.5)])


def run_to_rest(rule: CtcDro, losses: np.ndarray, n_steps: int = 20_000) -> np.ndarray:
    q = np.full(len(losses), 1 / len(losses))
    for _ in range(n_steps):
        q = rule.step(q, losses)
    return q


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0.1, (0.085, 0.146, 0.208, 0.269, 0.177, 0.115)),
        (1.0, (0, 0.026, 0.282, 0.538, 0.154, 0)),
    ],
)
def test_constant_losses_end_at_the_closed_form_fixed_point(alpha, expected):
    q = run_to_rest(CtcDro(1e-4, alpha), LOSSES)
    assert q == pytest.approx(expected, abs=6e-4)
    active = q > 1e-3
    closed = LOSSES[active] * (1 + active.sum() * alpha) / LOSSES[active].sum() - alpha
    assert q[active] == pytest.approx(closed, abs=1e-6)


@pytest.mark.parametrize(
    ("eta", "expected"),
    [
        (1e-3, (0.0942, 0.1371, 0.1995, 0.2902, 0.1654, 0.1137)),
        (1e-4, (0.1584, 0.1645, 0.1708, 0.1773, 0.1676, 0.1614)),
    ],
)
def test_one_ctc_dro_step_from_uniform_matches_equation_10(eta, expected):
    assert CtcDro(eta, 0.1).step(UNIFORM, LOSSES) == pytest.approx(expected, abs=6e-5)


def test_one_group_dro_step_matches_the_formula():
    q = np.array([0.5, 0.3, 0.2])
    losses = np.array([1.0, 2.0, 4.0])
    by_hand = q * np.exp(0.1 * losses)
    assert GroupDro(0.1).step(q, losses) == pytest.approx(by_hand / by_hand.sum(), rel=1e-12)


@given(losses_of_many_sizes, rules)
def test_q_stays_a_distribution_without_overflow(losses, rule):
    q = np.full(len(losses), 1 / len(losses))
    for _ in range(5):
        q = rule.step(q, losses)
        assert np.isfinite(q).all()
        assert q.sum() == pytest.approx(1, abs=1e-12)
        assert (q > 0).all(), "a group at zero could never come back"


@given(losses_of_many_sizes, rules, st.randoms())
def test_renaming_groups_renames_q(losses, rule, random):
    order = list(range(len(losses)))
    random.shuffle(order)
    q = rule.step(np.full(len(losses), 1 / len(losses)), losses)
    assert rule.step(np.full(len(losses), 1 / len(losses)), losses[order]) == pytest.approx(
        q[order], rel=1e-9
    )


@given(st.integers(1, 200), st.floats(1e-8, 1e8), rules)
def test_equal_losses_leave_q_uniform(n_groups, loss, rule):
    q = rule.step(np.full(n_groups, 1 / n_groups), np.full(n_groups, loss))
    assert q == pytest.approx(np.full(n_groups, 1 / n_groups), rel=1e-9)


def test_a_small_alpha_tends_to_q_proportional_to_the_losses():
    q = run_to_rest(CtcDro(1e-6, 1e-3), LOSSES, 60_000)
    assert q == pytest.approx(LOSSES / LOSSES.sum(), abs=2e-3)


def test_many_small_steps_move_q_by_what_they_should():
    """In fp16 this ends at 0.9999 of the start: a step below the resolution is no step."""
    state = GroupDroState([f"g{i}" for i in range(143)], GroupDro(1e-4), "all_groups_seen")
    losses = np.zeros(143)
    losses[0] = 1.0
    for _ in range(1000):
        state.observe(losses, np.ones(143))
    assert state.q[0] * 143 == pytest.approx(1.104, abs=1e-3)


def test_weights_at_uniform_q_are_exactly_one():
    erm = Erm()
    for n_groups in range(1, 1001):
        state = GroupDroState([str(g) for g in range(n_groups)], erm, "every_update")
        assert (state.loss_weights == 1.0).all(), n_groups


def test_q_waits_until_every_group_has_been_seen_and_uses_the_mean_of_what_came():
    state = GroupDroState(["a", "b"], GroupDro(0.1), "all_groups_seen")
    assert not state.observe(np.array([2.0, 0]), np.array([1.0, 0]))
    assert not state.observe(np.array([4.0, 0]), np.array([1.0, 0]))
    assert (state.q == 0.5).all()
    assert state.observe(np.array([0, 5.0]), np.array([0, 1.0]))
    assert state.q == pytest.approx(GroupDro(0.1).step(np.array([0.5, 0.5]), np.array([3.0, 5.0])))
    assert not state.pending_count.any(), "values count once"


@pytest.mark.parametrize(("newest_share", "mean"), [(0.1, 3.1), (1.0, 4.0)])
def test_every_update_keeps_the_decayed_mean_of_groups_not_drawn(newest_share, mean):
    state = GroupDroState(["a", "b"], GroupDro(0.1), "every_update", newest_share=newest_share)
    assert not state.observe(np.array([3.0, 0]), np.array([1.0, 0])), "b was never seen"
    assert state.observe(np.array([0, 5.0]), np.array([0, 1.0]))
    assert state.observe(np.array([4.0, 0]), np.array([1.0, 0]))
    assert state.last_loss == pytest.approx([mean, 5.0])


def test_state_continues_exactly_after_a_round_trip_through_json():
    rng = np.random.default_rng(3)
    rule = CtcDro(1e-3, 0.5)
    first, second = (GroupDroState(["a", "b", "c"], rule, "all_groups_seen") for _ in range(2))
    for step in range(40):
        if step == 17:
            second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        group = rng.integers(3)
        losses, counts = np.zeros(3), np.zeros(3)
        losses[group], counts[group] = rng.uniform(1, 500), 1
        first.observe(losses, counts)
        if step >= 17:
            second.observe(losses, counts)
    assert first.state_dict() == second.state_dict()
    assert first.n_moves > 3


@pytest.mark.parametrize("groups", [["a", "c"], ["b", "a"], ["a"], ["a", "b", "c"]])
def test_state_of_other_groups_is_refused_by_name(groups):
    saved = GroupDroState(["a", "b"], GroupDro(0.1), "every_update").state_dict()
    with pytest.raises(UserError, match="other languages than the training data"):
        GroupDroState(groups, GroupDro(0.1), "every_update").load_state_dict(saved)
