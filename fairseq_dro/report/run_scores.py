"""Test scores of one run: per group with intervals, and how unequal the groups are.

Texts are compared anew, whatever counts the records hold, as ``score`` and ``compare`` do: records
of another version or tool are then counted alike on every page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.figures.forest import Estimate
from fairseq_dro.scoring.as_written import WrittenSums
from fairseq_dro.scoring.bootstrap import FEWEST_SPEAKERS, N_REPLICATES, Blocks, make_blocks
from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.disparity_intervals import (
    Disparity,
    disparity_intervals,
    mean_interval,
)
from fairseq_dro.scoring.intervals import Interval, language_intervals
from fairseq_dro.scoring.micro import micro_interval
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.sampling_noise import sampling_noise
from fairseq_dro.scoring.split_half import split_half_worst

_NAN = float("nan")


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
    n_speakers: int  # at most: an utterance whose speaker is not known counts as one of its own

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
        by: what a group is.

    Attributes:
        records: the utterances with the counts of ``Convention()``.
        by_speaker: groups whose blocks are speakers; those of the others are single utterances.
    """

    def __init__(self, records: Sequence[Record], by: GroupBy = BY_LANGUAGE) -> None:
        convention = Convention()
        self.records = [convention.score(record) for record in records]
        self.by = by
        groups: dict[str, list[Record]] = {}
        for record in self.records:
            groups.setdefault(self.group_of(record), []).append(record)
        self.groups = {name: _sum(members) for name, members in sorted(groups.items())}
        self.all = _sum(self.records)

    def group_of(self, record: Record) -> str:
        """Name of the group; ``all`` for an utterance that has none."""
        return self.by.group_of(record) or "all"

    @cached_property
    def written(self) -> dict[str, WrittenSums]:
        """By group, of texts with case and punctuation; empty where the model writes none."""
        found: dict[str, WrittenSums] = {}
        for record in self.records:
            if record.as_written is not None:
                found.setdefault(self.group_of(record), WrittenSums()).add(record)
        return found

    @property
    def cer(self) -> dict[str, float]:
        """By group, fractions; without groups that have no reference character."""
        return {name: score.cer for name, score in self.groups.items() if score.cer is not None}

    @property
    def worst(self) -> str:
        """The group of the highest CER; empty where no group has a rate."""
        cer = self.cer
        return max(sorted(cer), key=lambda name: cer[name], default="")

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """CER of each group with its interval."""
        return {name: _estimate(one) for name, one in language_intervals(self._blocks).items()}

    @cached_property
    def headline(self) -> dict[str, Disparity]:
        """``disparity.MEASURES`` of the CER, with interval and null band."""
        if not self._blocks.languages:
            return {}
        return disparity_intervals(self._blocks, sampling_noise(self._blocks, N_REPLICATES, 0))

    @cached_property
    def micro(self) -> Estimate:
        """CER of all utterances together."""
        if not self.all.characters:
            return Estimate(_NAN, _NAN, _NAN)
        return _estimate(micro_interval(self._make_blocks("characters")))

    @cached_property
    def mean_wer(self) -> Estimate:
        """WER, every group with the same weight."""
        blocks = self._make_blocks("words").rated()
        if not blocks.languages:
            return Estimate(_NAN, _NAN, _NAN)
        noise = sampling_noise(blocks, N_REPLICATES, 0)
        return _estimate(mean_interval(blocks.rates, noise.replicates()))

    @cached_property
    def null_band(self) -> tuple[float, float] | None:
        """Where the highest CER would lie if all groups were equally hard."""
        worst = self.headline.get("worst")
        if worst is None or worst.null_low is None or len(self.cer) < 2:
            return None
        return worst.null_low, worst.null_high

    @cached_property
    def split_half(self) -> Estimate | None:
        """CER of the worst group, chosen on one half of the utterances, measured on the other."""
        found = split_half_worst(self._blocks)
        return None if found is None else _estimate(found)

    @cached_property
    def few_speakers(self) -> dict[str, int]:
        """Groups with speakers that are too few to be drawn from, with their number at most.

        Where no two utterances are known to be of one speaker, utterances are what is drawn.
        """
        return {
            name: score.n_speakers
            for name, score in self.groups.items()
            if score.n_speakers < min(FEWEST_SPEAKERS, score.n_utterances)
        }

    @cached_property
    def by_speaker(self) -> frozenset[str]:
        blocks = self._blocks
        return frozenset(
            name for name, drawn in zip(blocks.languages, blocks.by_speaker) if drawn
        )

    @cached_property
    def _blocks(self) -> Blocks:
        return self._make_blocks("characters").rated()

    def _make_blocks(self, units: str) -> Blocks:
        counts = [getattr(record, units) for record in self.records]
        return make_blocks(
            [self.group_of(record) for record in self.records],
            [count.errors for count in counts],
            [count.reference_length for count in counts],
            [record.speaker for record in self.records],
        ).bundled()


def _estimate(interval: Interval) -> Estimate:
    low, high = (_NAN if end is None else float(end) for end in interval[1:])
    return Estimate(float(interval.value), low, high)


def _sum(records: Sequence[Record]) -> GroupScore:
    seconds = [record.seconds for record in records if record.seconds is not None]
    speakers = {record.speaker for record in records if record.speaker is not None}
    n_alone = sum(record.speaker is None for record in records)
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
        n_speakers=len(speakers) + n_alone,
    )
