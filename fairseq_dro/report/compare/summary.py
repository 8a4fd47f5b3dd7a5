"""What one arm changed against the baseline, good or bad, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from fairseq_dro.report.blocks import counted, per_cent
from fairseq_dro.report.compare.arm_difference import ArmDifference
from fairseq_dro.report.compare.comparison import Comparison
from fairseq_dro.report.compare.number_text import signed
from fairseq_dro.report.verdicts import Verdict
from fairseq_dro.scoring.levelling import GapVerdict

_GAP_SENTENCES = {
    GapVerdict.FROM_BELOW: "The gap closed from below: the worst-served {noun} got better.",
    GapVerdict.FROM_ABOVE: (
        "The gap closed from above: the best-served {noun} got worse, and that the worst-served "
        "got better is not shown. This is levelling down."
    ),
    GapVerdict.FROM_BOTH: (
        "The gap closed from both ends: the worst-served {noun} got better, and the best-served "
        "one got worse."
    ),
    GapVerdict.CLOSED: "The gap closed; of neither end alone is a move shown.",
    GapVerdict.WIDENED: "The gap widened.",
    GapVerdict.NOT_SHOWN: "No change of the gap between the worst and the best {noun} is shown.",
}
_DOUBT = "; doubtful, see below"


def summary(comparison: Comparison, one: ArmDifference) -> str:
    """What happened to the groups, the worst, the mean and the gap, good or bad, in sentences."""
    baseline = comparison.arms[0].name
    counts, noun = one.count(), comparison.by.noun
    none = counts[Verdict.NONE]
    sentences = [
        f"Of {counted(len(one.codes), noun)}, {counts[Verdict.BETTER]} got better, "
        f"{counts[Verdict.WORSE]} got worse, {counts[Verdict.SAME]} showed no difference "
        f"(5 % level, corrected by Holm's method for the number of {noun}s)"
        + (f"; {none} had too few utterances for a verdict." if none else ".")
    ]
    names = (baseline, one.name)
    mean = [("", comparison.measures[name]["mean"]) for name in names]
    worst = [
        (", ".join(comparison.worst_groups(name)), comparison.measures[name]["worst"])
        for name in names
    ]
    sentences.append(
        f"From {baseline} to {one.name} the worst {noun}'s CER {_moved(*worst)}"
        f"{_shown(one, 'worst')}, and the mean over {noun}s {_moved(*mean)}"
        f"{_shown(one, 'mean')}."
    )
    if len(comparison.counted.languages) > 1:
        sentences.append(_gap_sentence(one, noun))
    harmed = [code for code in comparison.codes if one.verdicts[code] is Verdict.WORSE]
    if harmed:
        sentences.append(f"Worse: {_listed(one, harmed)}.")
    return " ".join(sentences)


def _gap_sentence(one: ArmDifference, noun: str) -> str:
    change, gap = one.gap, one.measures["gap"]
    parts = (
        f" (gap {signed(gap.estimate)} points; worst {signed(-change.from_below)}, best "
        f"{signed(change.from_above)}"
        + (_DOUBT if {"gap", "worst", "best"} & set(one.doubtful) else "")
        + ")."
    )
    return _GAP_SENTENCES[change.verdict].format(noun=noun).rstrip(".") + parts


def _moved(before: tuple[str, float], after: tuple[str, float]) -> str:
    """``fell from 14.1 % (kat) to 9.1 % (kat)``; names are left out where they are empty."""
    told = [
        f"{per_cent(rate)} %" + (f" ({name})" if name else "") for name, rate in (before, after)
    ]
    if told[0] == told[1]:
        return f"stayed at {told[0]}"
    verb = "fell" if after[1] < before[1] else "rose" if after[1] > before[1] else "went"
    return f"{verb} from {told[0]} to {told[1]}"


def _shown(one: ArmDifference, name: str) -> str:
    value = one.measures[name]
    interval = f"{signed(value.low)} to {signed(value.high)} points"
    if value.estimate == value.low == value.high == 0:
        return ""
    not_shown = "not shown: " if value.low <= 0 <= value.high else ""
    return f" ({not_shown}{interval}{_DOUBT if name in one.doubtful else ''})"


def _listed(one: ArmDifference, codes: Sequence[str], most: int = 12) -> str:
    number = {code: index for index, code in enumerate(one.codes)}
    said = [f"{code} {signed(one.by_group.estimate[number[code]])}" for code in codes[:most]]
    return ", ".join(said) + (f" and {len(codes) - most} more" if len(codes) > most else "")
