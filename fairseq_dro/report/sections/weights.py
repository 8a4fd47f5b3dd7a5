"""q over updates, its entropy and what it amounts to."""

from __future__ import annotations

import math

from fairseq_dro.report.blocks import Block, Figure, Paragraph
from fairseq_dro.report.figures.over_updates import coloured_groups, draw_weights
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.wording import counted


def weights_blocks(data: ReportData) -> list[Block]:
    """How q moved, or why there is nothing to show; each weight stands with its group's numbers."""
    run, path = data.run, data.run.q_path()
    if not path:
        text = (
            "This run left no group weights: it was trained without the criterion group_dro_ctc, "
            "or its history is gone."
        )
        return [Paragraph(text)]
    last, n_groups = path[-1][1], len(path[-1][1])
    if not run.moved_q:
        why = "the objective is erm" if run.objective == "erm" else "it has not moved yet"
        text = f"q stays at 1/{n_groups} = {1 / n_groups:.4f} for each {data.noun}: {why}."
        return [Paragraph(text)]
    entropy = -sum(weight * math.log(weight) for weight in last.values() if weight > 0)
    largest, smallest = (choose(last, key=lambda code: last[code]) for choose in (max, min))
    text = (
        f"After {counted(path[-1][0], 'update')} and {counted(len(run.moves), 'move')} the largest "
        f"weight is {last[largest]:.3g} ({run.group_by.label_of(largest)}, its loss counts "
        f"{n_groups * last[largest]:.2f} times), the smallest {last[smallest]:.3g} "
        f"({run.group_by.label_of(smallest)}, {n_groups * last[smallest]:.2f} times); entropy "
        f"{entropy:.2f} of {math.log(n_groups):.2f} nats, as if {math.exp(entropy):.1f} of "
        f"{n_groups} {data.noun}s shared the training evenly."
    )
    if len(path) < 2:
        return [Paragraph(text)]
    caption = "q over updates; dotted: 1/|G|, where it started"
    rest = n_groups - len(coloured_groups(path))
    if rest:
        caption += f"; grey: the {rest} {data.noun}s whose weight never was among the largest"
    return [Paragraph(text), Figure([draw_weights(path)], f"{caption}.", alt=caption)]
