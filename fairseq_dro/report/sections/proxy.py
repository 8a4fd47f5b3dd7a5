"""Whether the loss is a fair proxy: do languages with a high loss have a high error rate?"""

from __future__ import annotations

from fairseq_dro.report.blocks import Figure, Paragraph, Section
from fairseq_dro.report.figures.scatter import draw_over_updates, draw_scatter
from fairseq_dro.report.rank_correlation import spearman
from fairseq_dro.report.report_data import ReportData, validation_rates

LEAST_LANGUAGES = 4


def proxy_section(data: ReportData) -> Section:
    """Rank correlation of loss and CER over languages, at each validation."""
    section = Section("proxy", "Loss against CER")
    history = data.run.validations
    if not history or len(history[-1]["languages"]) < LEAST_LANGUAGES:
        section.blocks.append(
            Paragraph(
                f"A rank correlation needs losses of at least {LEAST_LANGUAGES} {data.noun}s; "
                "this run has none." if not history else
                f"A rank correlation over fewer than {LEAST_LANGUAGES} {data.noun}s says nothing."
            )
        )  # fmt: skip
        return section
    updates = [int(record["update"]) for record in history]
    lines = []
    for key, label in (("train_loss_nats", "training"), ("loss_nats", "validation")):
        values = [
            spearman(validation_rates(record, key), validation_rates(record)) for record in history
        ]
        if any(value == value for value in values):
            lines.append((label, updates, values))
    last = history[-1]
    cer = validation_rates(last)
    train = validation_rates(last, "train_loss_nats")
    rho = spearman(train, cer)
    section.blocks.append(Paragraph(_verdict(rho, len(set(train) & set(cer)), data.noun)))
    pictures = []
    if lines:
        pictures.append(
            draw_over_updates(
                lines, y_label="rank correlation with CER", name="proxy", limits=(-1.05, 1.05)
            )
        )
    if rho == rho:
        pictures.append(
            draw_scatter(
                train, {code: 100 * value for code, value in cer.items()},
                x_label="group loss in training, nats", y_label="validation CER, %",
                name="loss against cer",
            )
        )  # fmt: skip
    caption = (
        f"First: Spearman's rank correlation over {data.noun}s, at each validation, of CER with "
        "the group loss of training (by which q moves, where it moves) and with the mean loss of a "
        "validation utterance. "
        f"Second: one point per {data.noun} at the last validation."
    )
    if pictures:
        section.blocks.append(Figure(pictures, caption, alt=caption))
    return section


def _verdict(rho: float, n: int, noun: str) -> str:
    if rho != rho:
        return (
            f"At the last validation fewer than three {noun}s have a CER and a training loss, or "
            "all have the same: whether the loss is a fair proxy of errors cannot be seen yet."
        )
    if rho > 0.6:
        says = f"{noun}s with a high loss are those with a high error rate, so weights that "
        says += "follow the loss go where they are needed"
    elif rho > 0.2:
        says = "the loss tells only part of where the errors are"
    else:
        says = "the loss does not tell where the errors are, so weights "
        says += "that follow the loss go elsewhere"
    doubt = "" if n >= 12 else f" With {n} {noun}s this is a weak statement."
    return (
        f"At the last validation the rank correlation of group loss and CER is {rho:.2f}: "
        f"{says}.{doubt}"
    )
