#!/usr/bin/env python3
"""What the batch planner achieves and what it costs, as Markdown tables.

    .venv/bin/python scripts/benchmark_planner.py
    .venv/bin/python scripts/benchmark_planner.py --corpus CORPUS_FOLDER   # adds a real corpus.tsv
    .venv/bin/python scripts/benchmark_planner.py speed                    # one table only

Tables: `frontier` (fill of batch_seconds against padding, beside first-fit-decreasing, fairseq's
batch_by_size and the best partitions of the sorted list), `moves` (batches between two moves of
q), `idle` (share of 8 workers' time spent waiting) and `speed` (seconds and memory of a plan).
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairseq_dro.batching.planner import BatchPlanner, GroupSampling, Plan
from tests.partitions import (
    RATE,
    Quality,
    fairseq_batches,
    first_fit_decreasing,
    frontier,
    ml_superb_like,
    read_corpus,
    together,
)

AIMED = 50 * RATE
FILL_WEIGHTS = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10])
WORKERS = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help="frontier, moves, idle, speed (default: all)")
    parser.add_argument("--corpus", type=Path, help="folder with a corpus.tsv to plan as well")
    args = parser.parse_args()
    corpora = {"143 languages of 1 h": ml_superb_like()}
    if args.corpus is not None:
        corpora[f"{args.corpus.name}/corpus.tsv"] = read_corpus(args.corpus / "corpus.tsv")
    tables = {
        "frontier": lambda: [line for item in corpora.items() for line in frontier_table(*item)],
        "moves": moves_table,
        "idle": lambda: idle_table(corpora),
        "speed": speed_table,
    }
    for name in args.tables or tables:
        for line in tables[name]():
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        sys.stdout.write("\n")
    return 0


def row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def head(*titles: str) -> Iterator[str]:
    yield row(*titles)
    yield row("---", *["---:"] * (len(titles) - 1))


def frontier_table(name: str, languages: list[np.ndarray]) -> Iterable[str]:
    n_samples, groups = together(languages)
    hours = n_samples.sum() / RATE / 3600
    yield f"{name}: {len(languages)} languages, {len(groups)} utterances, {hours:.1f} h, d = 50 s"
    yield ""
    yield from head("batches", "number", "fill error %", "padding %", "sum of both")

    def line(method: str, quality: Quality) -> str:
        numbers = (quality.fill_error, quality.padding, quality.loss)
        return row(method, quality.n_batches, *(f"{number:.2f}" for number in numbers))

    for method, batches_of in (
        ("first-fit-decreasing per language", first_fit_decreasing),
        ("fairseq's batch_by_size per language", fairseq_batches),
    ):
        of_languages = [(lengths, batches_of(lengths, AIMED)) for lengths in languages]
        yield line(method, Quality.of(of_languages, AIMED))
    best = frontier(languages, AIMED, FILL_WEIGHTS)
    for weight, quality in zip(FILL_WEIGHTS, best):
        yield line(f"best sorted partition, fill error x {weight:g}", quality)
    default = BatchPlanner(AIMED).length_noise
    for noise in (0.0, 0.01, 0.02, 0.03, 0.05):
        plan, other = (
            BatchPlanner(AIMED, length_noise=noise).plan(n_samples, groups, epoch=epoch)
            for epoch in (1, 2)
        )
        quality = Quality.of([(n_samples, plan.batches)], AIMED)
        label = f"ours, length_noise {noise:g}{' (default)' if noise == default else ''}"
        again = len(batches_as_sets(plan) & batches_as_sets(other)) / len(plan.batches)
        yield line(f"{label}; {100 * again:.0f} % of its batches come again next epoch", quality)
        if noise == default:
            ours = quality
    yield ""
    as_even = min((q.padding for q in best if q.fill_error <= ours.fill_error), default=np.nan)
    as_narrow = min((q.fill_error for q in best if q.padding <= ours.padding), default=np.nan)
    yield (
        f"Ours at the default is {ours.loss - min(q.loss for q in best):.2f} points of the sum "
        f"behind the best sorted partition; at no more fill error the best has "
        f"{ours.padding - as_even:.2f} points less padding, at no more padding "
        f"{ours.fill_error - as_narrow:.2f} points less fill error."
    )
    yield ""


def batches_as_sets(plan: Plan) -> set[tuple[int, ...]]:
    return {tuple(sorted(batch.tolist())) for batch in plan.batches}


def moves_table() -> Iterable[str]:
    """q that moves when every group was seen, planned batch by batch over whole epochs."""
    yield "Batches between two moves of q (update_when: all_groups_seen), means over 20 epochs"
    yield ""
    yield from head(
        "groups", "hours a group", "uniform", "proportional", "proportional, random order",
        "random draws of groups",
    )
    for n_groups in (6, 18, 143):
        random = n_groups * (1 / np.arange(1, n_groups + 1)).sum()
        for hours, label in (
            (np.full(n_groups, 1.0), "1 each"),
            (np.geomspace(0.2, 5, n_groups), "0.2 to 5"),
        ):
            seconds = [ml_superb_like(1, h, seed=g)[0] for g, h in enumerate(hours)]
            n_samples, groups = together(seconds)
            means = [
                moves(BatchPlanner(AIMED, sampling=sampling), n_samples, groups, shuffled)
                for sampling, shuffled in (
                    (GroupSampling.UNIFORM, False),
                    (GroupSampling.PROPORTIONAL, False),
                    (GroupSampling.PROPORTIONAL, True),
                )
            ]
            yield row(n_groups, label, *(f"{mean:.0f}" for mean in means), f"{random:.0f}")


def moves(
    planner: BatchPlanner, n_samples: np.ndarray, groups: np.ndarray, shuffled: bool
) -> float:
    rng = np.random.default_rng(0)
    n_groups, waiting, n_moves, n_batches = int(groups.max()) + 1, set(), 0, 0
    for epoch in range(1, 21):
        batches = planner.plan(n_samples, groups, epoch=epoch).batches
        order = rng.permutation(len(batches)) if shuffled else range(len(batches))
        for i in order:
            waiting.add(int(groups[batches[i][0]]))
            n_batches += 1
            if len(waiting) == n_groups:
                n_moves, last = n_moves + 1, n_batches
                waiting.clear()
    return last / n_moves


def idle_table(corpora: dict[str, list[np.ndarray]]) -> Iterable[str]:
    """An update takes as long as its slowest worker; a batch costs its padded seconds."""
    yield f"Share of {WORKERS} workers' time spent waiting for the slowest, %; means of 5 epochs"
    yield ""
    yield from head("corpus", "sampling", "micro-batches", "ours", "same batches, random order")
    uneven = np.exp(np.random.default_rng(0).normal(-0.4, 1.2, 143)).clip(0.02)
    unlike = [ml_superb_like(1, hours, seed=g)[0] for g, hours in enumerate(uneven)]
    for name, languages in (corpora | {"143 languages of 1 min to 10 h": unlike}).items():
        n_samples, groups = together(languages)
        for sampling in GroupSampling:
            for micro_batches in (1, 4):
                planner = BatchPlanner(AIMED, 80 * RATE, sampling=sampling)
                rng = np.random.default_rng(0)
                ours, random = [], []
                for epoch in range(1, 6):
                    plan = planner.plan(
                        n_samples, groups, epoch=epoch, multiple_of=WORKERS * micro_batches
                    )
                    cost = np.array([len(batch) * n_samples[batch].max() for batch in plan.batches])
                    ours.append(idle_share(cost, micro_batches))
                    random.append(idle_share(rng.permutation(cost), micro_batches))
                yield row(
                    name, sampling.value, micro_batches,
                    f"{100 * np.mean(ours):.1f}", f"{100 * np.mean(random):.1f}",
                )


def idle_share(cost: np.ndarray, micro_batches: int) -> float:
    per_worker = cost.reshape(-1, micro_batches, WORKERS).sum(1)
    return 1 - per_worker.sum() / (WORKERS * per_worker.max(1).sum())


def speed_table() -> Iterable[str]:
    """Best of three; memory is the peak above the two input arrays."""
    yield "One epoch planned: utterances in 1,000 languages, workers x micro-batches 32"
    yield ""
    yield from head("utterances", "sampling", "batches", "s", "CPU s", "peak MB")
    rng = np.random.default_rng(0)
    for sampling in (GroupSampling.PROPORTIONAL, GroupSampling.UNIFORM):
        planner = BatchPlanner(AIMED, 80 * RATE, sampling=sampling)
        for n in (10_000, 100_000, 1_000_000):
            n_samples = (np.exp(rng.normal(1.5, 0.5, n)).clip(0.5, 20) * RATE).astype(np.int64)
            groups = rng.integers(0, 1000, n)
            times = []
            for epoch in (1, 2, 3):
                begin = time.perf_counter(), time.process_time()
                plan = planner.plan(n_samples, groups, epoch=epoch, multiple_of=32)
                times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
            n_batches = len(plan.batches)
            del plan
            tracemalloc.start()
            planner.plan(n_samples, groups, epoch=1, multiple_of=32)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            wall, cpu = min(times)
            yield row(
                f"{n:,}", sampling.value, n_batches, f"{wall:.3f}", f"{cpu:.3f}",
                f"{peak / 1e6:.0f}",
            )


if __name__ == "__main__":
    raise SystemExit(main())
