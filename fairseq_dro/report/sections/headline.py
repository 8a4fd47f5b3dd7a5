"""The numbers by which a run is judged, each with its interval."""

from __future__ import annotations

from fairseq_dro.report.blocks import (
    Beside,
    Block,
    Cell,
    Code,
    Column,
    Paragraph,
    Section,
    Table,
    rate_cell,
)
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.report.score_tables import measures_note, measures_table
from fairseq_dro.report.sections.forest import forest_block, stands_beside_headline
from fairseq_dro.report.sections.warnings import or_another_folder
from fairseq_dro.runs.decoding_command import decoding_command


def headline_section(data: ReportData) -> Section:
    """A column per run; before decoding, the last validation's means."""
    section = Section("headline", "Headline")
    if data.scores is None:
        section.blocks += _from_validation(data)
        return section
    if not data.scores.cer:
        section.blocks.append(Paragraph("No error rate: all references of the split are empty."))
        return section
    runs = [(run.name, scores.numbers) for run, scores in data.decoded]
    table = measures_table(runs, data.noun)
    forest = forest_block(data) if stands_beside_headline(data) else None
    if forest is None:
        section.blocks.append(table)
    else:
        section.blocks.append(Beside([("", table), ("CER with intervals", forest)]))
    if len(data.scores.cer) > 1:
        section.blocks.append(Paragraph(measures_note(data.noun), small=True))
    return section


def _from_validation(data: ReportData) -> list[Block]:
    run = data.run
    if not run.validations:
        return [Paragraph(f"No test split was decoded and no validation per {data.noun} is known.")]
    columns = [Column("last validation, per cent", numeric=False)]
    columns += [Column(one.name) for one in data.runs]
    last = [one.validations[-1] if one.validations else {} for one in data.runs]
    rows = [
        [Cell(title), *(rate_cell(one.get(key)) for one in last)]
        for key, title in (("mean_cer", "mean CER"), ("worst_cer", "worst CER"),
                           ("wer", "WER, micro"))
    ]  # fmt: skip
    names = [str(one.get("worst_language") or "–") for one in last]
    worst = [Cell(run.group_by.label_of(name), words=True) for name in names]
    rows.append([Cell(f"worst {data.noun}"), *worst])
    updates = [f"{one['update']:,}" if one else "–" for one in last]
    rows.append([Cell("at update"), *map(Cell, updates)])
    return [
        Paragraph(
            "The test split has not been decoded yet; intervals come with it"
            f"{or_another_folder(run.folder)}. To decode it:"
        ),
        Code(decoding_command(run, run.results)),
        Table(columns, rows),
    ]
