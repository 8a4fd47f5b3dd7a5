"""A comparison as Markdown, as it is printed and as comparison.md holds it."""

from __future__ import annotations

from fairseq_dro.report.compare.arm_difference import ArmDifference
from fairseq_dro.report.compare.arms import Arm
from fairseq_dro.report.compare.comparison import Comparison
from fairseq_dro.report.compare.difference_tables import groups_table, measures_table
from fairseq_dro.report.compare.notes import notes
from fairseq_dro.report.compare.side_by_side import cautions, side_by_side
from fairseq_dro.report.compare.summary import summary


def as_markdown(comparison: Comparison, title: str) -> str:
    """The whole comparison: the table of all arms, then each arm against the baseline."""
    updates = ", ".join(f"{arm.name} {_updates(arm)}" for arm in comparison.arms)
    return "\n".join(
        [
            f"# {title}",
            "",
            f"Test split; rates in per cent; q at the last validation. Updates: {updates}.",
            "",
            side_by_side(comparison),
            *(f"**{sentence}**\n" for sentence in cautions(comparison)),
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


def _updates(arm: Arm) -> str:
    updates = {run.updates for run in arm.runs}
    told = f"{min(updates)}" if len(updates) == 1 else f"{min(updates)} to {max(updates)}"
    return told if len(arm.runs) == 1 else f"{told} ({len(arm.runs)} runs)"
