"""Laws of the batch planner."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_dro.data.planner import BatchPlanner, GroupSampling

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


@pytest.mark.parametrize("n_groups", [6, 18, 143])
def test_uniform_sampling_brings_each_group_once_a_round(n_groups):
    n_samples, groups = corpus(n_groups, 30 * n_groups)
    planner = BatchPlanner(20 * RATE, sampling=GroupSampling.UNIFORM)
    plan = planner.plan(n_samples, groups, epoch=1, multiple_of=4)
    drawn = [int(groups[batch[0]]) for batch in plan.batches]
    for start in range(0, len(drawn) - n_groups + 1, n_groups):
        assert sorted(drawn[start : start + n_groups]) == list(range(n_groups))


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


@pytest.mark.parametrize("sampling", list(GroupSampling))
def test_loss_times_sampling_weight_has_the_proportional_expectation(sampling):
    """Counted over an epoch: batches of a group times its factor are its share of the audio."""
    n_samples, groups = corpus(5, 5000)
    planner = BatchPlanner(20 * RATE, sampling=sampling)
    factors = planner.sampling_weights(n_samples, groups)
    shares = planner.sampling_share(n_samples, groups)
    batches = planner.plan(n_samples, groups, epoch=1).batches
    drawn = np.bincount([groups[batch[0]] for batch in batches]) / len(batches)
    audio = np.bincount(groups, n_samples) / n_samples.sum()
    for group in range(5):
        assert drawn[group] == pytest.approx(shares[group], abs=2 / len(batches))
        assert drawn[group] * factors[group] == pytest.approx(audio[group], rel=0.05)
    assert sum(shares.values()) == pytest.approx(1)
    if sampling is GroupSampling.PROPORTIONAL:
        assert set(factors.values()) == {1.0}


def test_sampling_weights_do_not_count_what_is_left_out():
    n_samples, groups = corpus(2, 400)
    n_samples[groups == 1] = 100 * RATE
    planner = BatchPlanner(50 * RATE, 80 * RATE, sampling=GroupSampling.UNIFORM)
    assert planner.sampling_weights(n_samples, groups) == {0: 1.0}
