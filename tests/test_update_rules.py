"""Laws of the update rules and of the state that holds q."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairseq_dro.criterions.group_dro_options import GroupDroConfig, rule_options
from fairseq_dro.dro.engine import GroupDroEngine
from fairseq_dro.dro.group_loss import GroupLoss, GroupLossUnit
from fairseq_dro.dro.rules import (
    RULES,
    ChiSquareDro,
    CtcDro,
    CvarDro,
    Erm,
    GroupDro,
    Rule,
    ShiftedLosses,
    make_rule,
    parameter,
)
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.errors import UserError

LOSSES = np.array([300.0, 400, 500, 600, 450, 350])
UNIFORM = np.full(6, 1 / 6)

losses_of_many_sizes = hnp.arrays(
    np.float64, st.integers(1, 30), elements=st.floats(1e-8, 1e8, allow_nan=False)
)
rules = st.sampled_from([GroupDro(1e-2), CtcDro(1e-3, 0.1), CtcDro(1e-2, 1.0), CtcDro(1.0, 0.5)])


class EqualCvar(CvarDro):
    """Greedy CVaR over groups of one size, however many there are."""

    def __init__(self, fraction: float) -> None:
        super().__init__(np.empty(0), fraction)

    def step(self, q, losses):
        return CvarDro(np.full(len(q), 1 / len(q)), self.cvar_fraction).step(q, losses)


class EqualChiSquare(ChiSquareDro):
    """Chi-square DRO over groups of one size, however many there are."""

    def __init__(self, radius: float) -> None:
        super().__init__(np.empty(0), radius)

    def step(self, q, losses):
        return ChiSquareDro(np.full(len(q), 1 / len(q)), self.radius).step(q, losses)


of_equal_groups = st.sampled_from(
    [EqualCvar(0.2), EqualCvar(1.0), EqualChiSquare(0.1), EqualChiSquare(5.0)]
)
all_rules = st.one_of(rules, of_equal_groups)


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


@dataclass(frozen=True)
class OfAUser(Rule):
    """A rule that keeps fewer manners than those of this package."""

    answer: Callable
    step_size: float = parameter(0.7, "has the name of an option, and another default")
    plain: str = "without a range"

    def step(self, q, losses):
        return self.answer(q, losses)


def written_into(q, losses):
    q *= losses
    losses /= losses.sum()
    q /= q.sum()
    return q


def test_a_rule_that_writes_into_what_it_is_given_moves_q_like_another():
    state = GroupDroState(["a", "b"], OfAUser(written_into), "every_update")
    engine = GroupDroEngine(state, GroupLossUnit(GroupLoss.PER_BATCH, 1.0, 1))
    losses, groups = torch.ones(2), torch.arange(2)
    assert engine.weigh(losses, groups).tolist() == [1.0, 1.0]
    state.observe(np.array([1.0, 3.0]), np.ones(2))
    assert engine.weigh(losses, groups).tolist() == [0.5, 1.5]
    assert state.last_loss.tolist() == [1.0, 3.0]


def test_a_rule_may_give_a_group_nothing():
    rule = OfAUser(lambda q, losses: np.array([0.0, 1.0]))
    state = GroupDroState(["a", "b"], rule, "every_update")
    assert state.observe(np.ones(2), np.ones(2)) and state.effective_groups == 1.0


@pytest.mark.parametrize(
    "answer", [[0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], [1.0], 1.0, [[0.5, 0.5]], []]
)
def test_an_answer_that_is_no_distribution_stops_the_run_by_the_rules_name(answer):
    rule = OfAUser(lambda q, losses: answer)
    state = GroupDroState(["a", "b"], rule, "every_update", trained_as={"criterion.objective": "x"})
    with pytest.raises(UserError, match="rule x answered to group losses of 2 to 4 with q = .*2 g"):
        state.observe(np.array([2.0, 4.0]), np.ones(2))
    assert state.q.tolist() == [0.5, 0.5]


def test_options_reach_the_fields_that_a_rule_inherits_and_no_others():
    @dataclass(frozen=True)
    class Inherits(GroupDro):
        more: float = parameter(3.0, "of its own")

    cfg = GroupDroConfig(step_size=0.1, rule_options={"answer": max})
    assert rule_options(cfg, OfAUser) == {
        "answer": max, "step_size": 0.7, "plain": "without a range"
    }
    cfg = GroupDroConfig(step_size=0.1)
    assert rule_options(cfg, Inherits) == {"step_size": 0.1, "more": 3.0}
    with pytest.raises(UserError, match="rule_options: answer has no default: type it"):
        rule_options(cfg, OfAUser)


def test_one_group_dro_step_matches_the_formula():
    q = np.array([0.5, 0.3, 0.2])
    losses = np.array([1.0, 2.0, 4.0])
    by_hand = q * np.exp(0.1 * losses)
    assert GroupDro(0.1).step(q, losses) == pytest.approx(by_hand / by_hand.sum(), rel=1e-12)


@given(losses_of_many_sizes, all_rules)
def test_q_stays_a_distribution_without_overflow(losses, rule):
    q = np.full(len(losses), 1 / len(losses))
    for _ in range(5):
        q = rule.step(q, losses)
        assert np.isfinite(q).all()
        assert q.sum() == pytest.approx(1, abs=1e-12)
        assert (q > 0).all(), "a group at zero could never come back"


@given(losses_of_many_sizes, all_rules, st.randoms())
def test_renaming_groups_renames_q(losses, rule, random):
    order = list(range(len(losses)))
    random.shuffle(order)
    q = rule.step(np.full(len(losses), 1 / len(losses)), losses)
    assert rule.step(np.full(len(losses), 1 / len(losses)), losses[order]) == pytest.approx(
        q[order], rel=1e-9
    )


@given(st.integers(1, 200), st.floats(1e-8, 1e8), all_rules)
def test_equal_losses_leave_q_uniform(n_groups, loss, rule):
    q = rule.step(np.full(n_groups, 1 / n_groups), np.full(n_groups, loss))
    assert q == pytest.approx(np.full(n_groups, 1 / n_groups), rel=1e-9)


def closed_form(losses: np.ndarray, alpha: float) -> np.ndarray:
    """The fixed point of CTC-DRO: groups that would be negative are out, one after another."""
    active = np.ones(len(losses), dtype=bool)
    while True:
        q = losses * (1 + active.sum() * alpha) / losses[active].sum() - alpha
        if (q[active] > 0).all():
            return np.where(active, q, 0)
        active &= q > q[active].min()


def test_143_groups_are_at_the_closed_form_fixed_point_after_5000_updates():
    """One group an update, as in training: losses arrive one by one and q waits for all."""
    rng = np.random.default_rng(0)
    losses = rng.normal(450, 25, 143)
    state = GroupDroState(
        [f"g{i}" for i in range(143)], CtcDro(1e-3, 0.1), "all_groups_seen"
    )
    for update in range(5000):
        drawn = rng.permutation(143)[:36] if update % 4 else np.arange(143)
        seen = np.isin(np.arange(143), drawn)
        state.observe(np.where(seen, losses, 0), seen.astype(float))
    expected = closed_form(losses, 0.1)
    assert 0 < (expected == 0).sum() < 143, "some groups are at rest at zero, some are not"
    assert state.q == pytest.approx(expected, abs=2e-5)


def test_cvar_puts_q_on_the_worst_groups_that_hold_the_fraction():
    shares = np.array([0.1, 0.4, 0.2, 0.3])
    losses = np.array([2.0, 1.0, 4.0, 3.0])
    q = CvarDro(shares, 0.4).step(np.full(4, 0.25), losses)
    # group 2 in full (0.2 of the 0.4), group 3 with what is left
    assert q == pytest.approx([0, 0, 0.5, 0.5], abs=1e-8)
    assert CvarDro(shares, 1.0).step(q, losses) == pytest.approx(shares)


def test_no_other_q_within_the_bounds_of_cvar_has_a_higher_loss():
    """Greedy filling maximises sum q L under q <= p / fraction, sum q = 1."""
    losses = np.array([5.0, 1, 4, 2, 3, 3])
    shares = np.array([0.05, 0.3, 0.15, 0.2, 0.1, 0.2])
    q = CvarDro(shares, 0.35).step(np.full(6, 1 / 6), losses)
    assert (q <= shares / 0.35 + 1e-9).all() and q.sum() == pytest.approx(1)
    rng = np.random.default_rng(1)
    best = q @ losses
    for _ in range(2000):
        other = np.minimum(rng.dirichlet(np.ones(6)), shares / 0.35)
        if other.sum() < 1:
            room = shares / 0.35 - other
            other += room * (1 - other.sum()) / room.sum()
        assert other @ losses <= best + 1e-9


def test_group_adjustment_lifts_small_groups():
    sizes = np.array([100, 10_000])
    rule = make_rule("group_dro", {"step_size": 0.1}, group_sizes=sizes, group_adjustment=2.0)
    losses = np.array([1.0, 1.0])
    lifted = losses + 2.0 / np.sqrt(sizes)
    assert rule.step(np.array([0.5, 0.5]), losses) == pytest.approx(
        GroupDro(0.1).step(np.array([0.5, 0.5]), lifted), rel=1e-14
    )
    assert isinstance(rule, ShiftedLosses) and rule.step(UNIFORM[:2] * 3, losses)[0] > 0.5


@pytest.mark.parametrize("objective", list(RULES))
def test_every_objective_has_its_rule_and_leaves_q_a_distribution(objective):
    rule = make_rule(objective, {"step_size": 0.1}, group_sizes=np.ones(2))
    q = rule.step(np.array([0.5, 0.5]), np.array([1.0, 2.0]))
    assert q.sum() == pytest.approx(1) and (q > 0).all()
    assert q[1] >= q[0], "no objective favours the easier group"


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


def test_every_epoch_moves_q_at_the_last_update_by_the_decayed_means():
    often = GroupDroState(["a", "b"], GroupDro(0.1), "every_update")
    rarely = GroupDroState(["a", "b"], GroupDro(0.1), "every_epoch")
    rng = np.random.default_rng(2)
    for update in range(1, 9):
        losses = rng.uniform(1, 5, 2)
        often.observe(losses, np.ones(2))
        assert rarely.observe(losses, np.ones(2), update % 4 == 0) == (update % 4 == 0)
        assert (rarely.last_loss == often.last_loss).all()
        if update == 4:
            expected = GroupDro(0.1).step(np.array([0.5, 0.5]), often.last_loss)
            assert rarely.q == pytest.approx(expected)
    assert rarely.n_moves == 2


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
    with pytest.raises(UserError, match="other groups than the training data"):
        GroupDroState(groups, GroupDro(0.1), "every_update").load_state_dict(saved)


def moved_state() -> GroupDroState:
    state = GroupDroState(["a", "b", "c"], CtcDro(1e-3, 0.5), "all_groups_seen")
    state.observe(np.array([100.0, 300, 200]), np.ones(3))
    state.observe(np.array([0.0, 7, 0]), np.array([0.0, 1, 0]))
    return state


def test_another_order_of_groups_is_adopted_by_name():
    saved = moved_state()
    other = GroupDroState(["c", "a", "b"], CtcDro(1e-3, 0.5), "all_groups_seen")
    other.adopt(saved.state_dict())
    assert (other.q == saved.q[[2, 0, 1]]).all(), "nothing is rounded"
    assert (other.pending_loss == [0, 0, 7]).all() and other.n_moves == 1


def test_an_added_group_starts_at_the_mean_weight_and_a_lost_one_leaves_its_to_all():
    saved = moved_state()
    more = GroupDroState(["a", "b", "c", "d"], CtcDro(1e-3, 0.5), "all_groups_seen")
    more.adopt(saved.state_dict())
    assert more.q[3] == pytest.approx(1 / 4)
    assert more.q[:3] == pytest.approx(saved.q * 3 / 4) and np.isnan(more.last_loss[3])
    fewer = GroupDroState(["a", "b"], CtcDro(1e-3, 0.5), "all_groups_seen")
    fewer.adopt(saved.state_dict())
    assert fewer.q == pytest.approx(saved.q[:2] / saved.q[:2].sum())


def test_losses_in_another_unit_are_dropped_and_q_is_kept(caplog):
    """Nats an utterance must not pass for nats a batch when a run resumes as ctc_dro."""
    saved = GroupDroState(["a", "b"], Erm(), "every_update", loss_unit="nats an utterance")
    saved.observe(np.array([10.0, 20.0]), np.ones(2))
    saved.q = np.array([0.7, 0.3])
    other = GroupDroState(
        ["a", "b"], CtcDro(1e-3, 0.5), "all_groups_seen", loss_unit="nats a batch of about 50 s"
    )
    other.load_state_dict(saved.state_dict())
    assert (other.q == [0.7, 0.3]).all() and np.isnan(other.last_loss).all()
    assert "in nats an utterance and now in nats a batch" in caplog.text
    same = GroupDroState(["a", "b"], Erm(), "every_update", loss_unit="nats an utterance")
    same.load_state_dict(saved.state_dict())
    assert (same.last_loss == [10, 20]).all()


def test_a_state_of_the_first_version_is_read():
    """Its checkpoints lack the seconds of audio, and what they were trained as."""
    saved = moved_state().state_dict() | {"version": 1}
    del saved["audio_seconds"], saved["loss_unit"], saved["trained_as"]
    state = GroupDroState(
        ["a", "b", "c"], CtcDro(1e-3, 0.5), "all_groups_seen",
        trained_as={"criterion.objective": "ctc_dro"},
    )
    state.require_trained_alike(saved)
    state.load_state_dict(saved)
    assert state.q.tolist() == saved["q"] and (state.audio_seconds == 0).all()


def test_the_checksum_sees_the_last_bit():
    one, other = moved_state(), moved_state()
    assert one.checksum() == other.checksum()
    other.pending_loss = np.nextafter(other.pending_loss, 1e9)
    assert one.checksum() != other.checksum()
