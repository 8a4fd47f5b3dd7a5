"""Which checkpoint each way of choosing takes, and what that is worth on the test split."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairseq_dro.errors import UserError
from fairseq_dro.report.blocks import (
    MISSING,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    counted,
    per_cent,
)
from fairseq_dro.report.checkpoints.choice import Choice, choices
from fairseq_dro.report.checkpoints.decoded_choices import (
    DecodedChoice,
    decoded_choices,
    test_value,
)
from fairseq_dro.report.report_data import ReportData

_RATES = ("mean_cer", "worst_cer", "cvar_cer")
_NUMBERS = (
    ("mean", "mean CER %"), ("worst", "worst CER %"), ("cvar_10", "CVaR 10 %"),
    ("micro", "micro CER %"),
)  # fmt: skip


def checkpoints_section(data: ReportData) -> Section | None:
    """Choices by each validation number, then what was decoded; None without a choice."""
    found = choices(data.run) if len(data.run.validations) > 1 else []
    blocks: list = []
    try:
        decoded = decoded_choices(data.run, data.results)
    except UserError as error:  # another split beside the test split, or no languages
        decoded = []
        if found:
            blocks.append(Paragraph(f"Decoded folders are not compared: {error}", small=True))
    if found:
        blocks += _choices(found, decoded, data)
    if len(decoded) > 1:
        blocks.append(_test_numbers(decoded))
    return Section("checkpoints", "Choosing a checkpoint", blocks) if blocks else None


def _choices(
    found: Sequence[Choice], decoded: Sequence[DecodedChoice], data: ReportData
) -> list[Table | Paragraph]:
    columns = [Column("lowest", "checkpoint.best_checkpoint_metric", numeric=False)]
    columns += [Column("update"), Column("its value"), Column("by neighbours"), Column("luck")]
    columns += [Column(f"{name} there") for name in _RATES]
    on_test = [test_value(decoded, one) for one in found]
    if any(value is not None for value in on_test):
        columns.append(Column("on test"))
    rows = []
    for one, tested in zip(found, on_test):
        values = (one.value, one.expected, one.luck)
        cells = [Cell(one.criterion), Cell(f"{one.update:,}")]
        cells += [Cell(_number(one.criterion, value)) for value in values]
        cells += [Cell(_number(name, one.others[name])) for name in _RATES]
        cells.append(Cell(MISSING if tested is None else _number(one.criterion, tested)))
        rows.append(cells[: len(columns)])
    n_utterances = sum(
        row.get("n_utterances") or 0 for row in data.run.validations[-1]["languages"].values()
    )
    text = (
        f"Validation split {data.run.subset} ({counted(n_utterances, 'utterance')}), "
        f"{counted(len(data.run.validations), 'validation')}; rates in per cent, loss in nats. The "
        "lowest of many noisy numbers is too low by luck: by neighbours is what the validations "
        "before and after say of that update, luck the difference."
    )
    late = [one.criterion for one in found if one.at_the_end]
    if late:
        text += (
            f" {', '.join(late)}: lowest at the last validation, where luck and learning cannot "
            "be told apart."
        )
    return [Table(columns, rows), Paragraph(text, small=True)]


def _test_numbers(decoded: Sequence[DecodedChoice]) -> Table:
    columns = [Column("decoded folder", numeric=False), *(Column(name) for _, name in _NUMBERS)]
    rows = []
    for one in decoded:
        cells = [Cell(one.folder)]
        for name, _ in _NUMBERS:
            difference = one.differences.get(name)
            note = ""
            if difference is not None:
                ends = (float(difference.low), float(difference.high))
                note = " to ".join(f"{100 * end:+.1f}" for end in ends)
            cells.append(Cell(per_cent(one.numbers[name]), note=note))
        rows.append(cells)
    caption = (
        f"On the test split; smaller: difference from {decoded[0].folder} on the same utterances, "
        "95 % interval"
    )
    return Table(columns, rows, caption=caption)


def _number(criterion: str, value: float) -> str:
    if math.isnan(value):
        return MISSING
    return f"{value:.2f}" if criterion == "loss" else per_cent(value)
