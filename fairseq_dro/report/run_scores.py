"""Test scores of one run: per group with intervals, and how unequal the groups are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fairseq_dro.report.figures.forest import Estimate
from fairseq_dro.scoring import disparity
from fairseq_dro.scoring.bootstrap import make_blocks, replicate_rates
from fairseq_dro.scoring.records import Record

_CONFIDENCE = 0.95


@dataclass
class GroupScore:
    """Sums over one group's utterances, or over all; counts are of characters and words."""

    n_utterances: int
    audio_seconds: float | None
    substitutions: int
    deletions: int
    insertions: int
    characters: int
    word_errors: int
    words: int
    n_empty: int
    n_with_token: int
    n_token_right: int
    n_speakers: int | None

    @property
    def cer(self) -> float | None:
        errors = self.substitutions + self.deletions + self.insertions
        return errors / self.characters if self.characters else None

    @property
    def wer(self) -> float | None:
        return self.word_errors / self.words if self.words else None

    @property
    def lid_accuracy(self) -> float | None:
        return self.n_token_right / self.n_with_token if self.n_with_token else None


class RunScores:
    """Scores of one decoded split.

    Args:
        records: its utterances.
        by_corpus: groups are ``language/corpus`` instead of languages.
    """

    def __init__(self, records: Sequence[Record], by_corpus: bool = False) -> None:
        self.records = list(records)
        self.by_corpus = by_corpus
        groups: dict[str, list[Record]] = {}
        for record in self.records:
            groups.setdefault(self.group_of(record), []).append(record)
        self.groups = {name: _sum(members) for name, members in sorted(groups.items())}
        self.all = _sum(self.records)

    def group_of(self, record: Record) -> str:
        """Name of the group; ``all`` for a split without languages."""
        language = record.language or "all"
        return f"{language}/{record.corpus}" if self.by_corpus and record.corpus else language

    @property
    def cer(self) -> dict[str, float]:
        """By group, fractions; without groups that have no reference character."""
        return {name: score.cer for name, score in self.groups.items() if score.cer is not None}

    @property
    def worst(self) -> str:
        """The group of the highest CER."""
        cer = self.cer
        return max(sorted(cer), key=lambda name: cer[name])

    @cached_property
    def _replicates(self) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        blocks = make_blocks(
            [self.group_of(record) for record in self.records],
            [record.characters.errors for record in self.records],
            [record.characters.reference_length for record in self.records],
            [record.speaker for record in self.records],
        ).rated()
        return blocks.languages, blocks.rates, replicate_rates(blocks.bundled())

    def estimates(self) -> dict[str, Estimate]:
        names, rates, replicates = self._replicates
        low, high = _interval(replicates)
        ends = zip(names, rates, low, high)
        return {name: Estimate(float(r), float(a), float(b)) for name, r, a, b in ends}

    def headline(self) -> dict[str, Estimate]:
        _, rates, replicates = self._replicates
        found = {}
        for name, measure in disparity.MEASURES.items():
            low, high = _interval(measure(replicates)[:, None])
            found[name] = Estimate(float(measure(rates)), float(low[0]), float(high[0]))
        return found

    def micro(self) -> Estimate:
        """CER of all utterances together."""
        return Estimate(self.all.cer, float("nan"), float("nan"))

    def mean_wer(self) -> float | None:
        rates = [score.wer for score in self.groups.values() if score.wer is not None]
        return sum(rates) / len(rates) if rates else None

    def null_band(self):
        return None

    def split_half_worst(self):
        return None

    def worse_than(self, other):
        return None


def _interval(replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tail = (1 - _CONFIDENCE) / 2
    return np.nanquantile(replicates, [tail, 1 - tail], axis=0)


def _sum(records: Sequence[Record]) -> GroupScore:
    seconds = [record.seconds for record in records if record.seconds is not None]
    speakers = {record.speaker for record in records}
    tokens = [record for record in records if record.target_language is not None]
    return GroupScore(
        n_utterances=len(records),
        audio_seconds=sum(seconds) if seconds else None,
        substitutions=sum(r.characters.substitutions for r in records),
        deletions=sum(r.characters.deletions for r in records),
        insertions=sum(r.characters.insertions for r in records),
        characters=sum(r.characters.reference_length for r in records),
        word_errors=sum(r.words.errors for r in records),
        words=sum(r.words.reference_length for r in records),
        n_empty=sum(not r.hypothesis for r in records),
        n_with_token=len(tokens),
        n_token_right=sum(r.predicted_language == r.target_language for r in tokens),
        n_speakers=None if None in speakers else len(speakers),
    )
