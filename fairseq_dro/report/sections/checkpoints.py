"""Which checkpoint each way of choosing takes, and what that does to the test numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_dro.report.blocks import Cell, Column, Paragraph, Section, Table, per_cent, rate_cell
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.scoring import disparity

_CHOICES = ("loss_nats", "mean_cer", "worst_cer", "cvar_cer", "cer")
_NAMES = {
    "loss_nats": "loss", "mean_cer": "mean_cer", "worst_cer": "worst_cer", "cvar_cer": "cvar_cer",
    "cer": "cer (micro)",
}  # fmt: skip


def checkpoints_section(data: ReportData) -> Section | None:
    """Choices by each validation number, then every decoded folder; None where there is neither."""
    blocks: list = []
    history = data.run.validations
    if len(history) > 1:
        blocks += _choices(history, data)
    decoded = _decoded(data.run.folder)
    if len(decoded) > 1:
        blocks += _test_numbers(decoded)
    return Section("checkpoints", "Choosing a checkpoint", blocks) if blocks else None


def _choices(history: list[dict[str, Any]], data: ReportData) -> list:
    shown = [key for key in _CHOICES if any(r.get(key) is not None for r in history)]
    rows = []
    for key in shown:
        known = [record for record in history if record.get(key) is not None]
        chosen = min(known, key=lambda record: record[key])
        rows.append([Cell(_NAMES[key]), *_at(chosen, shown, key)])
    rows.append([Cell("(the last one)"), *_at(history[-1], shown, "")])
    columns = [Column("lowest", "checkpoint.best_checkpoint_metric", numeric=False)]
    columns += [Column("at update")]
    columns += [
        Column(f"{_NAMES[key]}, nats" if key == "loss_nats" else f"{_NAMES[key]} %")
        for key in shown
    ]
    n_utterances = sum(
        row.get("n_utterances", 0) for row in history[-1]["languages"].values()
    )
    note = (
        f"Numbers of the validation split {data.run.subset} ({n_utterances:,} utterances), the "
        "chosen ones in brackets. A number by which one of "
        f"{len(history)} validations was chosen is too low by luck, and the worst language's most "
        "of all: compare test numbers."
    )
    return [Table(columns, rows), Paragraph(note, small=True)]


def _at(record: Mapping[str, Any], shown: list[str], chosen: str) -> list[Cell]:
    cells = [Cell(f"{record['update']:,}")]
    for key in shown:
        value = record.get(key)
        in_nats = key == "loss_nats" and value is not None
        text = f"{value:.2f}" if in_nats else per_cent(value)
        cells.append(Cell(f"[{text}]" if key == chosen else text))
    return cells


def _decoded(run: Path) -> dict[str, dict[str, float]]:
    """CER by language of every folder below the run's that holds scores."""
    found = {}
    for path in sorted(run.glob("*/scores.json")):
        try:
            languages = json.loads(path.read_text(encoding="utf-8"))["languages"]
            cer = {c: float(row["cer"]) for c, row in languages.items() if row["cer"] is not None}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if cer:
            found[path.parent.name] = cer
    return found


def _test_numbers(decoded: Mapping[str, Mapping[str, float]]) -> list:
    rows = []
    for name, cer in decoded.items():
        worst = max(sorted(cer), key=lambda code: cer[code])
        rates = np.array(list(cer.values()))
        rows.append(
            [
                Cell(name), Cell(f"{len(cer)}"), rate_cell(float(disparity.mean(rates))),
                rate_cell(cer[worst]), Cell(worst), rate_cell(float(disparity.cvar(rates))),
            ]
        )  # fmt: skip
    columns = [
        Column("decoded folder", numeric=False), Column("languages"), Column("mean CER %"),
        Column("worst CER %"), Column("worst", numeric=False), Column("CVaR 10 %"),
    ]  # fmt: skip
    return [Table(columns, rows, caption="Everything of this run that was decoded")]
