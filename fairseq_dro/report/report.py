"""Put a report together: read the runs, build the sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.alarms import Alarm
from fairseq_dro.report.arms import Arm
from fairseq_dro.report.blocks import Section
from fairseq_dro.report.comparison import Comparison, compare_arms
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.report.score_tables import confusions
from fairseq_dro.report.sections.checkpoints import checkpoints_blocks
from fairseq_dro.report.sections.cost import cost_blocks
from fairseq_dro.report.sections.headline import headline_blocks
from fairseq_dro.report.sections.languages import languages_blocks
from fairseq_dro.report.sections.layers import layers_blocks
from fairseq_dro.report.sections.learning import learning_blocks
from fairseq_dro.report.sections.proxy import proxy_blocks
from fairseq_dro.report.sections.reproduction import reproduction_blocks
from fairseq_dro.report.sections.utterances import utterances_blocks
from fairseq_dro.report.sections.verdict import (
    difference_sections,
    first_alarms,
    verdict_blocks,
    words_blocks,
)
from fairseq_dro.report.sections.warnings import warnings_blocks, warnings_of
from fairseq_dro.report.sections.weights import weights_blocks
from fairseq_dro.report.training_facts import (
    TrainingFacts,
    facts_of_run,
    references_of,
    validation_references,
)
from fairseq_dro.runs.decodable import RESULTS
from fairseq_dro.runs.record_file import RECORDS_FILE, decoded_folders, said_to_be_in
from fairseq_dro.runs.run_state import state_of
from fairseq_dro.runs.training_run import TrainingRun, read_training_run
from fairseq_dro.scoring.text import normalize
from fairseq_dro.wording import counted


@dataclass(frozen=True)
class Report:
    """Ready to be written."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    alarms: Sequence[Alarm]


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
    data.scores, data.baseline_scores = scores[0], scores[1:]
    references = references_of(run.utterances, by) if scores[0] else validation_references(run)
    data.facts, data.without_data = facts_of_run(run, by, references)
    data.comparisons = [
        compared(other, run, by, data.facts) if scores[0] and scores_of else None
        for other, scores_of in zip(others, scores[1:])
    ]
    return data


def compared(
    baseline: TrainingRun, run: TrainingRun, by: GroupBy, facts: TrainingFacts | None = None
) -> Comparison | None:
    """A run against one baseline, without groups whose references are all empty; None where an
    utterance has no group, or no reference is left.

    Raises:
        UserError: the two were not decoded on the same utterances; see ``paired_records.pair``.
    """
    arms = []
    for one in (baseline, run):
        texts = {by.group_of(record) for record in one.utterances if normalize(record.reference)}
        kept = [record for record in one.utterances if by.group_of(record) in texts]
        if None in map(by.group_of, one.utterances) or not kept:
            return None
        arms.append(Arm(one.name, [replace(one, utterances=kept)]))
    return compare_arms(arms, facts, by=by)


def make_report(data: ReportData) -> Report:
    """All sections that the run has something to say for."""
    noun, heard = data.noun, data.scores.numbers["lid_confusion"] if data.scores else {}
    sections = [
        Section("verdict", "Verdict", verdict_blocks(data)),
        Section("alarms", "Before you read on", warnings_blocks(data)),
        Section("headline", "Headline", headline_blocks(data)),
        Section("languages", f"Every {noun}", languages_blocks(data)),
        *difference_sections(data),
        Section("learning", "Learning curves", learning_blocks(data)),
        Section("weights", f"Weights of the {noun}s", weights_blocks(data)),
        Section("layers", "Weights of the layers", layers_blocks(data)),
        Section("proxy", "Loss against CER", proxy_blocks(data)),
        Section("utterances", "Best and worst utterances", utterances_blocks(data)),
        Section("identification", "Language identification", confusions(heard)),
        Section("checkpoints", "Choosing a checkpoint", checkpoints_blocks(data)),
        Section("cost", "Cost", cost_blocks(data)),
        Section("reproduction", "Making it again", reproduction_blocks(data)),
        Section("words", "Words", words_blocks(data)),
    ]
    return Report(
        title=_title(data),
        subtitle=_subtitle(data),
        sections=[section for section in sections if section.blocks],
        alarms=[*first_alarms(data), *warnings_of(data)],
    )


def _read(folder: Path, results: str, like: str = "") -> TrainingRun:
    """A run; where it has no ``decode_test``, and no other was asked for, with records of another
    choice of checkpoint: as `like`, else as the run chose ``checkpoint_best.pt``, else the first.
    """
    decoded = results != RESULTS or (folder / results / RECORDS_FILE).exists()
    others = [name for name in decoded_folders(folder) if name.startswith(f"{RESULTS}_")]
    names = [results] if decoded or not others else others
    run = read_training_run(folder, names[0])
    wanted = (like, f"{RESULTS}_{run.best_checkpoint_metric}")
    chosen = next((name for name in wanted if name in names), names[0])
    return run if chosen == names[0] else read_training_run(folder, chosen)


def _title(data: ReportData) -> str:
    """The run, its corpus, its model and when it was trained, as far as they are known."""
    run = data.run
    corpora = sorted({r.corpus for r in run.utterances if r.corpus})
    folder = run.option("task", "data")
    corpus = " and ".join(corpora) if 0 < len(corpora) < 4 else Path(str(folder or "")).name
    model = run.config.get("model") or {}
    files = [str(v) for k, v in model.items() if str(k).endswith("_path") and v]
    kind = Path(files[0]).stem if files else str(model.get("_name") or "")
    date = str(run.starts[-1].get("started", ""))[:10] if run.starts else ""
    return " · ".join(part for part in (run.name, corpus, kind, date) if part)


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
    return " · ".join([*parts, str(run.folder.resolve()), f"report of {made}"])


def _tell_apart(runs: Sequence[TrainingRun]) -> None:
    """Give runs whose folders are called alike as many names of folders above as differ."""
    folders = [run.folder.resolve() for run in runs]
    if len(set(folders)) < len(folders):
        raise UserError("report: a run is named twice; a run cannot be its own baseline.")
    for run, folder in zip(runs, folders):
        depth = 1
        while [other.parts[-depth:] for other in folders].count(folder.parts[-depth:]) > 1:
            depth += 1
        run.name = "/".join(folder.parts[-depth:])
