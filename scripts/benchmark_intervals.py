"""How often a 95 % interval of ``fairseq-dro score`` holds the truth, by simulation.

    python scripts/benchmark_intervals.py             # an hour or two
    python scripts/benchmark_intervals.py --data-sets 200 --utterances 20    # minutes
    python scripts/benchmark_intervals.py --chance    # seconds: the worst of 143 equally good ones

Utterances have log-normal lengths (median 40 characters) and beta-binomial errors: an utterance's
own rate varies, as real ones do. Printed: per cent of data sets whose interval holds the truth,
beside the plain percentile interval of the same replicates as the baseline.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from fairseq_dro.scoring.bootstrap import Block, Blocks, replicate_rates
from fairseq_dro.scoring.disparity import MEASURES
from fairseq_dro.scoring.disparity_intervals import disparity_intervals
from fairseq_dro.scoring.intervals import language_intervals
from fairseq_dro.scoring.sampling_noise import sampling_noise

TAILS = [0.025, 0.975]


def simulate(draw: np.random.Generator, true_rates: np.ndarray, n: int, rho: float) -> Blocks:
    """One data set: n utterances a language; rho is the correlation within an utterance."""
    shape = (len(true_rates), n)
    lengths = np.clip(draw.lognormal(3.7, 0.5, shape), 5, 300).astype(np.int64)
    scale = 1 / rho - 1
    rates = draw.beta(true_rates[:, None] * scale, (1 - true_rates[:, None]) * scale, shape)
    errors = draw.binomial(lengths, rates)
    names = tuple(f"l{index:03d}" for index in range(len(true_rates)))
    return Blocks(names, tuple(Block(e, length) for e, length in zip(errors, lengths)))


SPREADS = {
    "all equal": lambda draw, n: np.full(n, 0.25),
    "sd 0.01": lambda draw, n: np.clip(draw.normal(0.25, 0.01, n), 0.02, 1),
    "sd 0.02": lambda draw, n: np.clip(draw.normal(0.25, 0.02, n), 0.02, 1),
    "sd 0.05": lambda draw, n: np.clip(draw.normal(0.25, 0.05, n), 0.02, 1),
    "sd 0.10": lambda draw, n: np.clip(draw.normal(0.30, 0.10, n), 0.02, 1),
    "long tail": lambda draw, n: np.clip(draw.lognormal(np.log(0.2), 0.5, n), 0.01, 0.9),
    "one outlier": lambda draw, n: np.append(np.clip(draw.normal(0.15, 0.03, n - 1), 0.02, 1), 0.6),
    "two levels": lambda draw, n: np.where(np.arange(n) < n // 2, 0.3, 0.1),
    "levelled top": lambda draw, n: np.clip(draw.normal(0.25, 0.08, n), 0.02, 0.25),
}


RATES = ((0.02, 0.05), (0.05, 0.1), (0.25, 0.1), (0.25, 0.02), (0.6, 0.1), (0.9, 0.1))
"""True rate of one language, and the correlation within an utterance."""


def languages(n_data_sets: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    sys.stdout.write("\nrate of one language: studentised (percentile)\n")
    for n in (5, 8, 10, 14, 20, 60, 200):
        cells = []
        for rate, rho in RATES:
            ours = plain = 0
            for number in range(n_data_sets):
                blocks = simulate(draw, np.array([rate]), n, rho)
                (one,) = language_intervals(blocks, seed=number, n_replicates=1_000).values()
                low, high = np.quantile(replicate_rates(blocks, 1_000, number), TAILS)
                ours += one.low <= rate <= one.high
                plain += low <= rate <= high
            cells.append(
                f"rate {rate}, rho {rho}: {100 * ours / n_data_sets:5.1f} "
                f"({100 * plain / n_data_sets:5.1f})"
            )
        sys.stdout.write(f"{n:4d} utterances   {'   '.join(cells)}\n")
        sys.stdout.flush()


def disparities(n_data_sets: int, seed: int, n: int) -> np.ndarray:
    """[kinds x sizes, measures] shares of data sets whose interval holds the truth; printed."""
    sys.stdout.write(f"\ndisparity, {n} utterances a language: ours (percentile)\n")
    sys.stdout.write(f"{'':24s}{''.join(f'{name:>15s}' for name in MEASURES)}\n")
    found = []
    for kind, spread in SPREADS.items():
        for n_languages in (6, 17, 143):
            draw = np.random.default_rng([seed, n, n_languages])
            hits = np.zeros((2, len(MEASURES)))
            n_sets = n_data_sets if n_languages < 100 else max(1, n_data_sets // 2)
            for number in range(n_sets):
                true = spread(draw, n_languages)
                blocks = simulate(draw, true, n, 0.05)
                results = disparity_intervals(blocks, sampling_noise(blocks, 1_000, number), number)
                replicates = replicate_rates(blocks, 1_000, number)
                for column, (name, measure) in enumerate(MEASURES.items()):
                    truth, one = float(measure(true)), results[name]
                    low, high = np.quantile(measure(replicates), TAILS)
                    hits[0, column] += one.low - 1e-12 <= truth <= one.high + 1e-12
                    hits[1, column] += low <= truth <= high
            found.append(hits[0] / n_sets)
            cells = (f"{a:5.1f} ({b:5.1f})" for a, b in (100 * hits / n_sets).T)
            label = f"{kind}, {n_languages}"
            sys.stdout.write(f"{label:24s}{''.join(f'{cell:>15s}' for cell in cells)}\n")
            sys.stdout.flush()
    return np.array(found)


def chance(n_data_sets: int, seed: int) -> None:
    """The highest rate that is seen where all 143 languages have the same."""
    draw = np.random.default_rng(seed)
    true = SPREADS["all equal"](draw, 143)
    worst = [simulate(draw, true, 60, 0.05).rates.max() for _ in range(n_data_sets)]
    low, middle, high = np.quantile(worst, [TAILS[0], 0.5, TAILS[1]])
    sys.stdout.write(
        f"143 languages of rate {true[0]}, 60 utterances each: the worst looks like {middle:.3f} "
        f"({low:.3f} to {high:.3f}, 95 % of {n_data_sets} data sets)\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--utterances", type=int, nargs="*", default=[8, 20, 60, 200])
    parser.add_argument("--chance", action="store_true", help="only the worst by chance")
    args = parser.parse_args()
    if args.chance:
        return chance(args.data_sets, args.seed)
    sys.stdout.write(f"per cent of {args.data_sets} data sets (half of that with 143 languages)\n")
    languages(args.data_sets, args.seed)
    for n in args.utterances:
        shares = 100 * disparities(args.data_sets, args.seed, n)
        sys.stdout.write(
            f"{n} utterances: {shares.min():.1f} to {shares.max():.1f}, median "
            f"{np.median(shares):.1f}; {(shares < 93).sum()} of {shares.size} cells below 93\n"
        )


if __name__ == "__main__":
    main()
