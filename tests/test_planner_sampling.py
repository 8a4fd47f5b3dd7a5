"""Laws of batches that are not proportional: full, fair to each utterance, in rounds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_dro.batching.full_batches import MOST_COPIES
from fairseq_dro.batching.planner import BatchPlanner, GroupSampling
from tests.partitions import RATE

AIMED = 50 * RATE
SAMPLED = [GroupSampling.UNIFORM, GroupSampling.TEMPERATURE, GroupSampling.Q]


def corpus_with_small_languages(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Group 0 has 5 utterances, 1 has a bit more than a batch, 2 and 3 have plenty."""
    rng = np.random.default_rng(seed)
    sizes = (5, 14, 400, 600)
    lengths = [(np.exp(rng.normal(1.5, 0.4, n)).clip(1, 15) * RATE).astype(int) for n in sizes]
    return np.concatenate(lengths), np.repeat(np.arange(4), sizes)


@pytest.mark.parametrize("sampling", SAMPLED)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_language_has_full_batches_however_little_audio_it_has(sampling, seed):
    n_samples, groups = corpus_with_small_languages(seed)
    plan = BatchPlanner(AIMED, sampling=sampling).plan(n_samples, groups, epoch=1)
    fill, group = plan.fill(n_samples, AIMED), np.array([groups[b[0]] for b in plan.batches])
    for g in range(4):
        # a batch ends at an utterance, so it may be off by half the longest
        off = n_samples[groups == g].max() / 2 / AIMED
        assert np.abs(fill[group == g] - 1).max() <= off + 1e-9
        assert fill[group == g].mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("sampling", SAMPLED)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_utterance_comes_twice_in_a_batch_only_of_a_language_with_less_than_a_batch(
    sampling, seed
):
    n_samples, groups = corpus_with_small_languages(seed)
    plan = BatchPlanner(AIMED, sampling=sampling).plan(n_samples, groups, epoch=1)
    for batch in plan.batches:
        most = max(Counter(batch.tolist()).values())
        needed = AIMED / n_samples[groups == groups[batch[0]]].sum()
        assert most == 1 if needed <= 1 else most <= np.ceil(needed)


def test_copies_are_capped():
    """Two utterances of a second fill 8 of 50 seconds, not all with 25 copies each."""
    n_samples = np.array([RATE, RATE] + [5 * RATE] * 100)
    groups = np.array([0, 0] + [1] * 100)
    planner = BatchPlanner(AIMED, sampling=GroupSampling.UNIFORM)
    for batch in planner.plan(n_samples, groups, epoch=1).batches:
        if groups[batch[0]] == 0:
            assert Counter(batch.tolist()) == {0: MOST_COPIES, 1: MOST_COPIES}


@pytest.mark.parametrize("sampling", SAMPLED)
@pytest.mark.parametrize("multiple_of", [1, 4])
def test_an_epoch_has_the_updates_that_are_asked_for(sampling, multiple_of):
    n_samples, groups = corpus_with_small_languages()
    planner = BatchPlanner(AIMED, sampling=sampling, epoch_updates=7)
    plan = planner.plan(n_samples, groups, epoch=3, multiple_of=multiple_of)
    assert len(plan.batches) == 7 * multiple_of
    assert len(set(plan.group_of_batch(groups))) == 4


def test_short_epochs_use_each_utterance_of_a_language_about_equally_often():
    """A pass is broken off at a random choice of its batches, so none is preferred."""
    n_samples, groups = corpus_with_small_languages()
    planner = BatchPlanner(AIMED, sampling=GroupSampling.Q, epoch_updates=8)
    batches = [
        batch for epoch in range(1, 121) for batch in planner.plan(
            n_samples, groups, epoch=epoch
        ).batches
    ]
    seen = np.bincount(np.concatenate(batches), minlength=len(groups))
    for g in range(4):
        of_group = seen[groups == g]  # close to Poisson where a pass is many epochs
        allowed = 4.5 * np.sqrt(of_group.mean()) if g > 1 else 0.2 * of_group.mean()
        assert np.abs(of_group - of_group.mean()).max() < allowed


@pytest.mark.parametrize("sampling", SAMPLED)
def test_over_the_epochs_each_utterance_of_a_language_comes_equally_often(sampling):
    n_samples, groups = corpus_with_small_languages()
    planner = BatchPlanner(AIMED, sampling=sampling)
    seen = sum(
        np.bincount(
            np.concatenate(planner.plan(n_samples, groups, epoch=epoch).batches),
            minlength=len(groups),
        )
        for epoch in range(1, 41)
    )
    for g in range(4):
        of_group = seen[groups == g]
        # in whole passes; the last, broken one of an epoch moves an utterance by one at most, so
        # by 0.5 sqrt(epochs) on average; small languages end it inside of a batch as well
        allowed = 4.2 * 0.5 * np.sqrt(40) if g > 1 else 0.1 * of_group.mean()
        assert np.abs(of_group - of_group.mean()).max() < allowed


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(SAMPLED), st.integers(0, 50), st.sampled_from([20 * RATE, 60 * RATE, None]),
    st.sampled_from([3, None]),
)
def test_batches_that_are_sampled_obey_the_bounds_of_memory(
    sampling, seed, max_padded_samples, max_utterances
):
    n_samples, groups = corpus_with_small_languages(seed)
    planner = BatchPlanner(AIMED, max_padded_samples, max_utterances, sampling)
    plan = planner.plan(n_samples, groups, epoch=1, multiple_of=8)
    assert len(plan.batches) % 8 == 0
    for batch in plan.batches:
        assert len(set(groups[batch])) == 1
        assert max_utterances is None or len(batch) <= max_utterances
        padded = len(batch) * n_samples[batch].max()
        assert max_padded_samples is None or padded <= max_padded_samples


@pytest.mark.parametrize(("n_groups", "multiple_of"), [(3, 1), (3, 7), (18, 4), (143, 32)])
@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("epoch_updates", [0, 5])
def test_uniform_rounds_hold_each_group_once_also_across_epochs(
    n_groups, multiple_of, changing, epoch_updates
):
    """Also where update_freq, and so the multiple, is another in each epoch."""
    rng = np.random.default_rng(n_groups)
    groups = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, 9 * n_groups) ** 2])
    groups %= n_groups
    n_samples = rng.integers(RATE, 9 * RATE, len(groups))
    planner = BatchPlanner(
        20 * RATE, sampling=GroupSampling.UNIFORM, epoch_updates=epoch_updates
    )
    drawn = []
    multiples = [multiple_of * (epoch if changing else 1) for epoch in (1, 2, 3)]
    for epoch, multiple in enumerate(multiples, start=1):
        plan = planner.plan(
            n_samples, groups, epoch=epoch, multiple_of=multiple,
            earlier_multiples=multiples[: epoch - 1],
        )
        assert len(plan.batches) % multiple == 0
        drawn += [int(groups[batch[0]]) for batch in plan.batches]
    for start in range(0, len(drawn) - n_groups + 1, n_groups):
        assert sorted(drawn[start : start + n_groups]) == list(range(n_groups))
    first, second = drawn[:n_groups], drawn[n_groups : 2 * n_groups]
    assert first != second or n_groups == 3, "rounds differ in order"
