"""Learning curves per language."""

from __future__ import annotations

from fairseq_dro.report.alarms import SILENCE
from fairseq_dro.report.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Folded,
    Paragraph,
    Table,
    number_cell,
    per_cent,
    rate_cell,
)
from fairseq_dro.report.figures.learning_curves import curve_of, draw_learning_curves
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.wording import counted

_SHOWN = 24  # pictures; the others are folded away
_WIDTH = 187  # CSS pixels of one


def learning_blocks(data: ReportData) -> list[Block]:
    """Validation CER over updates, worst language first; of fairseq's log where that is all."""
    if not data.run.validations:
        return _from_the_log(data.run, data.noun)
    curves = [curve_of(run) for run in data.runs if run.validations]
    codes = [code for code in data.codes if any(code in curve.rates for curve in curves)]
    lowest = min((v for curve in curves for c in codes for v in curve.rates.get(c, ()) if v == v),
                 default=1.0)  # fmt: skip
    if lowest > SILENCE:
        text = (
            f"No curve to show: at every validation each {data.noun}'s CER was above "
            f"{per_cent(SILENCE, 0)} % (split {data.run.subset}), so nothing has been learnt yet "
            "that an error rate can tell."
        )
        return [Paragraph(text)]
    caption = (
        f"Validation CER (split {data.run.subset}) in per cent over updates, worst {data.noun} "
        f"first, all on one scale. Dark: {data.run.name}; faint: its mean over {data.noun}s"
    )
    others = [curve.name for curve in curves[1:]]
    caption += f"; coloured, broken: {', '.join(others)}." if others else "."
    pictures = draw_learning_curves(codes, data.short_labels, curves)
    blocks: list[Block] = [Figure(pictures[:_SHOWN], caption, caption, _WIDTH)]
    if len(pictures) > _SHOWN:
        more = Figure(pictures[_SHOWN:], "", f"the other {data.noun}s", _WIDTH)
        title = f"The other {counted(len(pictures) - _SHOWN, data.noun)}"
        blocks.append(Folded(title, [more]))
    return [*blocks, *_other_splits(data.run)]


def _other_splits(run: TrainingRun) -> list[Block]:
    """Last numbers of the validation splits that choose nothing."""
    if len(run.history) < 2:
        return []
    rows = [
        [
            Cell(name), Cell(f"{last['update']:,}"), rate_cell(last.get("mean_cer")),
            rate_cell(last.get("worst_cer")), Cell(str(last.get("worst_language") or "")),
        ]
        for name, (*_, last) in run.history.items()
    ]  # fmt: skip
    columns = [
        Column("validation split", numeric=False), Column("update"), Column("mean CER %"),
        Column("worst CER %"), Column("worst", numeric=False),
    ]  # fmt: skip
    text = f"The first split, {run.subset}, is shown above and chooses checkpoints."
    return [Paragraph(text), Table(columns, rows)]


def _from_the_log(run: TrainingRun, noun: str) -> list[Block]:
    if not run.log.validations:
        return [Paragraph("The run has not been validated yet.")]
    text = (
        "This run has no history.jsonl (it was trained without the criterion group_dro_ctc, or "
        f"the file is gone), and its log says nothing per {noun}. What fairseq logged, over all "
        f"{noun}s together:"
    )
    blocks: list[Block] = [Paragraph(text)]
    for name, rows in run.log.validations.items():
        rates = [key for key in ("cer", "uer", "wer") if any(key in row for row in rows)]
        columns = [Column("update"), Column("loss, bits")]
        columns += [Column(f"{rate.upper()} %") for rate in rates]
        cells = [
            [number_cell(row["update"], ",.0f"), number_cell(row["loss"], ".3f"),
             *(rate_cell(row.get(rate), digits=2) for rate in rates)]
            for row in rows[-20:]
        ]  # fmt: skip
        blocks.append(Table(columns, cells, caption=f"Validation split {name}, latest last"))
    return blocks
