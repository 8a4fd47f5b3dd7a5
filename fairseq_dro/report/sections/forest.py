"""CER with intervals, a row per language."""

from __future__ import annotations

import math

from fairseq_dro.report.blocks import Figure, Paragraph, Section, per_cent
from fairseq_dro.report.figures.intervals import ROWS_PER_PICTURE, Estimate, draw_rates
from fairseq_dro.report.report_data import ReportData


def stands_beside_headline(data: ReportData) -> bool:
    """Whether one picture holds all languages; more have a section of their own."""
    return data.scores is not None and len(data.scores.cer) <= ROWS_PER_PICTURE


def forest_section(data: ReportData) -> Section | None:
    """More languages than one picture holds."""
    block = None if stands_beside_headline(data) else forest_block(data)
    return None if block is None else Section("forest", "CER with intervals", [block])


def forest_block(data: ReportData) -> Figure | Paragraph | None:
    """The pictures; a sentence where all rates are one; None before decoding."""
    if data.scores is None or not data.scores.cer:
        return None
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
