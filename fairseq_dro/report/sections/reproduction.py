"""How to make the run again: command, settings, versions, commit, data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_dro.recipes import shipped_folder
from fairseq_dro.report import configuration
from fairseq_dro.report.blocks import Cell, Code, Column, Folded, Paragraph, Section, Table, counted
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.runs import provenance
from fairseq_dro.runs.provenance import ENVIRONMENT, LAUNCHER
from fairseq_dro.runs.start_command import start_command
from fairseq_dro.runs.training_run import TrainingRun


def reproduction_section(data: ReportData, recipe: Path | None = None) -> Section:
    """What was recorded at the start of the run, or what can be put together from its folder.

    Args:
        recipe: file to compare the settings with; None looks for the one that the run names.

    Raises:
        UserError: the recipe cannot be read.
    """
    section = Section("reproduction", "Making it again")
    run = data.run
    command = start_command(run)
    if command:
        section.blocks.append(Code(command))
    if run.log.waits and run.updates:
        section.blocks.append(
            Paragraph(
                "The last start has made no update (refused, or not that far yet), and .hydra "
                "holds its configuration: the settings below are its own, not those of the "
                f"{counted(run.updates, 'update')} before."
            )
        )
    section.blocks += _settings(run, recipe)
    for baseline in data.baselines:
        section.blocks += _against(run, baseline)
    section.blocks.append(_origin(run))
    changed = [
        name
        for name, key in (
            ("packages", "versions"), ("code", "git"), ("data", "data"),
            ("number of workers", "workers"),
        )
        if _differs([start[key] for start in run.starts if key in start])
    ]  # fmt: skip
    if changed:
        section.blocks.append(
            Paragraph(
                f"Training was started {len(run.starts)} times, not always with the same "
                f"{' and '.join(changed)}: the table shows the last start, {provenance.RUN_FILE} "
                "all of them."
            )
        )
    if not run.starts:
        section.blocks.append(
            Paragraph(
                f"The run recorded nothing about itself ({provenance.RUN_FILE}): what says now is "
                "as it was found when this report was made.",
                small=True,
            )
        )
    return section


def _differs(records: Sequence[Any]) -> bool:
    """Whether two starts recorded different things."""
    return any(record != records[0] for record in records[1:])


def recipe_of(run: TrainingRun) -> Path | None:
    """The recipe that the run was started with, where it is still to be found."""
    name = (run.hydra.get("job") or {}).get("config_name")
    if not name:
        return None
    places = [shipped_folder() / f"{name}.yaml"]
    for start in run.starts:
        for word in map(str, start.get("command") or []):  # a recipe, or the folder of one
            typed = Path(start.get("folder") or ".", word)
            places.insert(0, typed if typed.name == f"{name}.yaml" else typed / f"{name}.yaml")
    return next((path for path in places if path.is_file()), None)


def _settings(run: TrainingRun, recipe: Path | None) -> list:
    if not run.config:
        return [Paragraph("The run has no stored configuration (.hydra/config.yaml).")]
    path = recipe or recipe_of(run)
    if path is None:
        rows = [[Cell(*option.lstrip("+").split("=", 1)[:1]), Cell(option.partition("=")[2])]
                for option in run.overrides]  # fmt: skip
        columns = [Column("typed option", numeric=False), Column("value", numeric=False)]
        return [Table(columns, rows)] if rows else []
    there = configuration.read_recipe(path)
    here = configuration.flat(run.config)
    typed = {option.lstrip("+").partition("=")[0] for option in run.overrides}
    rows = configuration.differences(there, here, only_known_to_first=True)
    named = {name for name, _, _ in rows}
    rows += [
        (name, "", configuration.said(here[name]))
        for name in sorted(typed - named)
        if name in here and name not in there
    ]
    if not rows:
        return [Paragraph(f"All settings are those of the recipe {path.name}.")]
    cells = [[Cell(name), Cell(a), Cell(b)] for name, a, b in rows]
    columns = [
        Column("option", numeric=False), Column(f"recipe {path.stem}", numeric=False),
        Column(run.name, numeric=False),
    ]  # fmt: skip
    return [Table(columns, cells, caption="What differs from the recipe")]


def _against(run: TrainingRun, baseline: TrainingRun) -> list:
    if not run.config or not baseline.config:
        return []
    rows = configuration.differences(
        configuration.flat(baseline.config), configuration.flat(run.config)
    )
    if not rows:
        return [Paragraph(f"All settings are those of {baseline.name}.")]
    cells = [[Cell(name), Cell(a), Cell(b)] for name, a, b in rows]
    columns = [
        Column("option", numeric=False), Column(baseline.name, numeric=False),
        Column(run.name, numeric=False),
    ]  # fmt: skip
    return [Table(columns, cells, caption=f"What differs from {baseline.name}")]


def _origin(run: TrainingRun) -> Table | Folded:
    start: dict[str, Any] = run.starts[-1] if run.starts else {}
    rows = [("run folder", run.folder.resolve().name)]
    if start:
        rows.append(("started", str(start.get("started"))))
        if "workers" in start:
            rows.append(("workers", str(start["workers"])))
        variables = start.get("environment") or {}
        shown = [
            f"{name}={variables[name]}" for name in (*ENVIRONMENT, *LAUNCHER) if name in variables
        ]
        if shown:
            rows.append(("environment", ", ".join(shown)))
        versions, note, commit = start.get("versions") or {}, "", start.get("git") or {}
        data = start.get("data") or {}
    else:
        versions, note, commit = provenance.versions(), " now", {}
        data = provenance.of_data(run.data) if run.data else {}
    rows.append(
        (f"versions{note}", ", ".join(f"{k} {v}" for k, v in versions.items() if v is not None))
    )
    if commit:
        changed = ", with changes that were not committed" if commit.get("changed") else ""
        rows.append(("commit", f"{commit.get('commit')}{changed}"))
    if data.get("folder"):
        rows.append((f"data folder{note}", str(data["folder"])))
    for name, facts in (data.get("splits") or {}).items():
        text = f"{counted(facts['utterances'], 'utterance')}, SHA-256 {facts['sha256'][:16]}"
        rows.append((f"manifest of {name}{note}", text))
    for name, digest in (data.get("files") or {}).items():
        rows.append((f"{name}{note}", f"SHA-256 {digest[:16]}"))
    columns = [Column("", numeric=False), Column("", numeric=False)]
    return Table(columns, [[Cell(a), Cell(b)] for a, b in rows], caption="Where it comes from")
