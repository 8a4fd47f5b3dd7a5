"""A comparison as Markdown, as it is printed and as comparison.md holds it."""

from __future__ import annotations

from collections.abc import Sequence

from fairseq_dro.report.compare.arm_difference import ArmDifference
from fairseq_dro.report.compare.arms import Arm
from fairseq_dro.report.compare.comparison import Comparison
from fairseq_dro.report.compare.difference_tables import groups_table, measures_table
from fairseq_dro.report.compare.notes import notes
from fairseq_dro.report.compare.side_by_side import cautions, runs_table, side_by_side
from fairseq_dro.report.compare.summary import summary

_CONSTANT_GUESS = (
    "Constant guess: one string a {noun}, made of the training text, that never hears the audio; "
    "its CER is above 100 % where it is longer than what is said."
)


def as_markdown(comparison: Comparison, title: str) -> str:
    """The whole comparison: the table of all arms, then each arm against the baseline."""
    guess = _CONSTANT_GUESS.format(noun=comparison.by.noun)
    updates = ", ".join(f"{arm.name} {_updates(arm)}" for arm in comparison.arms)
    return "\n".join(
        [
            f"# {title}",
            "",
            f"{_decoded(comparison)}; rates in per cent; q at the last validation. "
            f"Updates: {updates}.",
            "",
            *(f"**{sentence}**\n" for sentence in cautions(comparison)),
            side_by_side(comparison),
            *([f"{guess}\n"] if comparison.constant_cer else []),
            *([table] if (table := runs_table(comparison)) else []),
            *(difference_section(comparison, one) for one in comparison.differences),
        ]
    )


def difference_section(comparison: Comparison, one: ArmDifference) -> str:
    """Everything that is said of one arm against the baseline, as Markdown."""
    baseline = comparison.arms[0].name
    return "\n".join(
        [
            f"## {one.name} against {baseline}",
            "",
            summary(comparison, one),
            "",
            measures_table(comparison, one),
            groups_table(comparison, one),
            *(f"- {note}" for note in notes(comparison, one)),
            "",
        ]
    )


def _decoded(comparison: Comparison) -> str:
    runs = [run for arm in comparison.arms for run in arm.runs]
    splits = sorted({run.decoded_from.split or "" for run in runs} - {""})
    return f"Split {' and '.join(splits)}" if splits else f"Records of {runs[0].results}"


def _updates(arm: Arm) -> str:
    told = _range([run.updates for run in arm.runs])
    decoded = [run.decoded_from.update for run in arm.runs]
    if None not in decoded and decoded != [run.updates for run in arm.runs]:
        told += f" (decoded: {_range(decoded)})"
    return told if len(arm.runs) == 1 else f"{told} ({len(arm.runs)} runs)"


def _range(updates: Sequence[int]) -> str:
    lowest, highest = min(updates), max(updates)
    return f"{lowest}" if lowest == highest else f"{lowest} to {highest}"
