"""The table of groups, which are languages mostly."""

from __future__ import annotations

from collections import Counter

from fairseq_dro.report.blocks import (
    MISSING,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    duration,
    number_cell,
    per_cent,
    rate_cell,
)
from fairseq_dro.report.report_data import ReportData, validation_rates
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.report.scores_table import drawn_over
from fairseq_dro.report.verdicts import BETTER, SAME, WORSE
from fairseq_dro.scoring.as_written import as_written_note, summarise_as_written
from fairseq_dro.scoring.intervals import FEWEST_BLOCKS

_ABOUT_BASELINES = (
    " Against it: by a paired test on the same utterances, corrected by Holm's method for the "
    "number of {noun}s, of which some would differ by luck; same means that no difference is "
    "shown. Rank: 1 is the highest CER."
)


def languages_section(data: ReportData) -> Section:
    """Every language with its numbers; before decoding, those of the last validation."""
    section = Section("languages", f"Every {data.noun}")
    if data.scores is None:
        section.blocks += _from_validation(data)
        return section
    for run, verdict in zip(data.baselines, data.verdicts):
        if verdict:
            counts = Counter(verdict.values())
            text = (
                f"Against {run.name}: {counts[BETTER]} of {len(verdict)} {data.noun}s better, "
                f"{counts[WORSE]} worse, {counts[SAME]} without a difference that is shown."
            )
            section.blocks.append(Paragraph(text))
    if any(data.verdicts):
        text = (
            "This is about these models; what other seeds would give is not known (fairseq-dro "
            "compare takes several)."
        )
        section.blocks.append(Paragraph(text, small=True))
    section.blocks.append(_table(data))
    section.blocks.append(
        Paragraph(
            "CER and WER: errors over reference characters and words, with 95 % bootstrap interval "
            f"of the CER ({_drawn_over(data.scores)}; none of fewer than {FEWEST_BLOCKS}). "
            "S, D, I: characters substituted, deleted, inserted, per 100 of the reference."
            + (_ABOUT_BASELINES.format(noun=data.noun) if data.baselines else ""),
            small=True,
        )
    )
    if data.scores.written:
        summary = summarise_as_written(data.scores.written)
        section.blocks.append(Paragraph(as_written_note(summary, data.noun), small=True))
    return section


def _drawn_over(scores: RunScores) -> str:
    kinds = {"speaker" if c in scores.by_speaker else "utterance" for c in scores.groups}
    return drawn_over(kinds, scores.by.noun)


def _table(data: ReportData) -> Table:
    scores = data.scores
    split = data.training_split
    q = data.run.final_q if data.run.moved_q else {}
    with_lid = scores.all.n_with_token > 0
    columns = [Column(str(data.run.group_by), numeric=False)]
    in_hours = split is not None and max(split.seconds.values()) > 36_000
    unit, unit_seconds = ("h", 3600) if in_hours else ("min", 60)
    if split is not None:
        columns.append(Column(f"train {unit}", "training speech"))
    columns += [
        Column("test utt.", "utterances of the test split"), Column("CER %"), Column("WER %"),
        Column("S %"), Column("D %"), Column("I %"),
    ]  # fmt: skip
    if with_lid:
        columns.append(Column("LID %", "language tokens that are right"))
    columns.append(Column("empty", "hypotheses without any character"))
    if scores.written:
        columns.append(Column("loop %", "hypotheses that repeat themselves"))
    if q:
        columns.append(Column("q", "weight at the last update"))
    ranked = [
        (run, other, verdict)
        for run, other, verdict in zip(data.baselines, data.baseline_scores, data.verdicts)
        if other is not None
    ]  # fmt: skip
    for run, _, _ in ranked:
        columns.append(Column(f"CER % {run.name}"))
        columns.append(Column("against it", "by a paired test, see below", numeric=False))
        columns.append(Column("rank", f"rank in {run.name} and here; 1 is the highest CER"))
    estimates = scores.estimates
    ranks = _ranks(scores.cer)
    others = [(other.estimates, verdict, _ranks(other.cer)) for _, other, verdict in ranked]
    rows = []
    for code in data.codes:
        score = scores.groups.get(code)
        if score is None:
            continue
        estimate = estimates.get(code)
        row = [Cell(data.labels[code])]
        if split is not None:
            seconds = split.seconds.get(code)
            row.append(number_cell(None if seconds is None else seconds / unit_seconds, ",.1f"))
        row += [
            number_cell(score.n_utterances),
            rate_cell(score.cer, estimate and estimate.low, estimate and estimate.high),
            rate_cell(score.wer),
            *(rate_cell(n / score.characters if score.characters else None)
              for n in (score.substitutions, score.deletions, score.insertions)),
        ]  # fmt: skip
        if with_lid:
            row.append(rate_cell(score.lid_accuracy))
        row.append(number_cell(score.n_empty))
        if scores.written:
            written = scores.written.get(code)
            row.append(rate_cell(written and written.share_looping))
        if q:
            row.append(number_cell(q.get(code), ".4f"))
        for other_estimates, verdict, other_ranks in others:
            before = other_estimates.get(code)
            row.append(rate_cell(*(before or (None,))))
            row.append(Cell(verdict.get(code, MISSING)))
            row.append(_rank_cell(other_ranks.get(code), ranks.get(code)))
        rows.append(row)
    return Table(columns, rows, sortable=True)


def _ranks(cer: dict[str, float]) -> dict[str, int]:
    """1 for the highest CER; equal rates share the best rank."""
    return {code: 1 + sum(other > rate for other in cer.values()) for code, rate in cer.items()}


def _rank_cell(before: int | None, now: int | None) -> Cell:
    if before is None or now is None:
        return Cell(MISSING, 0.0)
    if before == now:
        return Cell(f"{now}", float(now))
    return Cell(f"{before} → {now}", float(now))


def _from_validation(data: ReportData) -> list:
    run = data.run
    if not run.validations:
        return [
            Paragraph(
                f"Nothing is known per {data.noun}: the run has no history.jsonl and its test "
                "split has not been decoded. Decode it with `fairseq-dro infer`, which scores any "
                f"wav2vec_ctc checkpoint per {data.noun}."
            )
        ]
    last = run.validations[-1]
    wer, q = validation_rates(last, "wer"), run.final_q
    split = data.training_split
    rows = []
    for code in data.codes:
        row = last["languages"].get(code, {})
        minutes = None if split is None else split.seconds.get(code, 0.0) / 60
        rows.append(
            [
                Cell(data.labels[code]), number_cell(minutes, ",.1f"),
                number_cell(row.get("n_utterances")), rate_cell(row.get("cer")),
                rate_cell(wer.get(code)), number_cell(row.get("loss_nats"), ".1f"),
                number_cell(q.get(code), ".4f"),
            ]
        )  # fmt: skip
    columns = [
        Column(str(data.run.group_by), numeric=False), Column("train min"), Column("utterances"),
        Column("CER %"), Column("WER %"), Column("loss, nats", "mean over utterances"), Column("q"),
    ]  # fmt: skip
    return [
        Paragraph(
            f"The test split has not been decoded yet. These are the numbers of the validation at "
            f"update {last['update']:,} (split {run.subset}), without intervals; mean CER "
            f"{per_cent(last.get('mean_cer'))} %."
        ),
        Table(
            columns, rows, sortable=True,
            caption=f"Validation, after {duration_of(run)} of training",
        ),
    ]


def duration_of(run) -> str:
    """How long the run has been trained, as far as its log tells."""
    return duration(run.log.wall_seconds) if run.log.wall_seconds else f"{run.updates:,} updates"
