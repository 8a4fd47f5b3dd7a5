"""All alarms of a run."""

from __future__ import annotations

from pathlib import Path

from fairseq_dro.report import alarms
from fairseq_dro.report.alarms import Alarm
from fairseq_dro.report.blocks import Block, Notices
from fairseq_dro.report.comparison import Verdict
from fairseq_dro.report.report_data import ReportData, validation_rates
from fairseq_dro.runs.decoding_command import decoding_command
from fairseq_dro.runs.record_file import decoded_folders


def warnings_of(data: ReportData) -> list[Alarm]:
    """What must be known before the numbers are read."""
    found = [*_not_decoded(data), *_another_folder(data), *_of_scores(data), *_of_training(data)]
    return [alarm for alarm in found if alarm is not None]


def warnings_blocks(data: ReportData) -> list[Block]:
    """All warnings; says so if nothing was found."""
    looked_at = [
        told
        for was_looked_at, told in (
            (data.run.moved_q, f"q is not held by one {data.noun}"),
            (data.run.validations, f"every {data.noun} was drawn"),
            (data.scores, f"every {data.noun} has {alarms.FEW_UTTERANCES} test utterances or more"),
            (data.scores and data.scores.null_band, f"the worst {data.noun} stands out of chance"),
            (any(data.verdicts),
             f"no {data.noun} is shown to be worse than in a baseline while the mean fell"),
        )
        if was_looked_at
    ]  # fmt: skip
    none = f"Nothing found: {', '.join(looked_at)}." if looked_at else "Nothing could be checked."
    return [Notices(warnings_of(data), none)]


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
            missing = "and no" if run is data.run else "of it and no"
            sentence = (
                f"{run.name} has no records in {run.folder / run.results}, so there is no test "
                f"number {missing} difference below{or_another_folder(run.folder)}. To decode it:"
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
            text = f"{run.name} has no {data.results}: its test numbers are those of {run.results}"
            found.append(Alarm("another folder", f"{text}{more}."))
    return found


def _of_training(data: ReportData) -> list[Alarm | None]:
    run, by = data.run, data.run.group_by
    found = [
        alarms.interleaved(run.falls, max(len(run.starts), run.log.n_starts)),
        alarms.objective_changed(run.objectives),
        alarms.data_gone(data.without_data) if run.option("task", "data") else None,
        alarms.q_collapsed(run.q_path(), run.updates, by) if run.moved_q else None,
    ]
    if run.validations:
        rows = run.validations[-1]["languages"]
        losses = {group: row.get("train_loss_nats") for group, row in rows.items()}
        seconds = validation_rates(run.validations[-1], "train_audio_seconds")
        found.append(alarms.never_sampled(losses, run.updates, seconds or None, by))
        if data.scores is None:
            found.append(alarms.nothing_learnt(data.validation_cer(), data.constant_guess, by))
    return found


def _of_scores(data: ReportData) -> list[Alarm | None]:
    scores = data.scores
    if scores is None:
        return []
    by, found = scores.by, []
    counts = {code: row["n_utterances"] for code, row in scores.groups.items()}
    empty = {code: row["n_empty_hypotheses"] for code, row in scores.groups.items()}
    for run, scored in zip(data.runs, [scores, *data.baseline_scores]):
        if scored is not None:
            n_without = sum(by.group_of(record) is None for record in scored.records)
            found.append(alarms.without_group(run.name, n_without, len(scored.records), by))
            found.append(alarms.looping(run.name, scored.looping, by))
    others = zip(data.baselines, data.baseline_scores, data.comparisons)
    found += [alarms.not_compared(run.name, by) for run, scored, one in others
              if scored is not None and one is None and scores.cer]  # fmt: skip
    unrated = [code for code, row in scores.groups.items() if row["cer"] is None]
    found += [
        alarms.without_references(unrated, by), alarms.says_nothing(empty, counts, by),
        alarms.not_better_than_a_guess(scores.cer, data.constant_guess, by),
    ]  # fmt: skip
    if sum(empty.values()) <= alarms.EMPTY_SHARE * len(scores.records):
        for run, other, verdict in zip(data.baselines, data.baseline_scores, data.verdicts):
            worse = [code for code, says in verdict.items() if says is Verdict.WORSE]
            if other is not None:
                found.append(alarms.levelling_down(scores.cer, other.cer, run.name, worse, by))
        if scores.null_band is not None:
            worst = scores.cer[scores.worst]
            found.append(
                alarms.worst_within_null_band(scores.worst, worst, *scores.null_band, by)
            )
    few_speakers = alarms.too_few_speakers(scores.few_speakers, len(counts), by)
    return [*found, alarms.too_few_utterances(counts, by), few_speakers]
