"""Other ways to batch a language, and corpora to compare them on.

Also imported by ``scripts/benchmark_planner.py``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE = 16_000
"""Samples in a second."""

Batches = list[np.ndarray]


@dataclass(frozen=True)
class Quality:
    """Of batches: their number, and two shares in per cent.

    Attributes:
        fill_error: mean of |audio of the batch / aimed sum - 1|.
        padding: padded samples that hold no audio, of all padded samples.
    """

    n_batches: int
    fill_error: float
    padding: float

    @property
    def loss(self) -> float:
        """Sum of both, in points: what is compared."""
        return self.fill_error + self.padding

    @classmethod
    def of(cls, languages: list[tuple[np.ndarray, Batches]], batch_samples: float) -> Quality:
        """Of (lengths of the language, its batches of indices into them)."""
        audio = [n[batch].sum() for n, batches in languages for batch in batches]
        padded = [n[batch].max() * len(batch) for n, batches in languages for batch in batches]
        error = np.abs(np.array(audio) / batch_samples - 1).mean()
        return cls(len(audio), 100 * float(error), 100 * float(1 - sum(audio) / sum(padded)))


def first_fit_decreasing(n_samples: np.ndarray, batch_samples: float) -> Batches:
    """The longest first, each into the first batch that it does not overfill (CTC-DRO's code)."""
    batches: list[list[int]] = []
    room: list[float] = []
    for i in np.argsort(-n_samples, kind="stable"):
        place = next((b for b, left in enumerate(room) if left >= n_samples[i]), None)
        if place is None:
            place = len(batches)
            batches.append([])
            room.append(batch_samples)
        batches[place].append(int(i))
        room[place] -= n_samples[i]
    return [np.array(batch) for batch in batches]


def fairseq_batches(n_samples: np.ndarray, batch_samples: float) -> Batches:
    """fairseq's own: sorted by length, no more than so many padded samples."""
    from fairseq.data.data_utils import batch_by_size  # seconds to import, for this one alone

    order = np.argsort(n_samples, kind="stable")
    return batch_by_size(
        order, None, num_tokens_vec=n_samples[order], max_tokens=int(batch_samples)
    )


def best_sorted_partitions(
    n_samples: np.ndarray, batch_samples: float, fill_weights: np.ndarray
) -> list[Batches]:
    """Of all ways to cut the sorted list: least padding + weight x |audio - aimed sum|.

    Dynamic programming over every place to cut, once per weight.
    """
    order = np.argsort(n_samples, kind="stable")
    lengths = n_samples[order].astype(float)
    n, ends = len(lengths), np.concatenate([[0], np.cumsum(lengths)])
    cost = np.full((len(fill_weights), n + 1), np.inf)
    cost[:, 0] = 0
    came_from = np.zeros((len(fill_weights), n + 1), dtype=int)
    for stop in range(1, n + 1):
        first = min(int(np.searchsorted(ends, ends[stop] - 2 * batch_samples)), stop - 1)
        start = np.arange(first, stop)
        audio = ends[stop] - ends[start]
        padding = lengths[stop - 1] * (stop - start) - audio
        total = cost[:, start] + padding + fill_weights[:, None] * np.abs(audio - batch_samples)
        best = total.argmin(1)
        cost[:, stop] = total[np.arange(len(total)), best]
        came_from[:, stop] = start[best]
    partitions = []
    for row in came_from:
        batches, stop = [], n
        while stop:
            batches.append(order[row[stop] : stop])
            stop = row[stop]
        partitions.append(batches)
    return partitions


def frontier(
    languages: list[np.ndarray], batch_samples: float, fill_weights: np.ndarray
) -> list[Quality]:
    """What the best sorted partitions reach, for each weight."""
    of_languages = [best_sorted_partitions(n, batch_samples, fill_weights) for n in languages]
    return [
        Quality.of(list(zip(languages, partitions)), batch_samples)
        for partitions in zip(*of_languages)
    ]


def read_corpus(table: Path, split: str = "train") -> list[np.ndarray]:
    """Lengths in samples of each language of a ``corpus.tsv``."""
    by_language: dict[str, list[int]] = {}
    with open(table, encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == split:
                samples = round(float(row["seconds"]) * RATE)
                by_language.setdefault(row["language"], []).append(samples)
    return [np.array(lengths) for lengths in by_language.values()]


def ml_superb_like(
    n_languages: int = 143, hours: float = 1.0, seed: int = 0
) -> list[np.ndarray]:
    """Log-normal lengths of 0.5 to 20 s with another mean and spread in each language."""
    rng = np.random.default_rng(seed)
    languages = []
    for _ in range(n_languages):
        mean, spread = 5 * np.exp(rng.normal(0, 0.3)), rng.uniform(0.3, 0.6)
        lengths = np.exp(rng.normal(np.log(mean) - spread**2 / 2, spread, int(3600 * hours)))
        lengths = lengths.clip(0.5, 20)
        n = int(np.searchsorted(np.cumsum(lengths), 3600 * hours)) + 1
        languages.append((lengths[:n] * RATE).astype(np.int64))
    return languages


def unlike_languages(n_languages: int = 16, minutes: float = 10, seed: int = 0) -> list[np.ndarray]:
    """Little audio a language, from single words of one length to speech of 0.3 to 20 s."""
    rng = np.random.default_rng(seed)
    languages = []
    for i in range(n_languages):
        mean, spread = (1.0, 1.5, 2.0, 5.0)[i % 4], (0.0, 0.2, 0.5, 1.0)[i // 4 % 4]
        lengths = np.exp(rng.normal(np.log(mean), spread, int(60 * minutes / 0.3))).clip(0.3, 20)
        n = int(np.searchsorted(np.cumsum(lengths), 60 * minutes)) + 1
        languages.append((lengths[:n] * RATE).astype(np.int64))
    return languages


def together(languages: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """[N] lengths and [N] groups, mixed as a manifest may have them."""
    n_samples = np.concatenate(languages)
    groups = np.repeat(np.arange(len(languages)), [len(n) for n in languages])
    order = np.random.default_rng(0).permutation(len(groups))
    return n_samples[order], groups[order]
