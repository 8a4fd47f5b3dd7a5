"""What a paired test says of each group: better, same or worse than in a baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fairseq_dro.report.paired_records import DecodedRun, pair
from fairseq_dro.report.training_run import TrainingRun
from fairseq_dro.scoring.paired import CONFIDENCE, difference_by_language, holm
from fairseq_dro.scoring.records import Record

BETTER, SAME, WORSE = "better", "same", "worse"


def verdicts(run: TrainingRun, baseline: TrainingRun, by_corpus: bool) -> dict[str, str]:
    """By group, after Holm's correction over the groups; empty where utterances have no language.

    ``same`` says that no difference is shown. A group of one block, of which it is not known how
    much it varies, has no verdict, nor has one whose references are all empty.

    Raises:
        UserError: the two were not decoded on the same utterances; see ``paired_records.pair``.
    """
    decoded = [DecodedRun(str(one.folder), one.utterances) for one in (baseline, run)]
    if any(record.language is None for one in decoded for record in one.records):
        return {}
    decoded = [DecodedRun(one.name, _with_text(one.records, by_corpus)) for one in decoded]
    if not decoded[0].records:
        return {}
    blocks = pair([[one] for one in decoded], by_corpus).characters
    difference = difference_by_language(blocks, baseline=0, other=1)
    p = holm(difference.p)
    found = {}
    for index, group in enumerate(blocks.languages):
        if np.isnan(p[index]):
            continue
        if p[index] > 1 - CONFIDENCE:
            found[group] = SAME
        else:
            found[group] = BETTER if difference.estimate[index] < 0 else WORSE
    return found


def _with_text(records: Sequence[Record], by_corpus: bool) -> list[Record]:
    """Without the groups that have no reference character."""
    length: Counter[tuple[str | None, str | None]] = Counter()
    for record in records:
        length[_group(record, by_corpus)] += record.characters.reference_length
    return [record for record in records if length[_group(record, by_corpus)]]


def _group(record: Record, by_corpus: bool) -> tuple[str | None, str | None]:
    return record.language, record.corpus if by_corpus else None
