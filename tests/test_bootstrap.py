"""Laws of the bootstrap: what varies, by how much, and how often an interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_dro.scoring import disparity
from fairseq_dro.scoring.bootstrap import Block, Blocks, make_blocks, replicate_rates
from fairseq_dro.scoring.disparity_intervals import disparity_intervals
from fairseq_dro.scoring.intervals import FEWEST_BLOCKS, language_intervals
from fairseq_dro.scoring.sampling_noise import jackknife_variance, sampling_noise
from fairseq_dro.scoring.split_half import split_half_worst
from fairseq_dro.scoring.true_rates import draw_true_rates


def _blocks(seed: int = 0, n_languages: int = 3, n: int = 50, rate: float = 0.25) -> Blocks:
    draw = np.random.default_rng(seed)
    lengths = draw.integers(10, 60, n_languages * n)
    names = np.repeat([f"l{index:03d}" for index in range(n_languages)], n)
    return make_blocks(list(names), draw.binomial(lengths, rate), lengths)


def test_blocks_are_speakers_where_they_are_known_and_utterances_elsewhere() -> None:
    blocks = make_blocks(
        ["b", "a", "b", "b", "a", "b"], [1, 2, 3, 4, 5, 6], [10, 20, 30, 40, 50, 60],
        ["s", "s", "t", "s", None, None], fewest_speakers=1,
    )  # fmt: skip
    assert blocks.languages == ("a", "b")  # speaker s of a is another one than s of b
    (a, b) = blocks.sums
    assert sorted(zip(a.errors.tolist(), a.lengths.tolist())) == [(2, 20), (5, 50)]
    assert sorted(zip(b.errors.tolist(), b.lengths.tolist())) == [(3, 30), (5, 50), (6, 60)]
    np.testing.assert_allclose(blocks.rates, [0.1, 0.1])
    assert blocks.by_speaker == (False, True)


def test_a_handful_of_speakers_says_nothing_of_speakers_and_utterances_are_drawn() -> None:
    speakers = [index % 4 for index in range(40)] + [index % 5 for index in range(40)]
    blocks = make_blocks(["a"] * 40 + ["b"] * 40, [1] * 80, [9] * 80, speakers)
    assert blocks.n_blocks.tolist() == [40, 5]
    assert blocks.by_speaker == blocks.rated().by_speaker == (False, True)


def test_replicates_are_ratios_of_sums_of_blocks_drawn_with_replacement() -> None:
    blocks = Blocks(("a",), (Block(np.array([0, 5]), np.array([10, 5])),))
    drawn = replicate_rates(blocks, 20_000)[:, 0]
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_allclose(values, [0.0, 5 / 15, 1.0])
    np.testing.assert_allclose(counts / 20_000, [0.25, 0.5, 0.25], atol=0.015)


def test_replicates_depend_on_the_seed_and_on_no_other_language() -> None:
    blocks = _blocks()
    rates = replicate_rates(blocks, 100, seed=1)
    np.testing.assert_array_equal(rates, replicate_rates(blocks, 100, seed=1))
    assert not np.array_equal(rates, replicate_rates(blocks, 100, seed=2))
    correlation = np.corrcoef(replicate_rates(blocks, 5_000).T)
    assert np.abs(correlation - np.eye(3)).max() < 0.06


def test_replicates_spread_as_far_as_the_rate_itself_does() -> None:
    observed = np.array([_blocks(seed, 1, 60).rates[0] for seed in range(400)])
    estimated = np.array([replicate_rates(_blocks(s, 1, 60), 300).std() for s in range(60)])
    assert estimated.mean() == pytest.approx(observed.std(), rel=0.12)


def test_replicates_are_exact_where_lengths_add_up_beyond_32_bits() -> None:
    """The mean of utterance CERs gives each a length of a million: 5,000 pass 2^32."""
    blocks = make_blocks(["a"] * 5_000, [250_000, 750_000] * 2_500, [1_000_000] * 5_000)
    rates = replicate_rates(blocks, 50)
    assert rates.mean() == pytest.approx(0.5, abs=0.005) and 0.001 < rates.std() < 0.01


def test_bundles_keep_the_sums_and_the_variance() -> None:
    blocks = _blocks(3, 1, 5_000)
    bundled = blocks.bundled()
    assert len(bundled.sums[0].errors) == 400
    for mine, theirs in zip(bundled.sums[0], blocks.sums[0]):
        assert mine.sum() == theirs.sum()
    deviations = [replicate_rates(one, 1_000).std() for one in (blocks, bundled)]
    assert deviations[1] == pytest.approx(deviations[0], rel=0.15)
    assert _blocks().bundled().sums[0].errors.tolist() == _blocks().sums[0].errors.tolist()


def test_a_language_without_references_has_no_rate() -> None:
    blocks = make_blocks(["a", "b"], [3, 1], [0, 4])
    assert np.isnan(blocks.rates[0]) and blocks.rates[1] == 0.25
    assert np.isnan(replicate_rates(blocks, 10)[:, 0]).all()
    assert blocks.rated().languages == ("b",)


# --- intervals ---


def _utterances(draw: np.random.Generator, true_rates: np.ndarray, n: int) -> Blocks:
    """Utterances of unequal lengths whose own rates vary, as real ones do."""
    shape = (len(true_rates), n)
    lengths = np.clip(draw.lognormal(3.7, 0.5, shape), 5, 300).astype(np.int64)
    rates = draw.beta(true_rates[:, None] * 19, (1 - true_rates[:, None]) * 19, shape)
    names = tuple(f"l{index:03d}" for index in range(len(true_rates)))
    errors = draw.binomial(lengths, rates)
    return Blocks(names, tuple(Block(e, length) for e, length in zip(errors, lengths)))


@pytest.mark.parametrize(("n", "rate"), [(10, 0.03), (10, 0.25), (20, 0.9), (60, 0.1)])
def test_a_languages_interval_holds_its_true_rate_in_95_of_100_data_sets(
    n: int, rate: float
) -> None:
    draw = np.random.default_rng(7)
    n_data_sets, hits = 500, 0
    for seed in range(n_data_sets):
        (one,) = language_intervals(
            _utterances(draw, np.array([rate]), n), seed, n_replicates=600
        ).values()
        hits += one.low <= rate <= one.high
    assert hits / n_data_sets == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_disparity_intervals_hold_the_truth_in_95_of_100_data_sets(spread: float) -> None:
    draw = np.random.default_rng(8)
    n_data_sets, hits = 100, {}
    for seed in range(n_data_sets):
        true = np.clip(draw.normal(0.25, spread, 17), 0.02, 1.0)
        blocks = _utterances(draw, true, 60)
        results = disparity_intervals(blocks, sampling_noise(blocks, 500, seed), seed)
        for name, one in results.items():
            held = one.low - 1e-9 <= disparity.MEASURES[name](true) <= one.high + 1e-9
            hits[name] = hits.get(name, 0) + held
    for name, count in hits.items():
        # less two and a half standard errors of 200 data sets: the script with more is sharper;
        # with no spread an end at 0 cannot be missed, and more than 95 % is right
        assert count / n_data_sets >= 0.91, name


def test_disparity_intervals_hold_the_truth_with_a_handful_of_utterances_a_language() -> None:
    """The variance of a language with eight is noise itself: without shrinking 73 of 100 hold."""
    draw = np.random.default_rng(9)
    n_data_sets, hits = 80, dict.fromkeys(("sd", "gini", "gap"), 0)
    for seed in range(n_data_sets):
        true = np.clip(draw.normal(0.25, 0.05, 100), 0.02, 1.0)
        blocks = _utterances(draw, true, 8)
        results = disparity_intervals(blocks, sampling_noise(blocks, 300, seed), seed)
        for name in hits:
            one = results[name]
            hits[name] += one.low <= disparity.MEASURES[name](true) <= one.high
    assert min(hits.values()) / n_data_sets >= 0.86, hits


def test_equal_languages_show_the_band_that_no_difference_gives() -> None:
    # 143 languages of true rate 0.25 with 60 utterances: about 0.289 and 0.075 are seen by chance
    draw = np.random.default_rng(0)
    names = tuple(f"l{index:03d}" for index in range(143))
    lengths = np.full(60, 14)
    equal = Blocks(names, tuple(Block(draw.binomial(lengths, 0.25), lengths) for _ in names))
    results = disparity_intervals(equal, sampling_noise(equal, 4_000))
    worst, gap = results["worst"], results["gap"]
    assert worst.null_low < 0.289 < worst.null_high
    assert (worst.null_low + worst.null_high) / 2 == pytest.approx(0.289, abs=0.01)
    assert (gap.null_low + gap.null_high) / 2 == pytest.approx(0.078, abs=0.01)
    assert worst.value == pytest.approx(0.289, abs=0.015)
    assert all(one.within_null for name, one in results.items() if name != "mean")
    assert gap.low == 0.0 and results["sd"].low == 0.0
    assert worst.low <= 0.25  # it may be no worse than the rest, and an honest interval says so
    half = split_half_worst(equal)
    assert half.value == pytest.approx(0.25, abs=0.02)  # the luck of the choice is gone


def test_a_language_that_is_really_worse_is_outside_the_band_and_stays_worst_in_halves() -> None:
    draw = np.random.default_rng(1)
    true = np.append(np.full(16, 0.2), 0.6)
    blocks = _utterances(draw, true, 60)
    results = disparity_intervals(blocks, sampling_noise(blocks, 2_000))
    assert results["worst"].within_null is False
    assert results["worst"].low < 0.6 < results["worst"].high
    assert results["worst"].low > 0.5  # the outlier is not drawn towards the others
    assert split_half_worst(blocks).value == pytest.approx(blocks.rates[16], abs=0.02)


def test_a_long_tail_of_bad_languages_is_not_drawn_in() -> None:
    """These rates are log-normal: taken as normal, the worst would be held too low."""
    draw = np.random.default_rng(5)
    n_data_sets, hits, below = 60, 0, 0
    for seed in range(n_data_sets):
        true = np.clip(draw.lognormal(np.log(0.2), 0.5, 100), 0.01, 0.9)
        blocks = _utterances(draw, true, 8)
        drawn = disparity.worst_k(draw_true_rates(sampling_noise(blocks, 300, seed), seed))
        low, high = np.quantile(drawn, [0.025, 0.975])
        hits += low <= disparity.worst_k(true) <= high
        below += high < disparity.worst_k(true)
    assert hits >= 52 and below <= 4, (hits, below)


def test_languages_level_at_the_top_are_not_taken_for_one_that_is_worse() -> None:
    """Equal languages at the top are what group DRO strives for.

    The posterior of the true rates alone holds the worst and the gap in none of these data sets.
    """
    draw = np.random.default_rng(11)
    true = np.repeat([0.1, 0.3], [20, 20])
    n_data_sets, hits = 60, dict.fromkeys(("worst", "worst_15", "gap", "sd", "gini", "cvar_10"), 0)
    for seed in range(n_data_sets):
        blocks = _utterances(draw, true, 60)
        results = disparity_intervals(blocks, sampling_noise(blocks, 300, seed), seed)
        for name in hits:
            hits[name] += results[name].low <= disparity.MEASURES[name](true) <= results[name].high
    assert min(hits.values()) / n_data_sets >= 0.75, hits


@pytest.mark.parametrize("n_languages", [2, 3, 17])
def test_drawn_true_rates_lie_about_what_much_data_show(n_languages: int) -> None:
    true = np.linspace(0.1, 0.5, n_languages)
    blocks = _utterances(np.random.default_rng(6), true, 400)
    drawn = draw_true_rates(sampling_noise(blocks, 1_000))
    assert drawn.shape == (1_000, n_languages)
    deviations = np.sqrt([jackknife_variance(block) for block in blocks.sums])
    assert (np.abs(drawn.mean(axis=0) - blocks.rates) < 0.5 * deviations).all()
    assert drawn.std(axis=0) == pytest.approx(deviations, rel=0.25)


def test_the_jackknife_variance_is_that_of_the_rate() -> None:
    draw = np.random.default_rng(2)
    sets = [_utterances(draw, np.array([0.25]), 20) for _ in range(4_000)]
    rates = np.array([one.rates[0] for one in sets])
    estimated = np.mean([jackknife_variance(one.sums[0]) for one in sets])
    assert estimated == pytest.approx(rates.var(), rel=0.08)
    assert np.isnan(jackknife_variance(Block(np.array([1]), np.array([9]))))


def test_the_interval_of_a_small_rate_reaches_further_up_than_down() -> None:
    draw = np.random.default_rng(4)
    up = down = 0.0
    for seed in range(40):
        (one,) = language_intervals(_utterances(draw, np.array([0.05]), 20), seed).values()
        up, down = up + one.high - one.value, down + one.value - one.low
    assert up > 1.3 * down > 0


def test_speakers_as_blocks_widen_the_interval() -> None:
    draw = np.random.default_rng(3)
    speaker = np.repeat(np.arange(20), 30)
    rate = np.clip(draw.normal(0.25, 0.1, 20), 0.01, 1)[speaker]
    lengths = np.full(600, 40)
    errors = draw.binomial(lengths, rate)
    names = ["deu"] * 600
    utterances = language_intervals(make_blocks(names, errors, lengths))["deu"]
    speakers = language_intervals(make_blocks(names, errors, lengths, list(speaker)))["deu"]
    assert speakers.value == utterances.value
    assert speakers.high - speakers.low > 3 * (utterances.high - utterances.low)


def test_too_few_blocks_have_a_rate_but_no_interval() -> None:
    few = make_blocks(["a"] * (FEWEST_BLOCKS - 1) + ["b"], [1] * FEWEST_BLOCKS, [9] * FEWEST_BLOCKS)
    for one in language_intervals(few).values():
        assert (one.value, one.low, one.high) == (pytest.approx(1 / 9), None, None)


def test_no_error_at_all_does_not_prove_a_rate_of_zero() -> None:
    (one,) = language_intervals(make_blocks(["a"] * 10, [0] * 10, [10] * 10)).values()
    assert (one.value, one.low) == (0.0, 0.0)
    assert 0.99**100 > 0.025 and one.high == pytest.approx(0.037, abs=0.001)


@pytest.mark.parametrize(
    "blocks",
    [
        make_blocks(["a", "b", "c"], [1, 0, 3], [9, 9, 9]),
        make_blocks(["a"] * 10, [0] * 10, [9] * 10),
        make_blocks(["a"] * 10 + ["b"], [0] * 11, [9] * 11),
        make_blocks(["a"] * 2 + ["b"] * 9, [40, 30] + [1] * 9, [9, 0] + [4] * 9),
        make_blocks(["a"], [9], [3]),
    ],
)
def test_poor_data_get_wide_intervals_and_no_error(blocks: Blocks) -> None:
    with np.errstate(divide="raise", invalid="raise"):
        noise = sampling_noise(blocks, 200)
        results = disparity_intervals(blocks, noise)
        split_half_worst(blocks)
    for name, one in results.items():
        if name == "sd" and len(blocks.languages) == 1:
            continue
        assert np.isfinite(one.low) and one.low <= one.high, name


def test_halves_without_references_in_common_have_no_worst() -> None:
    alone = make_blocks(["a"] * 2 + ["b"] * 2, [1, 0, 2, 1], [9, 0, 9, 0])
    assert split_half_worst(alone) is None
    at_times = make_blocks(["a"] * 4 + ["b"] * 4, [1, 1, 0, 0, 2, 2, 1, 0], [9, 9, 0, 0] * 2)
    assert all(np.isfinite(split_half_worst(at_times)))


def test_where_no_difference_is_shown_no_interval_contradicts_that_of_the_mean() -> None:
    blocks = make_blocks(list("abcde") * 6, np.repeat([5, 3, 2, 4, 6, 1], 5), [50] * 30)
    results = disparity_intervals(blocks, sampling_noise(blocks, 1_000))
    mean = results["mean"]
    for name in ("worst", "cvar_10", "p90"):
        assert results[name].low <= mean.low and results[name].high >= mean.high, name
    assert all(results[name].low == 0 for name in ("gap", "sd", "gini"))


def test_what_never_varies_has_the_noise_of_one_error_at_most() -> None:
    """Nothing is written in a language: its CER is 1 in every utterance, and no luck."""
    blocks = make_blocks(
        ["a"] * 6 + ["b"] * 6 + ["c"] * 6, [9, 14, 20, 8, 9, 11] + [1, 5, 0, 4, 2, 3] * 2,
        [9, 14, 20, 8, 9, 11] + [20] * 12,
    )  # fmt: skip
    noise = sampling_noise(blocks, 500)
    deviations = 2 * noise.roots * np.sqrt(noise.variances)
    assert deviations[0] == pytest.approx(1 / 71, rel=0.01) and deviations[1] > 2 / 120


def test_the_same_seed_gives_the_same_intervals() -> None:
    blocks = _blocks()
    for seed in (0, 1):
        first, second = (
            disparity_intervals(blocks, sampling_noise(blocks, 200, seed), seed) for _ in range(2)
        )
        assert first == second
