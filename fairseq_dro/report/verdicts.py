"""What a paired test says of each group: better, same or worse than in a baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum

import numpy as np

from fairseq_dro.group_by import GroupBy
from fairseq_dro.report.paired_records import DecodedRun, pair
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.scoring.paired import CONFIDENCE, difference_by_language, holm
from fairseq_dro.scoring.records import Record

LEVEL = 1 - CONFIDENCE


class Verdict(str, Enum):
    """On one group, after Holm's correction over the groups; the value is for files."""

    BETTER = "better"
    SAME = "same"
    """No difference is shown; there may be one that the test split is too small to show."""
    WORSE = "worse"
    NONE = "no verdict"
    """One block: how much it varies is not known."""


BETTER, SAME, WORSE = (one.value for one in (Verdict.BETTER, Verdict.SAME, Verdict.WORSE))


def verdict_of(difference: float, holm_p: float) -> Verdict:
    """Args: other - baseline, of an error rate; p after Holm's correction, NaN where unknown."""
    if np.isnan(holm_p):
        return Verdict.NONE
    if holm_p > LEVEL:
        return Verdict.SAME
    return Verdict.BETTER if difference < 0 else Verdict.WORSE


def verdicts(run: TrainingRun, baseline: TrainingRun, by: GroupBy) -> dict[str, str]:
    """By group; empty where utterances have none.

    A group of one block has no verdict and is left out, as is one whose references are all empty.

    Raises:
        UserError: the two were not decoded on the same utterances; see ``paired_records.pair``.
    """
    decoded = [DecodedRun(str(one.folder), one.utterances) for one in (baseline, run)]
    if any(by.group_of(record) is None for one in decoded for record in one.records):
        return {}
    decoded = [DecodedRun(one.name, _with_text(one.records, by)) for one in decoded]
    if not decoded[0].records:
        return {}
    blocks = pair([[one] for one in decoded], by).characters
    difference = difference_by_language(blocks, baseline=0, other=1)
    judged = zip(blocks.languages, map(verdict_of, difference.estimate, holm(difference.p)))
    return {group: verdict.value for group, verdict in judged if verdict is not Verdict.NONE}


def _with_text(records: Sequence[Record], by: GroupBy) -> list[Record]:
    """Without the groups that have no reference character."""
    groups = [by.group_of(record) for record in records]
    length: Counter[str | None] = Counter()
    for record, group in zip(records, groups):
        length[group] += record.characters.reference_length
    return [record for record, group in zip(records, groups) if length[group]]
