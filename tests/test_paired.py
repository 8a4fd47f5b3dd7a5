"""Paired tests of error rates: size, coverage and power by simulation, and the laws of the parts.

Simulated utterances have a difficulty that both arms share (speaker and utterance, log-normal), one
of their own, and binomial errors. ``scripts/benchmark_paired.py`` does the same at full size.
"""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_dro.scoring.disparity import MEASURES
from fairseq_dro.scoring.levelling import best
from fairseq_dro.scoring.paired import (
    MOST_BLOCKS,
    PairedBlocks,
    difference_by_language,
    differences_of_functionals,
    holm,
    resample,
)

# Shapes: G languages, B blocks of each, S runs of an arm.


def simulate(
    rates: np.ndarray, n_blocks: int, seed: int = 0, runs: tuple[int, int] = (1, 1),
    training_noise: float = 0.0,
) -> PairedBlocks:  # fmt: skip
    """Two arms of rates [2, G]; ``training_noise`` multiplies a run's rates by exp(noise)."""
    draw = np.random.default_rng(seed)
    n_languages = rates.shape[1]
    shape = (n_languages, n_blocks)
    lengths = draw.integers(15, 90, size=(*shape, 3))
    shared = 0.4 * draw.standard_normal((*shape, 1)) + 0.4 * draw.standard_normal((*shape, 3))
    errors = []
    for arm, n_runs in enumerate(runs):
        by_run = []
        for _ in range(n_runs):
            noise = training_noise * draw.standard_normal((n_languages, 1, 1))
            own = shared + 0.3 * draw.standard_normal(shared.shape) + noise - 0.41 / 2
            p = np.minimum(0.98, rates[arm][:, None, None] * np.exp(own))
            by_run.append(draw.binomial(lengths, p).sum(axis=2).ravel())
        errors.append(np.array(by_run, dtype=float))
    names = [f"l{index:04d}" for index in range(n_languages)]
    language = np.repeat(np.arange(n_languages), n_blocks)
    return PairedBlocks(names, language, lengths.sum(axis=2).ravel().astype(float), errors)


def both(rates: np.ndarray) -> np.ndarray:
    """[2, G] of equal arms."""
    return np.stack([rates, rates])


# --- one language ---


@pytest.mark.parametrize("n_blocks", [3, 5, 20, 60])
@pytest.mark.parametrize("rate", [0.02, 0.25])
def test_equal_arms_are_called_different_in_5_of_100_languages(rate, n_blocks):
    found = difference_by_language(simulate(both(np.full(2500, rate)), n_blocks), 0, 1)
    assert 0.03 <= (found.p <= 0.05).mean() <= 0.07
    assert (found.p <= 0.01).mean() <= 0.02


def test_a_known_difference_is_found_and_its_interval_holds_it():
    rates = np.stack([np.full(1500, 0.25), np.full(1500, 0.25 * 0.7)])
    found = difference_by_language(simulate(rates, 20), 0, 1)
    assert (found.p <= 0.05).mean() > 0.95 and (found.estimate < 0).mean() > 0.99
    # rates are cut at 0.98, so the true difference is a little less than 0.075
    true = np.mean(found.estimate)
    assert true == pytest.approx(-0.075, abs=0.003)
    assert 0.93 <= ((found.low <= true) & (true <= found.high)).mean() <= 0.97


def test_holm_keeps_any_false_finding_among_50_equal_languages_at_5_of_100():
    n_trials, n_languages = 400, 50
    p = difference_by_language(simulate(both(np.full(n_trials * n_languages, 0.2)), 12), 0, 1).p
    by_trial = p.reshape(n_trials, n_languages)
    assert (by_trial <= 0.05).any(axis=1).mean() > 0.8  # what is corrected
    assert np.mean([(holm(row) <= 0.05).any() for row in by_trial]) <= 0.08


def test_pairing_takes_out_what_both_arms_share():
    blocks = simulate(both(np.full(300, 0.25)), 20)
    other = np.random.default_rng(1).permuted(np.arange(20))
    shuffled = blocks.errors[1].reshape(1, 300, 20)[:, :, other].reshape(1, -1)
    unpaired = PairedBlocks(
        blocks.languages, blocks.language, blocks.lengths, [blocks.errors[0], shuffled]
    )
    paired, apart = (
        difference_by_language(one, 0, 1).standard_error.mean() for one in (blocks, unpaired)
    )
    assert paired < 0.7 * apart


def test_identical_outputs_are_no_difference_and_the_interval_is_one_error_wide():
    blocks = simulate(both(np.full(4, 0.2)), 10)
    same = PairedBlocks(blocks.languages, blocks.language, blocks.lengths, [blocks.errors[0]] * 2)
    found = difference_by_language(same, 0, 1)
    assert (found.p == 1).all() and (found.estimate == 0).all()
    assert found.standard_error == pytest.approx(1 / blocks.sums(blocks.lengths))


def test_blocks_that_agree_by_chance_prove_nothing():
    blocks = PairedBlocks(
        ["a"], np.zeros(2, int), np.full(2, 20.0), [np.zeros((1, 2)), np.ones((1, 2))]
    )
    found = difference_by_language(blocks, 0, 1)
    assert found.p[0] > 0.05 and found.low[0] < 0 < found.high[0]


def test_one_block_gets_no_verdict_and_does_not_count_as_a_comparison():
    errors = np.array([[1.0, 9.0, 8.0, 7.0, 8.0]])
    blocks = PairedBlocks(
        ["a", "b"], np.array([0, 1, 1, 1, 1]), np.full(5, 50.0), [errors, errors - 1]
    )
    found = difference_by_language(blocks, 0, 1)
    assert np.isnan([found.p[0], found.low[0], found.high[0]]).all()
    assert found.estimate[0] == pytest.approx(-0.02)
    assert holm(found.p)[1] == found.p[1]
    numbers = differences_of_functionals(blocks, resample(blocks, 50), MEASURES, 0, 1)
    assert np.isfinite(numbers["worst"].p)


def test_one_utterance_with_text_among_empty_references_gets_no_verdict():
    blocks = PairedBlocks(
        ["a"], np.zeros(6, int), np.array([20.0, 0, 0, 0, 0, 0]),
        [np.array([[10.0, 0, 0, 0, 0, 0]]), np.array([[2.0, 0, 0, 0, 0, 0]])],
    )  # fmt: skip
    assert blocks.n_blocks.tolist() == [1] and np.isnan(difference_by_language(blocks, 0, 1).p[0])


# --- numbers over languages ---


def test_what_is_said_of_empty_references_moves_no_number_out_of_all_bounds():
    """A replicate of these alone has no rate: it was one of a thousand million."""
    blocks = simulate(both(np.full(3, 0.2)), 4)
    lengths, errors = blocks.lengths.copy(), blocks.errors[0].copy()
    lengths[:3], errors[:, :3] = 0, 7  # three of the first language's four
    blocks = PairedBlocks(blocks.languages, blocks.language, lengths, [errors, errors])
    lengths[2] = 40
    drawn = resample(blocks, 200)
    assert drawn.lengths.min() > 0 and drawn.rates(0).max() < 10


@pytest.mark.parametrize("rate", [0.1, 0.7])
def test_a_language_of_one_utterance_is_taken_to_vary_as_the_others_do(rate):
    """Its own differences are luck: without a spread they were called shown in nearly each trial"""
    found = []
    for seed in range(60):
        blocks = simulate(both(np.array([rate, 0.1, 0.2, 0.3])), 20, seed)
        kept = np.r_[0, 20:80]  # one of the first language
        blocks = PairedBlocks(blocks.languages, blocks.language[kept], blocks.lengths[kept],
                              [errors[:, kept] for errors in blocks.errors])  # fmt: skip
        numbers = differences_of_functionals(blocks, resample(blocks, 200), MEASURES, 0, 1)
        found.append([numbers[name].p < 0.05 for name in ("mean", "worst", "gap")])
    assert np.mean(found, axis=0).max() <= 0.12


@pytest.mark.parametrize("n_errors", [(3.0, 2.0), (0.0, 0.0)])
def test_where_nothing_is_known_of_how_rates_vary_there_is_no_interval(n_errors):
    blocks = PairedBlocks(
        ["a", "b", "c"], np.arange(3), np.full(3, 20.0),
        [np.array([[9.0, 5, n]]) for n in n_errors],
    )  # fmt: skip
    for value in differences_of_functionals(blocks, resample(blocks, 50), MEASURES, 0, 1).values():
        assert np.isnan([value.low, value.high, value.p]).all() and np.isfinite(value.estimate)


@pytest.mark.parametrize("differences", [[1.0, 4.0, 6.0], [2.0, 3.0, 5.0, 9.0], [3.0, 1.0] * 9])
def test_with_one_language_the_bootstrap_tends_to_the_same_test(differences):
    n_blocks = len(differences)
    errors = np.array([np.full(n_blocks, 20.0)])
    blocks = PairedBlocks(
        ["a"], np.zeros(n_blocks, int), np.full(n_blocks, 100.0), [errors, errors - differences]
    )
    limit = difference_by_language(blocks, 0, 1).at(0)
    found = differences_of_functionals(blocks, resample(blocks, 20_000), MEASURES, 0, 1)
    expected = np.std(differences, ddof=1) / np.sqrt(n_blocks) / 100
    for name in ("mean", "worst", "micro"):
        assert found[name].estimate == pytest.approx(-np.mean(differences) / 100)
        assert found[name].standard_error == pytest.approx(expected, rel=0.03)
        assert found[name].p == pytest.approx(limit.p, rel=0.15)
        assert found[name].low == pytest.approx(limit.low, rel=0.05)
    assert limit.standard_error == pytest.approx(expected)


def test_pooled_blocks_keep_the_variance():
    blocks = simulate(np.array([[0.3], [0.25]]), 10 * MOST_BLOCKS)
    found = differences_of_functionals(blocks, resample(blocks, 4000), MEASURES, 0, 1)["mean"]
    limit = difference_by_language(blocks, 0, 1)
    assert found.standard_error == pytest.approx(limit.standard_error[0], rel=0.15)


def test_the_same_seed_draws_the_same_blocks():
    blocks = simulate(both(np.full(3, 0.2)), 10)
    first, again, other = (resample(blocks, 20, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.errors[1], again.errors[1])
    assert not np.array_equal(first.errors[1], other.errors[1])


def test_equal_arms_give_equal_draws():
    blocks = simulate(both(np.full(3, 0.2)), 10)
    same = PairedBlocks(blocks.languages, blocks.language, blocks.lengths, [blocks.errors[0]] * 2)
    for found in differences_of_functionals(same, resample(same, 50), MEASURES, 0, 1).values():
        assert found.p == 1 and found.low == found.high == 0


def rejections(
    rates: np.ndarray, n_blocks: int, n_trials: int, **options
) -> tuple[dict[str, float], dict[str, float]]:
    """Share of trials with p <= 0.05, and of those whose interval holds ``rates``' difference."""
    measures = {**MEASURES, "best": best}
    rejected: dict[str, list[bool]] = {}
    covered: dict[str, list[bool]] = {}
    for trial in range(n_trials):
        blocks = simulate(rates, n_blocks, seed=trial, **options)
        found = differences_of_functionals(
            blocks, resample(blocks, 200, seed=trial), measures, 0, 1
        )
        for name, value in found.items():
            rejected.setdefault(name, []).append(bool(value.p <= 0.05))
            if name in measures:
                true = measures[name](rates[1]) - measures[name](rates[0])
                covered.setdefault(name, []).append(bool(value.low <= true <= value.high))
    return (
        {name: float(np.mean(values)) for name, values in rejected.items()},
        {name: float(np.mean(values)) for name, values in covered.items()},
    )


SPREAD = np.linspace(0.05, 0.25, 12)


def test_between_equal_arms_no_disparity_number_differs_in_more_than_5_of_100_trials():
    rejected, _ = rejections(both(SPREAD), 12, 300)
    # 5 % and two points of tolerance, and one for chance in 300 trials
    assert max(rejected.values()) <= 0.08, rejected
    assert 0.015 <= rejected["mean"]


def test_an_improved_worst_third_is_found_by_worst_and_mean():
    better = SPREAD.copy()
    better[8:] *= 0.6
    rejected, covered = rejections(np.stack([SPREAD, better]), 20, 60)
    assert rejected["mean"] > 0.95 and rejected["sd"] > 0.9 and rejected["worst"] > 0.6
    assert min(covered.values()) > 0.8, covered


def test_a_number_that_hangs_on_one_language_has_its_few_degrees_of_freedom():
    """A far-off worst language of 3 blocks among others of 40: 5 % for worst, not 15 %."""
    n_few, n_many = 3, 40
    sizes = np.array([n_few] + [n_many] * 8)
    rejected = []
    for trial in range(150):
        draw = np.random.default_rng(trial)
        language = np.repeat(np.arange(9), sizes)
        errors = [
            np.array([np.where(language == 0, 60.0, 10.0) + draw.normal(0, 5, len(language))])
            for _ in range(2)
        ]
        blocks = PairedBlocks(list("abcdefghi"), language, np.full(len(language), 100.0), errors)
        drawn = resample(blocks, 200, seed=trial)
        found = differences_of_functionals(blocks, drawn, MEASURES, 0, 1)["worst"]
        rejected.append(bool(found.p <= 0.05))
    assert np.mean(rejected) <= 0.1


def test_the_worst_of_many_level_languages_is_not_taken_for_a_harm():
    """One outlier against a level field with the same worst: the plain estimate is biased."""
    outlier = np.append(np.linspace(0.05, 0.15, 23), 0.25)
    level = np.append(np.linspace(0.15, 0.25, 12), np.full(12, 0.25))
    blocks = [simulate(np.stack([outlier, level]), 12, seed) for seed in range(60)]
    found = [
        differences_of_functionals(one, resample(one, 200), MEASURES, 0, 1)["worst"]
        for one in blocks
    ]
    plain = [abs(value.estimate) > 2 * value.standard_error for value in found]
    assert np.mean([value.estimate for value in found]) > 0.02
    assert np.mean([value.p <= 0.05 for value in found]) <= 0.2 < np.mean(plain)


# --- seeds ---


def test_seeds_as_replicates_keep_the_size_where_training_is_noisy():
    rates = both(np.full(1500, 0.2))
    for runs in ((3, 3), (2, 4), (1, 4)):
        found = difference_by_language(
            simulate(rates, 12, runs=runs, training_noise=0.15), 0, 1
        )
        assert (found.p <= 0.05).mean() <= 0.08, runs
        assert found.training_share.mean() > 0.3


def test_the_variance_is_that_of_utterances_and_that_of_runs():
    blocks = simulate(both(np.full(5, 0.2)), 12, runs=(3, 4), training_noise=0.2)
    means = PairedBlocks(
        blocks.languages, blocks.language, blocks.lengths,
        [errors.mean(axis=0, keepdims=True) for errors in blocks.errors],
    )  # fmt: skip
    utterances = difference_by_language(means, 0, 1).standard_error ** 2
    seeds = sum(blocks.rates(arm).var(axis=0, ddof=1) / n for arm, n in ((0, 3), (1, 4)))
    found = difference_by_language(blocks, 0, 1)
    assert found.standard_error**2 == pytest.approx(utterances + seeds)
    assert found.training_share == pytest.approx(seeds / (utterances + seeds))
    drawn = resample(blocks, 50)
    worst = differences_of_functionals(blocks, drawn, MEASURES, 0, 1)["worst"]
    by_run = [blocks.rates(arm).max(axis=1) for arm in (0, 1)]
    assert worst.estimate == pytest.approx(by_run[1].mean() - by_run[0].mean())
    assert worst.standard_error**2 * worst.training_share == pytest.approx(
        by_run[0].var(ddof=1) / 3 + by_run[1].var(ddof=1) / 4
    )


def test_with_one_run_each_training_noise_is_taken_for_a_difference():
    """The limit that every such comparison is printed with."""
    found = difference_by_language(
        simulate(both(np.full(1500, 0.2)), 20, training_noise=0.15), 0, 1
    )
    assert (found.p <= 0.05).mean() > 0.3
    assert np.isnan(found.training_share).all()


# --- Holm ---


def test_holm_is_his_own_step_down_rule():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])
    corrected = holm(np.array([0.02, np.nan, 0.01]))
    assert corrected[[0, 2]] == pytest.approx([0.02, 0.02]) and np.isnan(corrected[1])
    assert holm(np.array([])).shape == (0,)


