"""All alarms of a run."""

from __future__ import annotations

from pathlib import Path

from fairseq_dro.report import alarms
from fairseq_dro.report.alarms import Alarm
from fairseq_dro.report.blocks import Notices, Section
from fairseq_dro.report.comparison import Verdict
from fairseq_dro.report.report_data import ReportData, validation_rates
from fairseq_dro.runs.decoding_command import decoding_command
from fairseq_dro.runs.record_file import decoded_folders


def warnings_section(data: ReportData) -> Section:
    """What must be known before the numbers are read; says so if nothing was found."""
    found = [*_not_decoded(data), *_another_folder(data), *_of_scores(data), *_of_training(data)]
    looked_at = []
    if data.run.moved_q:
        looked_at.append(f"q is not held by one {data.noun}")
    if data.run.validations:
        looked_at.append(f"every {data.noun} was drawn")
    if len(data.run.validations) >= alarms.FEWEST_VALIDATIONS:
        looked_at.append("none got clearly worse in training while the mean fell")
    if data.scores is not None:
        looked_at.append(
            f"every {data.noun} has {alarms.FEW_UTTERANCES} test utterances or more"
        )
    if data.scores is not None and data.scores.null_band is not None:
        looked_at.append(f"the worst {data.noun} stands out of chance")
    if any(data.verdicts):
        looked_at.append(
            f"no {data.noun} is shown to be worse than in a baseline while the mean fell"
        )
    none = f"Nothing found: {', '.join(looked_at)}." if looked_at else "Nothing could be checked."
    return Section("alarms", "Before you read on", [Notices(found, none)])


def or_another_folder(folder: Path) -> str:
    """`` (it has records in decode_dev: ...)``; empty where it has none at all."""
    names = decoded_folders(folder)
    if not names:
        return ""
    return f" (it has records in {', '.join(names)}: --results NAME takes those)"


def _not_decoded(data: ReportData) -> list[Alarm]:
    """Runs without scores beside runs that have some; for none at all the page says so itself."""
    scores = [data.scores, *data.baseline_scores]
    if not any(scores):
        return []
    split = next((run.decoded_from.split for run, one in zip(data.runs, scores) if one), None)
    found = []
    for run, one in zip(data.runs, scores):
        if one is None:
            missing = "no test number" + (
                " and no difference" if run is data.run else " of it and no difference from it"
            )
            sentence = (
                f"{run.name} has no records in {run.folder / run.results}, so there is {missing} "
                f"below{or_another_folder(run.folder)}. To decode it:"
            )
            command = decoding_command(run, run.results, split or "test")
            found.append(Alarm("not decoded", sentence, command))
    return found


def _another_folder(data: ReportData) -> list[Alarm]:
    """Runs whose scores are of another folder than the one that was asked for."""
    found = []
    for run in data.runs:
        if run.utterances and run.results != data.results:
            others = [name for name in decoded_folders(run.folder) if name != run.results]
            more = f"; there is {' and '.join(others)} as well (--results NAME)" if others else ""
            sentence = (
                f"{run.name} has no {data.results}: its test numbers are those of "
                f"{run.results}{more}."
            )
            found.append(Alarm("another folder", sentence))
    return found


def _of_training(data: ReportData) -> list[Alarm]:
    run = data.run
    found = alarms.interleaved(run.falls, max(len(run.starts), run.log.n_starts))
    found += alarms.objective_changed(run.objectives)
    if data.without_data and run.option("task", "data"):
        found += alarms.data_gone(data.without_data)
    if run.moved_q:
        found += alarms.q_collapsed(run.q_path(), run.updates, run.group_by)
    if run.validations:
        rows = run.validations[-1]["languages"]
        losses = {group: row.get("train_loss_nats") for group, row in rows.items()}
        counted = {
            group: row["train_audio_seconds"]
            for group, row in rows.items()
            if "train_audio_seconds" in row
        }
        found += alarms.never_sampled(losses, run.updates, counted or None, run.group_by)
        history = [(int(r["update"]), validation_rates(r)) for r in run.validations]
        found += alarms.worsened_in_training(history, by=run.group_by)
        if data.scores is None:
            found += alarms.nothing_learnt(history[-1][1], data.constant_guess, run.group_by)
    return found


def _of_scores(data: ReportData) -> list[Alarm]:
    scores = data.scores
    if scores is None:
        return []
    counts = {code: row["n_utterances"] for code, row in scores.groups.items()}
    empty = {code: row["n_empty_hypotheses"] for code, row in scores.groups.items()}
    unrated = [code for code, row in scores.groups.items() if row["cer"] is None]
    found = []
    for run, scored in zip(data.runs, [scores, *data.baseline_scores]):
        records = scored.records if scored is not None else []
        n_without = sum(scores.by.group_of(record) is None for record in records)
        found += alarms.without_group(run.name, n_without, len(records), scores.by)
        looping = scored.looping if scored is not None else {}
        found += alarms.looping(run.name, looping, scores.by)
    found += alarms.without_references(unrated, scores.by)
    found += alarms.says_nothing(empty, counts, scores.by)
    found += alarms.not_better_than_a_guess(scores.cer, data.constant_guess, scores.by)
    silent = sum(empty.values()) > alarms.EMPTY_SHARE * len(scores.records)
    for run, other, verdict in zip(data.baselines, data.baseline_scores, data.verdicts):
        if other is not None and not silent:
            worse = [c for c, says in verdict.items() if says is Verdict.WORSE] if verdict else None
            found += alarms.levelling_down(scores.cer, other.cer, run.name, worse, scores.by)
    band = scores.null_band
    if band is not None and not silent:
        found += alarms.worst_within_null_band(
            scores.worst, scores.cer[scores.worst], *band, scores.by
        )
    found += alarms.too_few_utterances(counts, scores.few_speakers, scores.by)
    return found
