"""Which checkpoint each way of choosing takes, and what that is worth on the test split."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairseq_dro.errors import UserError
from fairseq_dro.report.blocks import (
    MISSING,
    Block,
    Cell,
    Code,
    Column,
    Paragraph,
    Table,
    number_cell,
    per_cent,
)
from fairseq_dro.report.checkpoints.choice import Choice, choices
from fairseq_dro.report.checkpoints.decoded_choices import decoded_choices, decoded_of, test_value
from fairseq_dro.report.compare.difference_blocks import interval_text
from fairseq_dro.report.comparison import Comparison
from fairseq_dro.report.measures import MEASURES
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.runs.decoding_command import infer_command
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.wording import counted

_RATES = ("mean_cer", "worst_cer", "cvar_cer")
_NUMBERS = ("mean", "worst", "cvar_10", "micro")


def checkpoints_blocks(data: ReportData) -> list[Block]:
    """Choices by each validation number, then what was decoded; empty without a choice.

    Folders that hold another split beside the test split are not compared, and this is said.
    """
    run, decoded, said = data.run, None, []
    try:
        decoded = decoded_choices(run, data.results)
    except UserError as error:
        said = [Paragraph(f"Decoded folders are not compared: {error}", small=True)]
    if len(run.validations) < 2 and (decoded is None or len(decoded.arms) < 2):
        return []
    return [*said, *choice_blocks(run, decoded)]


def choice_blocks(run: TrainingRun, decoded: Comparison | None) -> list[Block]:
    """What ``fairseq-dro checkpoints`` prints, too.

    Args:
        decoded: see ``decoded_choices``.
    """
    blocks: list[Block] = []
    found = choices(run)
    if found:
        blocks += [_choices(found, decoded), *_notes(run, found)]
        commands = _commands(run, found, decoded)
        if commands:
            blocks += [Paragraph("To decode what is not decoded yet:"), Code("\n".join(commands))]
    return [*blocks, _test_numbers(decoded)] if decoded is not None else blocks


def _choices(found: Sequence[Choice], decoded: Comparison | None) -> Table:
    columns = [Column("lowest", "checkpoint.best_checkpoint_metric", numeric=False)]
    columns += [Column("update"), Column("its value")]
    columns += [Column(f"{name} there") for name in _RATES] + [Column("on test")]
    rows = []
    for one in found:
        tested = test_value(decoded, one)
        rows.append(
            [
                Cell(one.criterion), Cell(f"{one.update:,}"),
                Cell(_number(one.criterion, one.value)),
                *(Cell(_number(name, one.others[name])) for name in _RATES),
                Cell(MISSING if tested is None else _number(one.criterion, tested)),
            ]
        )  # fmt: skip
    return Table(columns, rows)


def _notes(run: TrainingRun, found: Sequence[Choice]) -> list[Paragraph]:
    rows = run.validations[-1]["languages"].values()
    n_utterances = sum(row.get("n_utterances") or 0 for row in rows)
    text = (
        f"Validation split {run.subset or 'valid'} ({counted(n_utterances, 'utterance')}), "
        f"{counted(len(run.validations), 'validation')}; rates in per cent, loss in nats. The "
        "lowest of many noisy numbers is too low by luck; on test it is not."
    )
    if len({one.update for one in found}) == 1 < len(found):
        text += " All criteria choose the same checkpoint."
    notes = [Paragraph(text, small=True)]
    for one in found:
        if one.missed is not None:
            update, value = one.missed
            text = (
                f"{one.criterion} was lower at update {update:,} "
                f"({_number(one.criterion, value)}), where no checkpoint was saved: save as often "
                "as is validated (checkpoint.save_interval_updates)."
            )
            notes.append(Paragraph(text))
    late = [one.criterion for one in found if one.at_the_end]
    if late:
        are = "is" if len(late) == 1 else "are"
        text = f"{', '.join(late)} {are} lowest at the last validation: train longer."
        notes.append(Paragraph(text))
    return notes


def _commands(
    run: TrainingRun, found: Sequence[Choice], decoded: Comparison | None
) -> list[str]:
    """One command for each chosen checkpoint that is kept, a comment for one that is not."""
    commands = []
    for update in dict.fromkeys(one.update for one in found):
        chosen = [one for one in found if one.update == update]
        if any(decoded_of(decoded, one) is not None for one in chosen):
            continue
        path = next((one.path for one in chosen if one.path is not None), None)
        if path is None:
            commands.append(
                f"# update {update} ({', '.join(one.criterion for one in chosen)}) was not kept: "
                "train with checkpoint.keep_interval_updates=-1"
            )
        else:
            results = run.folder / f"{run.results}_{chosen[0].criterion}"
            commands.append(infer_command(path, results))
    return commands


def _test_numbers(decoded: Comparison) -> Table:
    columns = [Column("decoded folder", numeric=False), Column("update")]
    columns += [Column(MEASURES[name].title) for name in _NUMBERS]
    differences: list = [None, *decoded.differences]
    rows = []
    for arm, one in zip(decoded.arms, differences):
        cells = [Cell(arm.name), number_cell(arm.runs[0].decoded_from.update)]
        for name in _NUMBERS:
            note = "" if one is None else interval_text(one.measures[name])
            cells.append(Cell(per_cent(decoded.measures[arm.name][name]), note=note))
        rows.append(cells)
    caption = "On the test split, per cent"
    if decoded.differences:
        caption += (
            f"; smaller: difference from {decoded.baseline} on the same utterances, 95 % interval"
        )
    return Table(columns, rows, caption=caption)


def _number(criterion: str, value: float) -> str:
    if math.isnan(value):
        return MISSING
    return f"{value:.2f}" if criterion == "loss" else per_cent(value)
