"""How to make the run again: command, options, and what it recorded of itself."""

from __future__ import annotations

import yaml

from fairseq_dro.report import configuration
from fairseq_dro.report.blocks import Block, Cell, Code, Column, Paragraph, Table
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.runs.provenance import RUN_FILE
from fairseq_dro.runs.start_command import start_command
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.wording import counted

_RECORDED = (
    ("packages", "versions"), ("code", "git"), ("data", "data"), ("number of workers", "workers"),
)  # fmt: skip


def reproduction_blocks(data: ReportData) -> list[Block]:
    """What was recorded at the start of the run, and what differs from its baselines."""
    run = data.run
    command = start_command(run)
    blocks: list[Block] = [Code(command)] if command else []
    if run.log.waits and run.updates:
        text = (
            "The last start has made no update (refused, or not that far yet), and .hydra holds "
            "its configuration: the options below are its own, not those of the "
            f"{counted(run.updates, 'update')} before."
        )
        blocks.append(Paragraph(text))
    differing = (block for baseline in data.baselines for block in _against(run, baseline))
    return [*blocks, *_options(run), *differing, *_recorded(run)]


def _options(run: TrainingRun) -> list[Block]:
    """As typed; all others are those of the recipe."""
    if not run.config:
        return [Paragraph("The run has no stored configuration (.hydra/config.yaml).")]
    recipe = (run.hydra.get("job") or {}).get("config_name")
    of_recipe = f" of the recipe {recipe}" if recipe else ""
    if not run.overrides:
        return [Paragraph(f"No option was typed: all are those{of_recipe or ' of the recipe'}.")]
    typed = [option.lstrip("+").partition("=") for option in run.overrides]
    columns = [Column("typed option", numeric=False), Column("value", numeric=False)]
    rows = [[Cell(name), Cell(value)] for name, _, value in typed]
    return [Table(columns, rows, caption=f"What was typed; other options are those{of_recipe}")]


def _against(run: TrainingRun, baseline: TrainingRun) -> list[Block]:
    if not run.config or not baseline.config:
        return []
    rows = configuration.differences(baseline.config, run.config)
    if not rows:
        return [Paragraph(f"All options are those of {baseline.name}.")]
    columns = [Column(name, numeric=False) for name in ("option", baseline.name, run.name)]
    cells = [[Cell(one) for one in row] for row in rows]
    return [Table(columns, cells, caption=f"What differs from {baseline.name}")]


def _recorded(run: TrainingRun) -> list[Block]:
    """The last start as it stands in ``run.jsonl``, and what differed at others."""
    if not run.starts:
        return [Paragraph(f"The run recorded nothing about itself ({RUN_FILE}).", small=True)]
    blocks: list[Block] = []
    found = {name: [one[key] for one in run.starts if key in one] for name, key in _RECORDED}
    changed = [name for name, told in found.items() if any(one != told[0] for one in told)]
    if changed:
        text = (
            f"Training was started {len(run.starts)} times, not always with the same "
            f"{' and '.join(changed)}: below stands the last start, in {RUN_FILE} all of them."
        )
        blocks.append(Paragraph(text))
    last = yaml.safe_dump(run.starts[-1], sort_keys=False, allow_unicode=True, width=1000)
    return [*blocks, Paragraph("What it recorded when it was started:"), Code(last.rstrip())]
