"""Records of several runs, utterance by utterance, or the sentence that says why they do not pair.

Edits are counted from the texts, after NFC on both sides, and not taken from the records: runs
decoded by different versions or tools are then counted alike.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy, suffix_of
from fairseq_dro.scoring.bootstrap import drawn_of
from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.paired import PairedBlocks
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.text import normalize
from fairseq_dro.scoring.utterances import TextErrors

# Shapes: U utterances, N blocks, S runs of an arm.


@dataclass(frozen=True)
class DecodedRun:
    """Records of one run and the name by which errors call it."""

    name: str
    records: Sequence[Record]


@dataclass(frozen=True)
class PairedTest:
    """The test split as all arms decoded it.

    Attributes:
        characters: what CER is made of.
        words: what WER is made of, in the same blocks.
        n_utterances: by group.
        seconds: of audio by group, for those of which they are known.
        by_speaker: groups whose blocks are speakers; those of the others are single utterances.
        few_speakers: of the others, those that are known to have too few speakers.
        empty: by arm, share of its hypotheses that are empty.
        agreeing: by arm, share of utterances of which its first run has the baseline's hypothesis.
    """

    characters: PairedBlocks
    words: PairedBlocks
    n_utterances: dict[str, int]
    seconds: dict[str, float]
    by_speaker: frozenset[str]
    few_speakers: frozenset[str]
    empty: list[float]
    agreeing: list[float]


def pair(arms: Sequence[Sequence[DecodedRun]], by: GroupBy = BY_LANGUAGE) -> PairedTest:
    """Line all runs of all arms up, and count errors in blocks.

    A block is a speaker in groups of ``bootstrap.FEWEST_SPEAKERS`` or more, as in scores; else an
    utterance, as is one whose speaker is not known.

    Args:
        arms: runs of each arm; the first run of the first arm is the one the others must match.
        by: what a group is.

    Raises:
        UserError: two runs differ in utterances, references or groups (the first difference is
            named), an id is twice in one run, an utterance has no group, or a group no reference
            text.
    """
    first = arms[0][0]
    reference = {record.id: record for record in first.records}
    ids = sorted(reference)
    groups = [_group(first, reference[id], by) for id in ids]
    counts, empty, agreeing = [], [], []
    for runs in arms:
        counted, n_empty = [], 0
        for run in runs:
            mine = _by_id(run)
            if run is not first:
                _require_same(first, reference, run, mine, by)
            if run is runs[0]:
                same = sum(_same_hypothesis(mine[id], reference[id]) for id in ids)
                agreeing.append(same / len(ids))
            counted.append(_count([mine[id] for id in ids]))
            n_empty += sum(not mine[id].hypothesis for id in ids)
        counts.append(np.array(counted, dtype=float))  # [S, U, 4]
        empty.append(n_empty / (len(ids) * len(runs)))
    names = sorted(set(groups))
    _require_text(first, names, groups, counts[0][0], by)
    block = np.zeros(len(ids), dtype=int)
    language, by_speaker, few_speakers = [], set(), set()
    members: dict[str, list[int]] = {}
    for place, name in enumerate(groups):
        members.setdefault(name, []).append(place)
    for index, name in enumerate(names):
        own = members[name]
        drawn = drawn_of([reference[ids[place]].speaker for place in own])
        block[own] = drawn.place + len(language)
        language += [index] * (int(drawn.place.max()) + 1)
        by_speaker |= {name} if drawn.by_speaker else set()
        few_speakers |= {name} if drawn.few_speakers else set()

    def blocks_of(errors: int, length: int) -> PairedBlocks:
        def add(values: np.ndarray) -> np.ndarray:
            return np.bincount(block, weights=values, minlength=len(language))

        return PairedBlocks(
            names,
            np.array(language),
            add(counts[0][0][:, length]),
            [np.stack([add(run[:, errors]) for run in arm]) for arm in counts],
        )

    fields = TextErrors._fields
    return PairedTest(
        characters=blocks_of(fields.index("char_errors"), fields.index("characters")),
        words=blocks_of(fields.index("word_errors"), fields.index("words")),
        n_utterances=dict(sorted(Counter(groups).items())),
        seconds=_seconds(ids, groups, reference),
        by_speaker=frozenset(by_speaker),
        few_speakers=frozenset(few_speakers),
        empty=empty,
        agreeing=agreeing,
    )


def _seconds(
    ids: Sequence[str], groups: Sequence[str], records: dict[str, Record]
) -> dict[str, float]:
    seconds: dict[str, list[float]] = {}
    unknown = set()
    for id, group in zip(ids, groups):
        if records[id].seconds is None:
            unknown.add(group)
        else:
            seconds.setdefault(group, []).append(records[id].seconds)
    return {group: math.fsum(own) for group, own in seconds.items() if group not in unknown}


def _by_id(run: DecodedRun) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for record in run.records:
        if record.id in records:
            raise UserError(
                f"{run.name}: the utterance {record.id} is there twice, and only one can be paired "
                "with the other runs; decode the split again."
            )
        records[record.id] = record
    return records


def _group(run: DecodedRun, record: Record, by: GroupBy) -> str:
    group = by.group_of(record)
    if group is None:
        column = by.columns[0]
        raise UserError(
            f"{run.name}: the utterance {record.id} has no {column}, and runs are compared "
            f"by {by}: give the test split a .{suffix_of(column)} file and decode it again."
        )
    return group


def _require_same(
    first: DecodedRun, reference: dict[str, Record], run: DecodedRun, mine: dict[str, Record],
    by: GroupBy,
) -> None:  # fmt: skip
    lacking = sorted(reference.keys() - mine.keys())
    foreign = sorted(mine.keys() - reference.keys())
    if lacking or foreign:
        one, where, absent = (
            (lacking[0], first.name, run.name) if lacking else (foreign[0], run.name, first.name)
        )
        raise UserError(
            f"{first.name} and {run.name} were not decoded on the same utterances: {one} is in "
            f"{where} and not in {absent} ({len(lacking)} are only in the one, {len(foreign)} only "
            "in the other); decode both on one test split."
        )
    for id in reference:
        theirs, ours = reference[id], mine[id]
        if _normal(theirs) != _normal(ours):
            raise UserError(
                f"{first.name} and {run.name} have different references for the utterance {id}: "
                f"{_quoted(theirs.reference)} and {_quoted(ours.reference)}; decode both on one "
                "test split."
            )
        groups = [
            by.group_of(record) or "none"
            for record in (theirs, ours)
        ]
        if groups[0] != groups[1]:
            raise UserError(
                f"{first.name} and {run.name} have the utterance {id} in different groups: "
                f"{groups[0]} and {groups[1]}; decode both on one test split."
            )


def _normal(record: Record) -> str:
    """The reference as it is scored; two spellings of white space or of one letter are the same."""
    return normalize(record.reference)


def _same_hypothesis(one: Record, other: Record) -> bool:
    return normalize(one.hypothesis) == normalize(other.hypothesis)


def _quoted(text: str) -> str:
    return f"'{unicodedata.normalize('NFC', text)}'"


def _count(records: Sequence[Record]) -> list[TextErrors]:
    scored = map(Convention().score, records)
    return [
        TextErrors(
            one.characters.errors,
            one.characters.reference_length,
            one.words.errors,
            one.words.reference_length,
        )
        for one in scored
    ]


def _require_text(
    run: DecodedRun, names: Sequence[str], groups: Sequence[str], counts: np.ndarray, by: GroupBy
) -> None:
    length = dict.fromkeys(names, 0.0)
    for group, characters in zip(groups, counts[:, TextErrors._fields.index("characters")]):
        length[group] += characters
    empty = [name for name in names if not length[name]]
    if empty:
        raise UserError(
            f"{run.name}: all references of {', '.join(empty[:10])} are empty, so that no error "
            f"rate can be compared; decode a split with texts for every {by.noun}."
        )
