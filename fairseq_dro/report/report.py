"""Put a report together: read the runs, build the sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE
from fairseq_dro.report.blocks import Section, counted
from fairseq_dro.report.constant_guess import constant_guesses
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.report.sections.checkpoints import checkpoints_section
from fairseq_dro.report.sections.confounds import confounds_section
from fairseq_dro.report.sections.cost import cost_section
from fairseq_dro.report.sections.forest import forest_section
from fairseq_dro.report.sections.headline import headline_section
from fairseq_dro.report.sections.identification import identification_section
from fairseq_dro.report.sections.languages import languages_section
from fairseq_dro.report.sections.layers import layers_section
from fairseq_dro.report.sections.learning import learning_section
from fairseq_dro.report.sections.proxy import proxy_section
from fairseq_dro.report.sections.reproduction import reproduction_section
from fairseq_dro.report.sections.utterances import utterances_section
from fairseq_dro.report.sections.warnings import warnings_section
from fairseq_dro.report.sections.weights import weights_section
from fairseq_dro.report.verdicts import verdicts
from fairseq_dro.runs.decodable import RESULTS
from fairseq_dro.runs.record_file import RECORDS_FILE, decoded_folders, said_to_be_in
from fairseq_dro.runs.run_state import state_of
from fairseq_dro.runs.training_run import TrainingRun, read_training_run
from fairseq_dro.scoring.records import Record


@dataclass(frozen=True)
class Report:
    """Ready to be written."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    alarms: Sequence[tuple[str, str]]


def read_report_data(
    folder: Path, baselines: Sequence[Path] = (), results: str = RESULTS
) -> ReportData:
    """Read a run and its baselines.

    Raises:
        UserError: see ``read_training_run``; the folder of results that was asked for is not there;
            or a baseline was decoded on other utterances.
    """
    run = _read(folder, results)
    if results != RESULTS and not run.utterances:
        raise UserError(
            f"{folder / results / RECORDS_FILE} does not exist: name a folder below the run's that "
            f"fairseq-dro-infer wrote with decoding.results_path{said_to_be_in(folder)}."
        )
    others = [_read(path, results, like=run.results) for path in baselines]
    _tell_apart([run, *others])
    data = ReportData(run, others, results=results)
    by = run.group_by
    scores = [RunScores(r.utterances, by) if r.utterances else None for r in data.runs]
    for one, scored in zip(data.runs, scores):
        if scored is not None:
            one.utterances = scored.records  # as they are counted here
    data.scores, data.baseline_scores = scores[0], scores[1:]
    data.verdicts = [
        verdicts(run, other, by) if run.utterances and other.utterances else {}
        for other in others
    ]
    data.constant_guess = _constant_guess(data) or _kept_guess(data)
    return data


def make_report(data: ReportData, recipe: Path | None = None) -> Report:
    """All sections that the run has something to say for.

    Raises:
        UserError: the recipe cannot be read.
    """
    first = warnings_section(data)
    sections = [
        first,
        headline_section(data),
        languages_section(data),
        forest_section(data),
        learning_section(data),
        weights_section(data),
        layers_section(data),
        proxy_section(data),
        confounds_section(data),
        utterances_section(data),
        identification_section(data),
        checkpoints_section(data.run, data.results),
        cost_section(data),
        reproduction_section(data, recipe),
    ]
    return Report(
        title=data.run.name,
        subtitle=_subtitle(data),
        sections=[section for section in sections if section is not None],
        alarms=first.blocks[0].sentences,
    )


def _read(folder: Path, results: str, like: str = "") -> TrainingRun:
    """A run; where it has no ``decode_test``, and no other was asked for, with records of another
    choice of checkpoint: as `like`, else as the run chose ``checkpoint_best.pt``, else the first.
    """
    if results != RESULTS or (folder / results / RECORDS_FILE).exists():
        return read_training_run(folder, results)
    names = [name for name in decoded_folders(folder) if name.startswith(f"{RESULTS}_")]
    if not names:
        return read_training_run(folder, results)
    run = read_training_run(folder, names[0])
    wanted = (like, f"{RESULTS}_{run.best_checkpoint_metric}")
    chosen = next((name for name in wanted if name in names), names[0])
    return run if chosen == names[0] else read_training_run(folder, chosen)


def _constant_guess(data: ReportData) -> dict[str, float]:
    """See ``constant_guesses``; empty where the training texts are not at hand."""
    manifest = data.run.training_manifest
    if data.scores is None or manifest is None:
        return {}
    decoded: dict[str, list[Record]] = {}
    for record in data.scores.records:
        decoded.setdefault(data.scores.group_of(record), []).append(record)
    return constant_guesses(
        data.training_groups, manifest.languages, manifest.labels, decoded, data.run.post_process
    )


def _kept_guess(data: ReportData) -> Mapping[str, float]:
    """As it was when the split was decoded."""
    kept = data.run.decoded_from
    same = data.scores is not None and kept.group_by == data.scores.by
    return kept.constant_guess if same else {}


def _subtitle(data: ReportData) -> str:
    run = data.run
    objective = ", then ".join(name for name, _ in run.objectives) or run.objective
    parts = [objective] if objective not in ("", run.name) else []
    if data.codes:
        by = "" if run.group_by == BY_LANGUAGE else f" by {run.group_by}"
        parts.append(counted(len(data.codes), run.group_by.noun) + by)
    if run.updates or run.log.n_starts:
        planned = f" of {run.planned_updates:,}" if run.updates < run.planned_updates else ""
        parts += [f"{run.updates:,}{planned} updates", state_of(run)]
    if data.baselines:
        names = [
            other.name + (" (not decoded)" if data.scores and not scores else "")
            for other, scores in zip(data.baselines, data.baseline_scores)
        ]
        parts.append("against " + ", ".join(names))
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return " · ".join([*parts, f"report of {made}"])


def _tell_apart(runs: Sequence[TrainingRun]) -> None:
    """Give runs whose folders are called alike the name of the folder above as well."""
    folders = [run.folder.resolve() for run in runs]
    if len(set(folders)) < len(folders):
        raise UserError("report: a run is named twice; a run cannot be its own baseline.")
    names = [run.name for run in runs]
    for run, folder in zip(runs, folders):
        if names.count(run.name) > 1:
            run.name = f"{folder.parent.name}/{folder.name}"
