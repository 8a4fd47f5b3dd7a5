"""q over updates, its entropy and what it amounts to."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fairseq_dro.report.blocks import (
    Beside,
    Cell,
    Column,
    Figure,
    Paragraph,
    Section,
    Table,
)
from fairseq_dro.report.figures.over_updates import coloured_groups, draw_weights
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.wording import counted

_MOST_ROWS = 6


def weights_section(data: ReportData) -> Section:
    """How q moved, or why there is nothing to show."""
    section = Section("weights", f"Weights of the {data.noun}s")
    run = data.run
    path = run.q_path()
    if not path:
        section.blocks.append(
            Paragraph(
                "This run left no group weights: it was trained without the criterion "
                "group_dro_ctc, or its history is gone."
            )
        )
        return section
    n_groups = len(path[-1][1])
    if not run.moved_q:
        why = "the objective is erm" if run.objective == "erm" else "it has not moved yet"
        section.blocks.append(
            Paragraph(f"q stays at 1/{n_groups} = {1 / n_groups:.4f} for each {data.noun}: {why}.")
        )
        return section
    last = path[-1][1]
    entropy = -sum(weight * math.log(weight) for weight in last.values() if weight > 0)
    heaviest = max(last, key=lambda code: last[code])
    section.blocks.append(
        Paragraph(
            f"After {counted(path[-1][0], 'update')} and {counted(len(run.moves), 'move')} the "
            f"largest weight is {last[heaviest]:.3f} ({run.group_by.label_of(heaviest)}), the "
            f"smallest {min(last.values()):.3g}; entropy {entropy:.2f} of "
            f"{math.log(n_groups):.2f} nats, as if {math.exp(entropy):.1f} of {n_groups} "
            f"{data.noun}s shared the training evenly."
        )
    )
    table, rest = _table(last, data, n_groups), n_groups - len(coloured_groups(path))
    caption = "q over updates; dotted: 1/|G|, where it started"
    if rest:
        caption += f"; grey: the {rest} {data.noun}s whose weight never was among the largest"
    if len(path) > 1:
        figure = Figure([draw_weights(path)], f"{caption}.", alt=caption)
        section.blocks.append(Beside([("", table), ("", figure)]))
    else:
        section.blocks.append(table)
    return section


def _table(q: Mapping[str, float], data: ReportData, n_groups: int) -> Table:
    by, cer = data.run.group_by, data.validation_cer()
    order = sorted(q, key=lambda code: (-q[code], code))
    shown = order if len(order) <= 2 * _MOST_ROWS else [*order[:_MOST_ROWS], *order[-_MOST_ROWS:]]
    rows = [
        [
            Cell(by.label_of(code)),
            Cell(f"{q[code]:.4f}", q[code]),
            Cell(f"{q[code] * n_groups:.2f}", q[code]),
            Cell(f"{100 * cer[code]:.1f}" if code in cer else "–", cer.get(code, -1.0)),
        ]
        for code in shown
    ]
    caption = "Final weights" if len(shown) == len(order) else (
        f"Final weights: the {_MOST_ROWS} largest and the {_MOST_ROWS} smallest"
    )
    columns = [
        Column(str(by), numeric=False), Column("q"),
        Column("q × |G|", f"factor on the {by.noun}'s loss"), Column("validation CER %"),
    ]  # fmt: skip
    return Table(columns, rows, caption=caption)
