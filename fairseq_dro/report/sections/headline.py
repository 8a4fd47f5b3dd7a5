"""The numbers by which a run is judged, each with its interval, and a picture of all languages."""

from __future__ import annotations

import math

from fairseq_dro.report.blocks import Beside, Block, Code, Figure, Paragraph, per_cent
from fairseq_dro.report.figures.intervals import Estimate, draw_rates
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.report.score_tables import measures_note, measures_table
from fairseq_dro.report.sections.warnings import or_another_folder
from fairseq_dro.runs.decoding_command import decoding_command


def headline_blocks(data: ReportData) -> list[Block]:
    """A column per run; before decoding, how to decode."""
    if data.scores is None:
        return _how_to_decode(data)
    if not data.scores.cer:
        return [Paragraph("No error rate: all references of the split are empty.")]
    table = measures_table([(run.name, scores.numbers) for run, scores in data.decoded], data.noun)
    picture, notes = _picture(data), []
    if len(data.scores.cer) > 1:
        notes.append(Paragraph(measures_note(data.noun), small=True))
    is_small = isinstance(picture, Paragraph) or len(picture.svgs) == 1
    return [Beside([table, picture]), *notes] if is_small else [table, *notes, picture]


def _picture(data: ReportData) -> Figure | Paragraph:
    """CER of every language; a sentence where all are one."""
    if len({round(rate, 6) for rate in data.scores.cer.values()}) == 1 < len(data.scores.cer):
        rate = per_cent(data.scores.cer[data.scores.worst])
        return Paragraph(f"No picture: the CER of every {data.noun} is {rate} %.")
    runs = {
        run.name: {
            code: Estimate(*(math.nan if row[end] is None else float(row[end])
                             for end in ("cer", "cer_low", "cer_high")))
            for code, row in scores.groups.items()
        }
        for run, scores in data.decoded
    }  # fmt: skip
    caption = "CER on the test split with 95 % intervals, highest first."
    band = data.scores.null_band
    if band is not None:
        caption += (
            f" Grey band: where the highest CER of the run would lie if all its {data.noun}s were "
            "equally hard."
        )
    labels = {code: data.short_labels[code] for code in data.codes if code in data.scores.cer}
    pictures = draw_rates(labels, runs, band)
    return Figure(pictures, caption, alt=caption, width=375 if len(pictures) > 1 else 440)


def _how_to_decode(data: ReportData) -> list[Block]:
    run = data.run
    if not run.validations:
        return [Paragraph(f"No test split was decoded and no validation per {data.noun} is known.")]
    text = (
        "The test split has not been decoded yet; intervals come with it"
        f"{or_another_folder(run.folder)}. To decode it:"
    )
    return [Paragraph(text), Code(decoding_command(run, run.results))]
