"""All alarms of a run."""

from __future__ import annotations

from fairseq_dro.report import alarms
from fairseq_dro.report.alarms import Alarm
from fairseq_dro.report.blocks import Notices, Section
from fairseq_dro.report.decoding_alarms import another_folder, not_decoded
from fairseq_dro.report.report_data import ReportData, validation_rates
from fairseq_dro.report.verdicts import WORSE


def warnings_section(data: ReportData) -> Section:
    """What must be known before the numbers are read; says so if nothing was found."""
    found = [*not_decoded(data), *another_folder(data), *_of_scores(data), *_of_training(data)]
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
    return Section("alarms", "Before you read on", [Notices([tuple(a) for a in found], none)])


def _of_training(data: ReportData) -> list[Alarm]:
    run = data.run
    found = alarms.interleaved(run.falls, max(len(run.starts), run.log.n_starts))
    found += alarms.objective_changed(run.objectives)
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
    return found


def _of_scores(data: ReportData) -> list[Alarm]:
    scores = data.scores
    if scores is None:
        return []
    counts = {code: score.n_utterances for code, score in scores.groups.items()}
    empty = {code: score.n_empty for code, score in scores.groups.items()}
    unrated = [code for code, score in scores.groups.items() if not score.characters]
    found = []
    for run, scored in zip(data.runs, [scores, *data.baseline_scores]):
        records = scored.records if scored is not None else []
        n_without = sum(scores.by.group_of(record) is None for record in records)
        found += alarms.without_group(run.name, n_without, len(records), scores.by)
        written = scored.written if scored is not None else {}
        looping = {group: sums.share_looping for group, sums in written.items()}
        found += alarms.looping(run.name, looping, scores.by)
    found += alarms.without_references(unrated, scores.by)
    found += alarms.says_nothing(empty, counts, scores.by)
    if data.constant_guess:
        found += alarms.not_better_than_a_guess(scores.cer, data.constant_guess, scores.by)
    silent = sum(empty.values()) > alarms.EMPTY_SHARE * scores.all.n_utterances
    for run, other, verdict in zip(data.baselines, data.baseline_scores, data.verdicts):
        if other is not None and not silent:
            worse = [code for code, says in verdict.items() if says == WORSE] if verdict else None
            found += alarms.levelling_down(scores.cer, other.cer, run.name, worse, scores.by)
    band = scores.null_band
    if band is not None and not silent:
        found += alarms.worst_within_null_band(
            scores.worst, scores.cer[scores.worst], *band, scores.by
        )
    found += alarms.too_few_utterances(counts, scores.few_speakers, scores.by)
    return found
