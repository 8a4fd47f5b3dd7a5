"""What the run cost: updates, seconds of audio, wall time."""

from __future__ import annotations

from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.report.blocks import MISSING, Block, Cell, Column, Table
from fairseq_dro.report.report_data import ReportData, validation_rates
from fairseq_dro.runs.durations import in_one_unit
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.wording import counted


def cost_blocks(data: ReportData) -> list[Block]:
    """A column per run."""
    names = [Column("", numeric=False), *(Column(run.name) for run in data.runs)]
    lines = [
        ("updates", _updates),
        ("epochs", lambda run: str([{}, *run.validations][-1].get("epoch", MISSING))),
        ("starts of training", lambda run: f"{run.log.n_starts or len(run.starts) or MISSING}"),
        ("wall time, from its log", lambda run: _duration(run.log.wall_seconds)),
        ("audio trained on", lambda run: _duration(_audio(run))),
        ("training split", _split),
    ]
    rows = [
        [Cell(name), *(Cell(told_of(run), words=True) for run in data.runs)]
        for name, told_of in lines
        if any(told_of(run) != MISSING for run in data.runs)
    ]
    return [Table(names, rows)]


def _updates(run: TrainingRun) -> str:
    planned = run.planned_updates
    return f"{run.updates:,}" + (f" of {planned:,}" if planned and planned != run.updates else "")


def _audio(run: TrainingRun) -> float:
    """Seconds over all languages; 0 where the run did not count them."""
    last = run.validations[-1] if run.validations else {"languages": {}}
    return sum(validation_rates(last, "train_audio_seconds").values())


def _duration(seconds: float) -> str:
    return in_one_unit(seconds) if seconds else MISSING


def _split(run: TrainingRun) -> str:
    manifest = run.training_manifest
    if manifest is None:
        return MISSING
    seconds = int(manifest.n_samples.sum()) / SAMPLE_RATE
    return f"{counted(len(manifest), 'utterance')}, {in_one_unit(seconds)}"
