"""Size, coverage and power of the paired tests of ``fairseq-dro compare``, by simulation.

    python scripts/benchmark_paired.py                 # minutes
    python scripts/benchmark_paired.py --trials 100

Utterances have a difficulty that both arms share (speaker and utterance, log-normal), one of their
own, and binomial errors. Printed in per cent, for a nominal 5 % and 95 %: how often p <= 0.05, and
how often the interval holds the truth; beside it the plain percentile interval of a bootstrap that
draws B of B blocks, as the baseline.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from fairseq_dro.scoring.disparity import MEASURES
from fairseq_dro.scoring.levelling import best
from fairseq_dro.scoring.paired import (
    PairedBlocks,
    difference_by_language,
    differences_of_functionals,
    holm,
    resample,
)

NUMBERS = {**MEASURES, "best": best}
NOISE = (0.4, 0.4, 0.3)  # log-normal: speaker, utterance, utterance in one arm
PER_BLOCK = 3  # utterances
MOST = 0.98  # of a rate

_VARIANCE = sum(sd**2 for sd in NOISE)
_FACTORS = np.exp(
    np.sqrt(_VARIANCE) * np.random.default_rng(0).standard_normal(200_000) - _VARIANCE / 2
)
_GRID = np.linspace(0.001, 0.7, 200)
_TRUE = np.array([np.minimum(MOST, _FACTORS * rate).mean() for rate in _GRID])


def truth(rates: np.ndarray) -> np.ndarray:
    """Expected error rate of a language, less than its parameter as rates stop at 0.98."""
    return np.interp(rates, _GRID, _TRUE)


def simulate(draw, rates, n_blocks, runs=(1, 1), training_noise=0.0) -> PairedBlocks:
    """Two arms of rates [2, G]; a run's rates are off by exp(noise), its own for each language."""
    n_languages = rates.shape[1]
    shape = (n_languages, n_blocks)
    lengths = draw.integers(15, 90, size=(*shape, PER_BLOCK))
    shared = NOISE[0] * draw.standard_normal((*shape, 1))
    shared = shared + NOISE[1] * draw.standard_normal((*shape, PER_BLOCK))
    errors = []
    for arm, n_runs in enumerate(runs):
        by_run = []
        for _ in range(n_runs):
            own = NOISE[2] * draw.standard_normal(shared.shape) - _VARIANCE / 2
            own = own + training_noise * draw.standard_normal((n_languages, 1, 1))
            p = np.minimum(MOST, rates[arm][:, None, None] * np.exp(shared + own))
            by_run.append(draw.binomial(lengths, p).sum(axis=2).ravel())
        errors.append(np.array(by_run, dtype=float))
    language = np.repeat(np.arange(n_languages), n_blocks)
    names = [str(index) for index in range(n_languages)]
    return PairedBlocks(names, language, lengths.sum(axis=2).ravel().astype(float), errors)


def percentile(blocks: PairedBlocks, functions, draw, n_replicates: int) -> np.ndarray:
    """The baseline, [2, F]: B of B blocks, quantiles of the replicates; languages of equal B."""
    n_languages = len(blocks.languages)
    n_blocks = len(blocks.lengths) // n_languages
    sums = [blocks.lengths, *(errors[0] for errors in blocks.errors)]
    times = draw.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), (n_replicates, n_languages))
    length, *errors = (
        np.einsum("rgb,gb->rg", times, x.reshape(n_languages, n_blocks)) for x in sums
    )
    drawn = [f(errors[1] / length) - f(errors[0] / length) for f in functions]
    return np.quantile(np.stack(drawn, axis=1), [0.025, 0.975], axis=0)


def one_language(n: int, draw) -> None:
    sys.stdout.write(
        "\none language, equal arms: p <= 0.05 (p <= 0.01); percentile bootstrap <= 0.05;\n"
        "30 % fewer errors: p <= 0.05\n"
    )
    for rate in (0.02, 0.25):
        for n_blocks in (2, 3, 5, 10, 20, 60):
            blocks = simulate(draw, np.full((2, n), rate), n_blocks)
            p = difference_by_language(blocks, 0, 1).p
            apart = simulate(draw, np.stack([np.full(n, rate), np.full(n, 0.7 * rate)]), n_blocks)
            power = (difference_by_language(apart, 0, 1).p <= 0.05).mean()
            n_plain = min(n, 1000)
            plain = 0
            for index in range(n_plain):
                mine = blocks.language == index
                alone = PairedBlocks(
                    ["a"], np.zeros(n_blocks, int), blocks.lengths[mine],
                    [errors[:, mine] for errors in blocks.errors],
                )  # fmt: skip
                low, high = percentile(alone, [MEASURES["mean"]], draw, 400)[:, 0]
                plain += low > 0 or high < 0
            sys.stdout.write(
                f"  CER {100 * rate:2.0f} %, {n_blocks:2d} blocks: {100 * (p <= 0.05).mean():4.1f} "
                f"({100 * (p <= 0.01).mean():3.1f}); {100 * plain / n_plain:4.1f}; "
                f"{100 * power:5.1f}\n"
            )


def family(n: int, draw) -> None:
    sys.stdout.write("\nany false finding among equal languages, Holm-corrected (uncorrected)\n")
    for n_languages in (6, 17, 143):
        for n_blocks in (5, 20):
            rates = np.full((2, n * n_languages), 0.2)
            p = difference_by_language(simulate(draw, rates, n_blocks), 0, 1).p
            p = p.reshape(n, n_languages)
            found = np.mean([(holm(row) <= 0.05).any() for row in p])
            plain = (p <= 0.05).any(axis=1).mean()
            sys.stdout.write(
                f"  {n_languages:3d} languages, {n_blocks:2d} blocks: {100 * found:4.1f} "
                f"({100 * plain:5.1f})\n"
            )


def scenarios(n_languages: int) -> dict[str, np.ndarray]:
    spread = np.linspace(0.05, 0.35, n_languages)
    helped = spread.copy()
    helped[2 * n_languages // 3 :] *= 0.7
    outlier = np.append(np.linspace(0.05, 0.2, n_languages - 1), 0.3)
    level = np.linspace(0.15, 0.3, n_languages)
    level[n_languages // 2 :] = 0.3
    return {
        "equal arms, languages spread": np.stack([spread, spread]),
        "equal arms, languages alike": np.full((2, n_languages), 0.2),
        "worst third 30 % better": np.stack([spread, helped]),
        "one outlier against half of the languages level at the same worst": np.stack(
            [outlier, level]
        ),
    }


def numbers(n: int, draw) -> None:
    for n_languages, n_blocks in ((6, 20), (40, 20), (143, 20)):
        for name, rates in scenarios(n_languages).items():
            sys.stdout.write(
                f"\n{name}; {n_languages} languages of {n_blocks} blocks: coverage (percentile), "
                "p <= 0.05, bias in standard errors\n"
            )
            told = {key: [] for key in NUMBERS}
            for trial in range(n if n_languages < 100 else n // 2):
                blocks = simulate(draw, rates, n_blocks)
                found = differences_of_functionals(
                    blocks, resample(blocks, 400, seed=trial), NUMBERS, 0, 1
                )
                plain = percentile(blocks, NUMBERS.values(), draw, 200).T
                for (low, high), (key, function) in zip(plain, NUMBERS.items()):
                    true = function(truth(rates[1])) - function(truth(rates[0]))
                    value = found[key]
                    told[key].append(
                        (
                            value.low <= true <= value.high, low <= true <= high,
                            value.p <= 0.05, (value.estimate - true) / value.standard_error,
                        )
                    )  # fmt: skip
            for key, rows in told.items():
                held, plain, found, bias = np.mean(rows, axis=0)
                sys.stdout.write(
                    f"  {key:9s} {100 * held:5.1f} ({100 * plain:5.1f}) {100 * found:5.1f} "
                    f"{bias:+.2f}\n"
                )


def seeds(n: int, draw) -> None:
    sys.stdout.write(
        "\nequal arms, 12 languages of 20 blocks, a run's rates off by 10 % (one deviation): "
        "p <= 0.05\n"
    )
    rates = np.stack([np.linspace(0.05, 0.35, 12)] * 2)
    for runs in ((1, 1), (1, 3), (2, 2), (3, 3), (5, 5)):
        single, mean, worst = [], [], []
        for trial in range(n):
            blocks = simulate(draw, rates, 20, runs, 0.1)
            single.append((difference_by_language(blocks, 0, 1).p <= 0.05).mean())
            found = differences_of_functionals(
                blocks, resample(blocks, 400, seed=trial), NUMBERS, 0, 1
            )
            mean.append(found["mean"].p <= 0.05)
            worst.append(found["worst"].p <= 0.05)
        sys.stdout.write(
            f"  {runs[0]} and {runs[1]} runs: one language {100 * np.mean(single):4.1f}, mean "
            f"{100 * np.mean(mean):4.1f}, worst {100 * np.mean(worst):4.1f}\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw = np.random.default_rng(args.seed)
    one_language(10 * args.trials, draw)
    family(args.trials, draw)
    seeds(args.trials, draw)
    numbers(args.trials, draw)


if __name__ == "__main__":
    main()
