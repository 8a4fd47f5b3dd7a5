"""Laws of the bootstrap: what varies, by how much, and how often an interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_dro.scoring.bootstrap import Block, Blocks, make_blocks, replicate_rates


def _blocks(seed: int = 0, n_languages: int = 3, n: int = 50, rate: float = 0.25) -> Blocks:
    draw = np.random.default_rng(seed)
    lengths = draw.integers(10, 60, n_languages * n)
    names = np.repeat([f"l{index:03d}" for index in range(n_languages)], n)
    return make_blocks(list(names), draw.binomial(lengths, rate), lengths)


def test_blocks_are_speakers_where_they_are_known_and_utterances_elsewhere() -> None:
    blocks = make_blocks(
        ["b", "a", "b", "b", "a", "b"], [1, 2, 3, 4, 5, 6], [10, 20, 30, 40, 50, 60],
        ["s", "s", "t", "s", None, None],
    )  # fmt: skip
    assert blocks.languages == ("a", "b")  # speaker s of a is another one than s of b
    (a, b) = blocks.sums
    assert sorted(zip(a.errors.tolist(), a.lengths.tolist())) == [(2, 20), (5, 50)]
    assert sorted(zip(b.errors.tolist(), b.lengths.tolist())) == [(3, 30), (5, 50), (6, 60)]
    np.testing.assert_allclose(blocks.rates, [0.1, 0.1])


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
