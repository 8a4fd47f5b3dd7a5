"""The table of groups, which are languages mostly."""

from __future__ import annotations

from fairseq_dro.report.blocks import (
    MISSING,
    Block,
    Cell,
    Column,
    Paragraph,
    number_cell,
    per_cent,
    rate_cell,
)
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.report.score_tables import counting_note, interval_note, rates_table
from fairseq_dro.scoring.as_written import as_written_note
from fairseq_dro.scoring.intervals import FEWEST_BLOCKS

_ABOUT_BASELINES = (
    " Against it: by a paired test on the same utterances, corrected by Holm's method for the "
    "number of {noun}s, of which some would differ by luck; same means that no difference is shown."
)


def languages_blocks(data: ReportData) -> list[Block]:
    """Every language with its numbers; before decoding, those of the last validation."""
    scores = data.scores
    if scores is None:
        return _from_validation(data)
    codes = [code for code in data.codes if code in scores.groups]
    rows = [(data.labels[code], scores.groups[code]) for code in codes]
    head, before, after = str(data.run.group_by), _training(data, codes), []
    if scores.looping:
        shares = [rate_cell(scores.looping.get(code)) for code in codes]
        after.append((Column("loop %", "hypotheses that repeat themselves"), shares))
    if data.run.moved_q:
        q = data.run.final_q
        after.append((Column("q", "weight at the last update"),
                      [number_cell(q.get(code), ".4f") for code in codes]))  # fmt: skip
    table = rates_table(
        head, rows, before=before, after=[*after, *_baselines(data, codes)], sortable=True
    )
    note = f"{counting_note({})} {interval_note(scores.groups, data.noun)} (None of fewer than " \
           f"{FEWEST_BLOCKS}.)"  # fmt: skip
    note += _ABOUT_BASELINES.format(noun=data.noun) if data.baselines else ""
    notes = [note]
    if "as_written" in scores.numbers:
        notes.append(as_written_note(scores.numbers["as_written"], data.noun))
    return [table, *(Paragraph(note, small=True) for note in notes)]


def _training(data: ReportData, codes: list[str]) -> list[tuple[Column, list[Cell]]]:
    if data.facts is None:
        return []
    seconds = data.facts.seconds
    unit, size = ("h", 3600) if max(seconds.values()) > 36_000 else ("min", 60)
    amounts = [None if code not in seconds else seconds[code] / size for code in codes]
    cells = [number_cell(amount, ",.1f") for amount in amounts]
    return [(Column(f"train {unit}", "training speech"), cells)]


def _baselines(data: ReportData, codes: list[str]) -> list[tuple[Column, list[Cell]]]:
    """CER and verdict of each baseline that was decoded."""
    columns = []
    for run, other, verdict in zip(data.baselines, data.baseline_scores, data.verdicts):
        if other is None:
            continue
        rows = [other.groups.get(code, {}) for code in codes]
        rates = [rate_cell(r.get("cer"), r.get("cer_low"), r.get("cer_high")) for r in rows]
        said = [Cell(verdict[code].value if code in verdict else MISSING) for code in codes]
        columns += [
            (Column(f"CER % {run.name}"), rates),
            (Column("against it", "by a paired test, see below", numeric=False), said),
        ]
    return columns


def _from_validation(data: ReportData) -> list[Block]:
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
    codes = [code for code in data.codes if code in last["languages"]]
    rows = [
        (data.labels[code], {"cer": None, "wer": None, **last["languages"][code]}) for code in codes
    ]
    losses = [number_cell(row.get("loss_nats"), ".1f") for _, row in rows]
    after = [
        (Column("loss, nats", "mean over utterances"), losses),
        (Column("q"), [number_cell(run.final_q.get(code), ".4f") for code in codes]),
    ]
    return [
        Paragraph(
            f"The test split has not been decoded yet. These are the numbers of the validation at "
            f"update {last['update']:,} (split {run.subset}), without intervals; mean CER "
            f"{per_cent(last.get('mean_cer'))} %."
        ),
        rates_table(
            str(run.group_by), rows, before=_training(data, codes), after=after, sortable=True
        ),
    ]
