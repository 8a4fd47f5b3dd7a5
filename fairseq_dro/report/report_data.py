"""What all sections of a report share: the run, its baselines, their scores and the data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fairseq_dro.data.groups import groups_of
from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.errors import UserError
from fairseq_dro.languages import known_languages
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.runs.decodable import RESULTS
from fairseq_dro.runs.training_run import TrainingRun


@dataclass(frozen=True)
class TrainingSplit:
    """The training data by group: what a language had to learn from."""

    seconds: Mapping[str, float]
    n_utterances: Mapping[str, int] = field(default_factory=dict)
    # target units of an utterance, word boundaries among them
    mean_units: Mapping[str, float] = field(default_factory=dict)


@dataclass
class ReportData:
    """One run, the runs it is compared with, and what was measured on each.

    Attributes:
        scores: of the run; None before its test split was decoded.
        baseline_scores: of each baseline, likewise.
        verdicts: against each baseline by group (see ``verdicts``), empty where none was made.
        results: the folder of records that was asked for; a run's own may be another.
        constant_guess: CER of the best constant string by group, empty where it is not known.
    """

    run: TrainingRun
    baselines: Sequence[TrainingRun] = ()
    scores: RunScores | None = None
    baseline_scores: Sequence[RunScores | None] = field(default_factory=list)
    verdicts: Sequence[Mapping[str, str]] = field(default_factory=list)
    constant_guess: Mapping[str, float] = field(default_factory=dict)
    results: str = RESULTS

    @property
    def runs(self) -> list[TrainingRun]:
        """The run, then its baselines."""
        return [self.run, *self.baselines]

    @property
    def noun(self) -> str:
        """What a group is called: ``language``, or ``group``."""
        return self.run.group_by.noun

    @cached_property
    def codes(self) -> list[str]:
        """Groups by falling CER: of the test split, else of the last validation."""
        rates = self.test_cer() or self.validation_cer()
        known = [*self.run.final_q, *(self.scores.groups if self.scores else ())]
        rates = {**dict.fromkeys(known, -1.0), **rates}
        return sorted(rates, key=lambda code: (-rates[code], code))

    @cached_property
    def labels(self) -> dict[str, str]:
        """Code and name of each group."""
        return {code: self.run.group_by.label_of(code) for code in self.codes}

    @cached_property
    def short_labels(self) -> dict[str, str]:
        """As ``labels``, for pictures."""
        return {code: shortened(label) for code, label in self.labels.items()}

    def test_cer(self) -> dict[str, float]:
        """CER of the decoded test split by group; empty before it was decoded."""
        return {} if self.scores is None else self.scores.cer

    def validation_cer(self) -> dict[str, float]:
        """CER of the last validation by group; empty for a run without history."""
        return validation_rates(self.run.validations[-1]) if self.run.validations else {}

    @cached_property
    def training_groups(self) -> Sequence[str]:
        """Group of each utterance of the training split; empty where it is not at hand."""
        manifest = self.run.training_manifest
        try:
            return [] if manifest is None else groups_of(manifest, self.run.group_by)
        except UserError:  # the folder has lost a column since
            return []

    @cached_property
    def training_split(self) -> TrainingSplit | None:
        """Facts of the training manifest; where it is not at hand, the seconds that were kept when
        the test split was decoded; None where there is neither.
        """
        manifest, groups = self.run.training_manifest, self.training_groups
        if manifest is None or not groups:
            kept = self.run.decoded_from
            same = kept.group_by == self.run.group_by
            return TrainingSplit(kept.train_seconds) if kept.train_seconds and same else None
        seconds: dict[str, list[float]] = {}
        units: Counter[str] = Counter()
        for index, group in enumerate(groups):
            seconds.setdefault(group, []).append(int(manifest.n_samples[index]) / SAMPLE_RATE)
            units[group] += len(manifest.labels[index].split())
        counts = {group: len(values) for group, values in seconds.items()}
        return TrainingSplit(
            {group: math.fsum(values) for group, values in seconds.items()},
            counts,
            {group: units[group] / counts[group] for group in counts},
        )


    @cached_property
    def scripts(self) -> dict[str, str]:
        """ISO 15924 code of each group's usual script, where the table of languages has it."""
        table = known_languages()
        found = {}
        for group in self.codes:
            language = table.get(self.run.group_by.language_of(group))
            if language is not None:
                found[group] = language.script
        return found


def validation_rates(record: Mapping[str, Any], rate: str = "cer") -> dict[str, float]:
    """A number of one history line by group, without the groups that lack it."""
    rows = record["languages"]
    return {group: row[rate] for group, row in rows.items() if row.get(rate) is not None}


def shortened(label: str, length: int = 22) -> str:
    """At most ``length`` characters."""
    return label if len(label) <= length else f"{label[: length - 1]}…"
