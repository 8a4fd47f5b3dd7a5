"""What else than being hard may make a language's loss high: length, hours, script."""

from __future__ import annotations

from fairseq_dro.report.blocks import Cell, Column, Figure, Paragraph, Section, Table
from fairseq_dro.report.figures.scatter import draw_by_category, draw_scatter
from fairseq_dro.report.rank_correlation import spearman
from fairseq_dro.report.report_data import ReportData, validation_rates
from fairseq_dro.report.sections.proxy import LEAST_LANGUAGES


def confounds_section(data: ReportData) -> Section:
    """Group loss against what the training data of a language are like."""
    section = Section("confounds", "What the loss may stand for")
    history = data.run.validations
    loss = validation_rates(history[-1], "train_loss_nats") if history else {}
    if not loss:
        section.blocks.append(Paragraph(f"The run has no loss per {data.noun}."))
        return section
    split = data.training_split
    pictures, rows = [], []
    y_label = "group loss in training, nats"
    if split is None or not split.mean_units:
        section.blocks.append(
            Paragraph("The run's data folder is not at hand, so hours and lengths are unknown.")
        )
    else:
        most = max(split.seconds.values())
        unit, size = ("hours", 3600) if most > 2 * 3600 else ("minutes", 60)
        amount = {code: split.seconds[code] / size for code in loss if code in split.seconds}
        length = {code: split.mean_units[code] for code in loss if code in split.mean_units}
        pictures.append(
            draw_scatter(
                length, loss, x_label="target units of a training utterance", y_label=y_label,
                name="loss by length",
            )
        )  # fmt: skip
        pictures.append(
            draw_scatter(
                amount, loss, x_label=f"{unit} of training speech", y_label=y_label,
                name="loss by amount", log_x=True,
            )
        )  # fmt: skip
        rows = [
            ("target units of a training utterance", spearman(length, loss)),
            (f"{unit} of training speech", spearman(amount, loss)),
        ]
    scripts = {code: script for code, script in data.scripts.items() if code in loss}
    by_script = "."
    if 1 < len(set(scripts.values())) < len(scripts):
        pictures.append(draw_by_category(scripts, loss, y_label=y_label, name="loss by script"))
        by_script = "; by script the stroke is the median."
    table = [[Cell(name), Cell("–" if rho != rho else f"{rho:+.2f}", rho)] for name, rho in rows]
    if table and len(loss) >= LEAST_LANGUAGES:
        columns = [Column("group loss with", numeric=False), Column("rank correlation")]
        section.blocks.append(Table(columns, table))
    caption = (
        f"The group loss of training at the last validation, one point per {data.noun}. A clear "
        "slope means that weights that follow the loss follow this property, whatever the error "
        "rate"
    )
    caption += by_script
    if pictures:
        section.blocks.append(Figure(pictures, caption, alt=caption, width=330))
    return section
