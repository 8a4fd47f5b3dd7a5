"""Whether the loss is a fair proxy of errors, and what else it may stand for."""

from __future__ import annotations

from collections.abc import Mapping

from fairseq_dro.report.blocks import (
    MISSING,
    Block,
    Cell,
    Column,
    Figure,
    Paragraph,
    Table,
)
from fairseq_dro.report.figures.over_updates import draw_over_updates
from fairseq_dro.report.figures.scatter import draw_loss_against_cer
from fairseq_dro.report.report_data import ReportData, validation_rates

LEAST_LANGUAGES = 4


def spearman(x: Mapping[str, float], y: Mapping[str, float]) -> float:
    """Rank correlation over the keys that both have; NaN with fewer than three of them, or where
    all values on a side are equal.
    """
    from scipy import stats  # imported when used, as it is large

    codes = [code for code in x if code in y and x[code] == x[code] and y[code] == y[code]]
    sides = [[values[code] for code in codes] for values in (x, y)]
    if len(codes) < 3 or any(min(side) == max(side) for side in sides):
        return float("nan")
    return float(stats.spearmanr(*sides).statistic)


def proxy_blocks(data: ReportData) -> list[Block]:
    """Rank correlations of the loss with the CER at each validation, and with the data."""
    history, noun = data.run.validations, data.noun
    if not history or len(history[-1]["languages"]) < LEAST_LANGUAGES:
        text = (
            f"A rank correlation over fewer than {LEAST_LANGUAGES} {noun}s says nothing."
            if history else f"The run has no loss per {noun}."
        )  # fmt: skip
        return [Paragraph(text)]
    updates = [int(record["update"]) for record in history]
    lines = {}
    for key, label in (("train_loss_nats", "training"), ("loss_nats", "validation")):
        values = [
            spearman(validation_rates(record, key), validation_rates(record)) for record in history
        ]
        if any(value == value for value in values):
            lines[label] = values
    cer, train = validation_rates(history[-1]), validation_rates(history[-1], "train_loss_nats")
    rho = spearman(train, cer)
    pictures = []
    if lines:
        lowest = min(0.0, *(value for line in lines.values() for value in line if value == value))
        pictures.append(
            draw_over_updates(
                updates, lines, list(lines), y_label="rank correlation with CER", dotted_at=0.0,
                limits=(lowest - 0.05, 1.05),
            )
        )  # fmt: skip
    if rho == rho:
        pictures.append(draw_loss_against_cer(train, cer))
    caption = (
        f"First: Spearman's rank correlation over {noun}s, at each validation, of CER with the "
        "group loss of training (by which q moves, where it moves) and with the mean loss of a "
        f"validation utterance. Second: one point per {noun} at the last validation."
    )
    says = Paragraph(_verdict(rho, len(set(train) & set(cer)), noun))
    figure = [Figure(pictures, caption, caption)] if pictures else []
    return [says, *figure, *_confounds(data, train)]


def _confounds(data: ReportData, loss: Mapping[str, float]) -> list[Block]:
    """Rank correlations of the group loss with what the training data of a group are like."""
    if not loss or data.facts is None or not data.facts.mean_units:
        return []
    rows = []
    for title, values in (
        ("target units of a training utterance", data.facts.mean_units),
        ("seconds of training speech", data.facts.seconds),
    ):
        rho = spearman(values, loss)
        rows.append([Cell(title), Cell(MISSING if rho != rho else f"{rho:+.2f}", rho)])
    columns = [Column("group loss with", numeric=False), Column("rank correlation")]
    caption = (
        "What the loss may stand for: weights that follow the loss follow such a property, too, "
        "whatever the error rate"
    )
    return [Table(columns, rows, caption=caption)]


def _verdict(rho: float, n: int, noun: str) -> str:
    if rho != rho:
        return (
            f"At the last validation fewer than three {noun}s have a CER and a training loss, or "
            "all have the same: whether the loss is a fair proxy of errors cannot be seen yet."
        )
    if rho > 0.6:
        says = (
            f"{noun}s with a high loss are those with a high error rate, so weights that follow "
            "the loss go where they are needed"
        )
    elif rho > 0.2:
        says = "the loss tells only part of where the errors are"
    else:
        says = (
            f"loss and CER rank the {noun}s differently, so weights that follow the loss go "
            "elsewhere"
        )
    doubt = "" if n >= 12 else f" With {n} {noun}s this is a weak statement."
    return (
        f"At the last validation the rank correlation of group loss and CER is {rho:.2f}: "
        f"{says}.{doubt}"
    )
