"""All alarms of a run."""

from __future__ import annotations

from fairseq_dro.report import alarms
from fairseq_dro.report.alarms import Alarm
from fairseq_dro.report.blocks import Notices, Section
from fairseq_dro.report.report_data import ReportData, validation_rates


def warnings_section(data: ReportData) -> Section:
    """What must be known before the numbers are read; says so if nothing was found."""
    found = [*_of_scores(data), *_of_training(data)]
    none = (
        "Nothing found: q is not held by one language, every language was drawn, none got worse "
        "while the mean fell, the worst language stands out of chance, and test splits are large "
        "enough."
    )
    return Section("alarms", "Before you read on", [Notices([tuple(a) for a in found], none)])


def _of_training(data: ReportData) -> list[Alarm]:
    run = data.run
    found = alarms.q_collapsed(run.q_path(), run.updates) if run.moved_q else []
    if run.validations:
        rows = run.validations[-1]["languages"]
        losses = {group: row.get("train_loss_nats") for group, row in rows.items()}
        counted = {
            group: row["train_audio_seconds"]
            for group, row in rows.items()
            if "train_audio_seconds" in row
        }
        found += alarms.never_sampled(losses, run.updates, counted or None)
        history = [(int(r["update"]), validation_rates(r)) for r in run.validations]
        found += alarms.worsened_in_training(history)
    return found


def _of_scores(data: ReportData) -> list[Alarm]:
    scores = data.scores
    if scores is None:
        return []
    counts = {code: score.n_utterances for code, score in scores.groups.items()}
    empty = {code: score.n_empty for code, score in scores.groups.items()}
    speakers = {c: s.n_speakers for c, s in scores.groups.items() if s.n_speakers is not None}
    found = alarms.says_nothing(empty, counts)
    if data.constant_guess:
        found += alarms.not_better_than_a_guess(scores.cer, data.constant_guess)
    for run, other in zip(data.baselines, data.baseline_scores):
        if other is not None:
            found += alarms.levelling_down(
                scores.cer, other.cer, run.name, scores.worse_than(other)
            )
    band = scores.null_band()
    if band is not None and len(scores.cer) > 1:
        found += alarms.worst_within_null_band(scores.worst, scores.cer[scores.worst], *band)
    found += alarms.too_few_utterances(counts, speakers)
    return found
