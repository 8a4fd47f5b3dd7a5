"""Records of several runs, utterance by utterance, or the sentence that says why they do not pair.

Edits are counted from the texts, after NFC on both sides, and not taken from the records: runs
decoded by different versions or tools are then counted alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy, suffix_of
from fairseq_dro.report.arms import Arm
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.scoring.bootstrap import drawn_of
from fairseq_dro.scoring.paired import PairedBlocks
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.text import normalize
from fairseq_dro.scoring.utterances import errors_of

# Shapes: U utterances, N blocks, S runs of an arm.


@dataclass(frozen=True)
class PairedTest:
    """The test split as all arms decoded it.

    Attributes:
        characters: what CER is made of.
        words: what WER is made of, in the same blocks.
        n_utterances: by group.
        by_speaker: groups whose blocks are speakers; those of the others are single utterances.
        few_speakers: of the others, those that are known to have too few speakers.
        empty: by arm, share of its hypotheses that are empty.
        agreeing: by arm, share of utterances of which its first run has the baseline's hypothesis.
    """

    characters: PairedBlocks
    words: PairedBlocks
    n_utterances: dict[str, int]
    by_speaker: frozenset[str]
    few_speakers: frozenset[str]
    empty: list[float]
    agreeing: list[float]


def pair(
    arms: Sequence[Arm], by: GroupBy = BY_LANGUAGE, apart: Sequence[str] = ()
) -> PairedTest:
    """Line all runs of all arms up, and count errors in blocks.

    A block is a speaker in groups of ``bootstrap.FEWEST_SPEAKERS`` or more, as in scores; else an
    utterance, as is one whose speaker is not known.

    Args:
        arms: the first run of the first arm is the one the others must match.
        by: what a group is.
        apart: groups whose utterances are left out.

    Raises:
        UserError: two runs differ in utterances, references or groups (the first difference is
            named), or an utterance has no group.
    """
    def kept(run: TrainingRun) -> dict[str, Record]:
        return {one.id: one for one in run.utterances if by.group_of(one) not in apart}

    first = arms[0].runs[0]
    reference = kept(first)
    ids = sorted(reference)
    groups = [_group(first, reference[id], by) for id in ids]
    counts, empty, agreeing = [], [], []
    for arm in arms:
        decoded = [kept(run) for run in arm.runs]
        for run, records in zip(arm.runs, decoded):
            _require_same(first, reference, run, records, by)
        hypotheses = [[normalize(records[id].hypothesis) for id in ids] for records in decoded]
        same = (normalize(reference[id].hypothesis) == one for id, one in zip(ids, hypotheses[0]))
        agreeing.append(sum(same) / len(ids))
        empty.append(sum(not one for own in hypotheses for one in own) / (len(ids) * len(decoded)))
        own = [[errors_of(records[id]) for id in ids] for records in decoded]
        counts.append(np.array(own, dtype=float))  # [S, U, 4]
    names = sorted(set(groups))
    block = np.zeros(len(ids), dtype=int)
    language, drawn = [], {}
    members: dict[str, list[int]] = {}
    for place, name in enumerate(groups):
        members.setdefault(name, []).append(place)
    for index, name in enumerate(names):
        drawn[name] = drawn_of([reference[ids[place]].speaker for place in members[name]])
        block[members[name]] = drawn[name].place + len(language)
        language += [index] * (int(drawn[name].place.max()) + 1)

    def blocks_of(column: int) -> PairedBlocks:
        """Of errors in a column and lengths in the next."""
        def add(values: np.ndarray) -> np.ndarray:
            return np.bincount(block, weights=values, minlength=len(language))

        errors = [np.stack([add(run[:, column]) for run in arm]) for arm in counts]
        lengths = add(counts[0][0][:, column + 1])
        return PairedBlocks(names, np.array(language), lengths, errors)

    return PairedTest(
        characters=blocks_of(0),
        words=blocks_of(2),
        n_utterances=dict(sorted(Counter(groups).items())),
        by_speaker=frozenset(name for name in names if drawn[name].by_speaker),
        few_speakers=frozenset(name for name in names if drawn[name].few_speakers),
        empty=empty,
        agreeing=agreeing,
    )


def _group(run: TrainingRun, record: Record, by: GroupBy) -> str:
    group = by.group_of(record)
    if group is None:
        column = by.columns[0]
        raise UserError(
            f"{run.folder}: the utterance {record.id} has no {column}, and runs are compared "
            f"by {by}: give the test split a .{suffix_of(column)} file and decode it again."
        )
    return group


def _require_same(
    first: TrainingRun, reference: Mapping[str, Record], run: TrainingRun,
    mine: Mapping[str, Record], by: GroupBy,
) -> None:  # fmt: skip
    both, again = f"{first.folder} and {run.folder}", "decode both on one test split"
    lacking, foreign = (sorted(one.keys() - other.keys())
                        for one, other in ((reference, mine), (mine, reference)))  # fmt: skip
    if lacking or foreign:
        one, where, absent = (
            (lacking[0], first.folder, run.folder) if lacking
            else (foreign[0], run.folder, first.folder)
        )
        raise UserError(
            f"{both} were not decoded on the same utterances: {one} is in {where} and not in "
            f"{absent} ({len(lacking)} are only in the one, {len(foreign)} only in the other); "
            f"{again}."
        )
    for id in reference:
        # as they are scored: two spellings of white space or of one letter are the same
        texts = [normalize(records[id].reference) for records in (reference, mine)]
        if texts[0] != texts[1]:
            raise UserError(
                f"{both} have different references for the utterance {id}: '{texts[0]}' and "
                f"'{texts[1]}'; {again}."
            )
        groups = [by.group_of(records[id]) or "none" for records in (reference, mine)]
        if groups[0] != groups[1]:
            raise UserError(
                f"{both} have the utterance {id} in different groups: {groups[0]} and {groups[1]}; "
                f"{again}."
            )
