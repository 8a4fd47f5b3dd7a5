"""What all sections of a report share: the run, its baselines, their scores and the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fairseq_dro.report.comparison import Comparison, Verdict
from fairseq_dro.report.figures.style import shortened
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.report.training_facts import TrainingFacts
from fairseq_dro.runs.decodable import RESULTS
from fairseq_dro.runs.training_run import TrainingRun


@dataclass
class ReportData:
    """One run, the runs it is compared with, and what was measured on each.

    Attributes:
        scores: of the run; None before its test split was decoded.
        baseline_scores: of each baseline, likewise.
        comparisons: of the run with each baseline, None where there is none.
        results: the folder of records that was asked for; a run's own may be another.
        facts: of training, None where they are not known; the guess is scored on the test split,
            before decoding on the validation split.
        without_data: why the data folder was not read; empty where it was.
    """

    run: TrainingRun
    baselines: Sequence[TrainingRun] = ()
    scores: RunScores | None = None
    baseline_scores: Sequence[RunScores | None] = field(default_factory=list)
    comparisons: Sequence[Comparison | None] = field(default_factory=list)
    results: str = RESULTS
    facts: TrainingFacts | None = None
    without_data: str = ""

    @property
    def runs(self) -> list[TrainingRun]:
        """The run, then its baselines."""
        return [self.run, *self.baselines]

    @property
    def decoded(self) -> list[tuple[TrainingRun, RunScores]]:
        """The runs that have an error rate, with their scores."""
        pairs = zip(self.runs, [self.scores, *self.baseline_scores])
        return [(run, scores) for run, scores in pairs if scores is not None and scores.cer]

    @property
    def noun(self) -> str:
        """What a group is called: ``language``, or ``group``."""
        return self.run.group_by.noun

    @property
    def verdicts(self) -> list[Mapping[str, Verdict]]:
        """Against each baseline by group; empty where it is not compared."""
        return [{} if one is None else one.differences[0].verdicts for one in self.comparisons]

    @property
    def constant_guess(self) -> Mapping[str, float]:
        """CER of the constant guess by group, empty where it is not known."""
        return {} if self.facts is None else self.facts.constant_cer

    @cached_property
    def codes(self) -> list[str]:
        """Groups by falling CER: of the test split, else of the last validation."""
        rates = (self.scores.cer if self.scores else {}) or self.validation_cer()
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

    def validation_cer(self) -> dict[str, float]:
        """CER of the last validation by group; empty for a run without history."""
        return validation_rates(self.run.validations[-1]) if self.run.validations else {}


def validation_rates(record: Mapping[str, Any], rate: str = "cer") -> dict[str, float]:
    """A number of one history line by group, without the groups that lack it."""
    rows = record["languages"]
    return {group: row[rate] for group, row in rows.items() if row.get(rate) is not None}
