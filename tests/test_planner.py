"""Laws of the batch planner."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_dro.batching.planner import BatchPlanner, GroupSampling

RATE = 16_000


def corpus(n_groups: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-normal lengths of 0.5 to 20 s, unevenly spread over groups."""
    rng = np.random.default_rng(seed)
    uneven = (n_groups * rng.random(n - n_groups) ** 2).astype(int)
    groups = np.concatenate([np.arange(n_groups), uneven])
    n_samples = (np.exp(rng.normal(1.4, 0.5, n)).clip(0.5, 20) * RATE).astype(np.int64)
    return n_samples, groups


corpora = st.builds(
    corpus, st.integers(1, 12), st.integers(80, 400), st.integers(0, 10_000)
)
planners = st.builds(
    BatchPlanner,
    batch_samples=st.sampled_from([10 * RATE, 50 * RATE]),
    max_padded_samples=st.sampled_from([None, 25 * RATE, 80 * RATE]),
    max_utterances=st.sampled_from([None, 7]),
    seed=st.integers(0, 5),
)


@settings(deadline=None, max_examples=60)
@given(corpora, planners, st.integers(1, 4), st.sampled_from([1, 2, 3, 8, 16]))
def test_proportional_holds_every_utterance_once_in_single_group_batches(
    lengths_and_groups, planner, epoch, multiple_of
):
    n_samples, groups = lengths_and_groups
    plan = planner.plan(n_samples, groups, epoch=epoch, multiple_of=multiple_of)
    assert sorted(np.concatenate(plan.batches)) == list(range(len(groups)))
    assert len(plan.left_out) == 0
    assert len(plan.batches) % multiple_of == 0, "no worker may need a dummy batch"
    for batch in plan.batches:
        assert len(set(groups[batch])) == 1
        if planner.max_padded_samples is not None:
            assert len(batch) * n_samples[batch].max() <= planner.max_padded_samples
        if planner.max_utterances is not None:
            assert len(batch) <= planner.max_utterances


def test_the_same_arguments_give_the_same_batches_and_another_epoch_others():
    n_samples, groups = corpus(6, 500)
    planner = BatchPlanner(50 * RATE, seed=3)
    first, again, other = (planner.plan(n_samples, groups, epoch=e) for e in (1, 1, 2))
    assert [b.tolist() for b in first.batches] == [b.tolist() for b in again.batches]
    assert {frozenset(b.tolist()) for b in first.batches} != {
        frozenset(b.tolist()) for b in other.batches
    }, "composition varies between epochs, not only order"


@pytest.mark.parametrize("sampling", list(GroupSampling))
@pytest.mark.parametrize("split", [(1, 4), (2, 2), (4, 1)])
def test_workers_times_micro_batches_alone_decide_what_an_update_holds(sampling, split):
    workers, micro_batches = split
    n_samples, groups = corpus(6, 500)
    planner = BatchPlanner(20 * RATE, sampling=sampling)
    plan = planner.plan(n_samples, groups, epoch=1, multiple_of=4)
    shards = [plan.batches[worker::workers] for worker in range(workers)]
    updates = [
        {i for shard in shards for batch in shard[u : u + micro_batches] for i in batch.tolist()}
        for u in range(0, len(shards[0]), micro_batches)
    ]
    expected = [
        {i for batch in plan.batches[u : u + 4] for i in batch.tolist()}
        for u in range(0, len(plan.batches), 4)
    ]
    assert updates == expected


def test_temperature_draws_groups_by_the_root_of_their_seconds():
    n_samples, groups = corpus(4, 4000)
    planner = BatchPlanner(20 * RATE, sampling=GroupSampling.TEMPERATURE, temperature=2)
    plan = planner.plan(n_samples, groups, epoch=1)
    drawn = np.bincount([groups[batch[0]] for batch in plan.batches], minlength=4)
    share = np.sqrt(np.bincount(groups, n_samples))
    assert drawn / drawn.sum() == pytest.approx(share / share.sum(), abs=1 / len(plan.batches))


def test_batches_are_filled_and_hardly_padded():
    n_samples, groups = corpus(20, 8000)
    plan = BatchPlanner(50 * RATE, 80 * RATE).plan(n_samples, groups, epoch=1)
    fill = plan.fill(n_samples, 50 * RATE)
    assert fill.mean() == pytest.approx(1, abs=0.03)
    assert np.quantile(fill, [0.05, 0.95]) == pytest.approx(1, abs=0.15)
    assert plan.padding(n_samples) < 0.06


@pytest.mark.parametrize("multiple_of", [16, 32, 48])
def test_a_multiple_is_reached_without_halving_any_batch(multiple_of):
    """The languages whose sums change least get a batch more or less."""
    n_samples, groups = corpus(6, 4000)
    plan = BatchPlanner(50 * RATE).plan(n_samples, groups, epoch=1, multiple_of=multiple_of)
    free = BatchPlanner(50 * RATE).plan(n_samples, groups, epoch=1)
    assert len(plan.batches) % multiple_of == 0
    shrunk = len(free.batches) / len(plan.batches)
    fill = plan.fill(n_samples, 50 * RATE)
    assert fill.mean() == pytest.approx(free.fill(n_samples, 50 * RATE).mean() * shrunk, rel=0.02)
    assert fill.min() > 0.7
    of_group = [fill[[groups[b[0]] == g for b in plan.batches]].mean() for g in range(6)]
    assert min(of_group) > 0.85 * shrunk
    assert max(of_group) < 1.15 * max(shrunk, 1)


def test_an_utterance_beyond_the_memory_bound_is_left_out_and_named():
    n_samples, groups = corpus(3, 90)
    n_samples[7] = 100 * RATE
    plan = BatchPlanner(50 * RATE, 80 * RATE).plan(n_samples, groups, epoch=1)
    assert plan.left_out.tolist() == [7]
    assert sorted(np.concatenate(plan.batches)) == [i for i in range(90) if i != 7]


def test_order_of_batches_is_random_not_by_length():
    n_samples, groups = corpus(1, 2000)
    plan = BatchPlanner(50 * RATE).plan(n_samples, groups, epoch=1)
    longest = [n_samples[batch].max() for batch in plan.batches]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3


def moves_of_q(planner: BatchPlanner, n_samples, groups, n_epochs: int = 3) -> np.ndarray:
    """Batches between two moves of q that waits until every group was seen."""
    drawn = [
        int(groups[batch[0]])
        for epoch in range(1, n_epochs + 1)
        for batch in planner.plan(n_samples, groups, epoch=epoch).batches
    ]
    n_groups, waiting, moves = len(set(groups.tolist())), set(), [0]
    for position, group in enumerate(drawn, start=1):
        waiting.add(group)
        if len(waiting) == n_groups:
            moves.append(position)
            waiting.clear()
    return np.diff(moves)


def test_between_moves_of_q_lie_few_batches_more_than_there_are_groups():
    """Of groups of one size random batches would need G H_G: 63 for 18 groups."""
    n_samples = np.full(18 * 400, 5 * RATE)
    groups = np.repeat(np.arange(18), 400)
    assert moves_of_q(BatchPlanner(50 * RATE), n_samples, groups).mean() < 2 * 18
    uniform = BatchPlanner(50 * RATE, sampling=GroupSampling.UNIFORM)
    assert set(moves_of_q(uniform, n_samples, groups)) == {18}


def idle_share(cost: np.ndarray, workers: int, micro_batches: int) -> float:
    """Of the workers' time, when each update takes as long as its slowest worker."""
    per_worker = cost.reshape(-1, micro_batches, workers).sum(1)
    return 1 - per_worker.sum() / (workers * per_worker.max(1).sum())


@pytest.mark.parametrize("sampling", list(GroupSampling))
@pytest.mark.parametrize("micro_batches", [1, 4])
def test_workers_idle_less_than_half_as_long_as_in_a_random_order(sampling, micro_batches):
    n_samples, groups = corpus(20, 12_000)
    planner = BatchPlanner(50 * RATE, sampling=sampling)
    plan = planner.plan(n_samples, groups, epoch=1, multiple_of=8 * micro_batches)
    cost = np.array([len(batch) * n_samples[batch].max() for batch in plan.batches])
    shuffled = np.random.default_rng(0).permutation(cost)
    assert idle_share(cost, 8, micro_batches) < idle_share(shuffled, 8, micro_batches) / 2


def test_within_an_update_batches_that_workers_take_together_are_neighbours_in_cost():
    n_samples, groups = corpus(20, 6000)
    plan = BatchPlanner(50 * RATE).plan(n_samples, groups, epoch=1, multiple_of=32)
    cost = np.array([len(batch) * n_samples[batch].max() for batch in plan.batches])
    assert (np.diff(cost.reshape(-1, 32)) <= 0).all()


@pytest.mark.parametrize("sampling", list(GroupSampling))
def test_an_update_of_like_costs_holds_as_many_groups_as_a_random_one(sampling):
    n_samples, groups = corpus(12, 6000)
    groups[groups < 6] = 0  # one group has far more than the others
    planner = BatchPlanner(20 * RATE, sampling=sampling)
    plan = planner.plan(n_samples, groups, epoch=1, multiple_of=8)
    drawn = np.array([groups[batch[0]] for batch in plan.batches])

    def groups_of_an_update(drawn: np.ndarray) -> float:
        return float(np.mean([len(set(update)) for update in drawn.reshape(-1, 8).tolist()]))

    shuffled = np.random.default_rng(0).permutation(drawn)
    assert groups_of_an_update(drawn) >= groups_of_an_update(shuffled)


@pytest.mark.parametrize("n_utterances", [1, 2, 7])
@pytest.mark.parametrize("sampling", list(GroupSampling))
def test_few_utterances_are_planned_as_well(n_utterances, sampling):
    n_samples = np.full(n_utterances, 3 * RATE)
    groups = np.arange(n_utterances) % 2
    plan = BatchPlanner(50 * RATE, sampling=sampling).plan(
        n_samples, groups, epoch=1, multiple_of=4
    )
    assert set(np.concatenate(plan.batches)) == set(range(n_utterances))
    if sampling is GroupSampling.PROPORTIONAL:
        assert len(plan.batches) == min(n_utterances, 4 * -(-n_utterances // 4), 4)


def test_no_utterance_that_fits_gives_no_batch():
    plan = BatchPlanner(50 * RATE, 80 * RATE).plan(
        np.full(3, 90 * RATE), np.zeros(3, int), epoch=1, multiple_of=4
    )
    assert plan.batches == [] and plan.left_out.tolist() == [0, 1, 2]


GOLDEN = {
    "proportional": 3859360751, "uniform": 4165962766, "temperature": 3590870038, "q": 326738306
}


@pytest.mark.parametrize("sampling", list(GroupSampling))
def test_a_plan_is_the_same_on_every_machine(sampling):
    """Else a run could not resume elsewhere. A planner changed on purpose renews these numbers."""
    rng = np.random.default_rng(0)
    n_samples = rng.integers(RATE, 15 * RATE, 3000)
    groups = rng.integers(0, 9, 3000) * rng.integers(0, 2, 3000)
    planner = BatchPlanner(50 * RATE, 80 * RATE, sampling=sampling, seed=7)
    batches = planner.plan(n_samples, groups, epoch=3, multiple_of=8).batches
    text = "\n".join(" ".join(map(str, batch.tolist())) for batch in batches)
    assert zlib.crc32(text.encode()) == GOLDEN[sampling.value]
