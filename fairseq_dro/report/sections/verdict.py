"""What came out, in a sentence, and which checkpoint the test numbers come from."""

from __future__ import annotations

from fairseq_dro.report.alarms import Alarm
from fairseq_dro.report.blocks import (
    Block,
    Cell,
    Column,
    Folded,
    Notices,
    Paragraph,
    Section,
    Table,
    per_cent,
)
from fairseq_dro.report.compare.difference_blocks import difference_blocks, verdict_sentence
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.report.training_amount import training_amount, unequal_training
from fairseq_dro.runs.durations import in_one_unit
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.wording import counted

_WORDS = (
    ("q", "the weight of each {noun}'s loss in training; all weights sum to 1"),
    ("CER, WER", "character and word error rate: errors over reference characters or words"),
    ("macro", "every {noun} with the same weight, however much test text it has"),
    ("micro", "all utterances together, so that a {noun} with more test text counts more"),
    ("CVaR 10 %", "conditional value at risk: the mean CER of the worst tenth of the {noun}s"),
    ("Gini", "inequality from 0, all {noun}s have the same CER, to 1, one has all errors"),
    ("nats", "the unit of a loss with the natural logarithm; fairseq's log has bits, 0.69 nats"),
    ("constant guess", "the CER of always answering one fixed sentence of the training text; a "
                       "model must beat it to have learnt anything from speech"),
)  # fmt: skip


def first_alarms(data: ReportData) -> list[Alarm]:
    """What forbids to compare the runs at all."""
    alarm = unequal_training({run.name: [run] for run, _ in data.decoded})
    return [] if alarm is None else [alarm]


def verdict_blocks(data: ReportData) -> list[Block]:
    """The first thing on the page."""
    alarms = first_alarms(data)
    blocks: list[Block] = [Notices(alarms)] if alarms else []
    compared = [one for one in data.comparisons if one is not None]
    blocks += [Paragraph(verdict_sentence(one, one.differences[0])) for one in compared]
    if not compared:
        blocks.append(Paragraph(_of_one_run(data)))
    elif all(len(arm.runs) == 1 for one in compared for arm in one.arms):
        text = (
            "This is about these models; what other seeds would give is not known: `fairseq-dro "
            "compare NAME=RUN,RUN NAME=RUN,RUN` takes several."
        )
        blocks.append(Paragraph(text, small=True))
    told = [_source(run) for run, _ in data.decoded]
    return [*blocks, Paragraph(f"Test numbers: {'; '.join(told)}.")] if told else blocks


def difference_sections(data: ReportData) -> list[Section]:
    """The numbers over groups against each baseline."""
    return [
        Section(
            f"against{number}", f"Against {one.baseline}",
            difference_blocks(one, one.differences[0]),
        )
        for number, one in enumerate(one for one in data.comparisons if one is not None)
    ]


def words_blocks(data: ReportData) -> list[Block]:
    """A short glossary."""
    rows = [[Cell(word), Cell(text.format(noun=data.noun))] for word, text in _WORDS]
    table = Table([Column("", numeric=False), Column("", numeric=False)], rows)
    return [Folded("What the words mean", [table])]


def _of_one_run(data: ReportData) -> str:
    run, noun = data.run, data.noun
    if data.scores is None:
        if not run.validations:
            return "Not decoded and not validated yet: there is nothing to say."
        last = run.validations[-1]
        planned = f" of {run.planned_updates:,}" if run.planned_updates else ""
        worst = run.group_by.label_of(str(last.get("worst_language") or "–"))
        return (
            f"Not decoded yet. At update {last['update']:,}{planned} the validation CER is "
            f"{per_cent(last.get('mean_cer'))} % on average over {noun}s and "
            f"{per_cent(last.get('worst_cer'))} % in the worst, {worst}."
        )
    cer = data.scores.cer
    if not cer:
        return "All references of the split are empty: there is no error rate."
    mean, worst = sum(cer.values()) / len(cer), data.scores.worst
    text = f"The mean CER over {counted(len(cer), noun)} is {per_cent(mean)} %"
    if len(cer) > 1:
        times = f", {cer[worst] / mean:.1f} times the mean" if mean else ""
        text += f"; the worst, {data.labels[worst]}, has {per_cent(cer[worst])} %{times}"
    guess = data.constant_guess
    n_blind = sum(rate >= guess.get(code, float("inf")) for code, rate in cer.items())
    if n_blind == len(cer):
        text += "; it is no better than a fixed guess anywhere"
    elif guess:
        text += f"; {n_blind or 'none'} of {len(cer)} no better than a fixed guess"
    return f"{text}."


def _source(run: TrainingRun) -> str:
    source, amount = run.decoded_from, training_amount(run)
    parts = [f"split {source.split}"] if source.split else [f"records of {run.results}"]
    if source.checkpoint:
        parts.append(source.checkpoint)
    if amount.update is not None:
        parts.append(f"update {amount.update:,} of {max(run.updates, amount.update):,}")
    else:
        parts.append("of an update that is not recorded")
    if amount.audio_seconds is not None:
        parts.append(f"after {in_one_unit(amount.audio_seconds)} of audio")
    return f"{run.name}, {', '.join(parts)}"
