"""A comparison as sections: what must be known first, all arms, then each against the baseline."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairseq_dro.report.alarms import Alarm, objective_changed
from fairseq_dro.report.arms import Arm
from fairseq_dro.report.blocks import (
    Beside,
    Cell,
    Column,
    Figure,
    Notices,
    Paragraph,
    Section,
    Table,
    number_cell,
    rate_cell,
)
from fairseq_dro.report.compare.difference_blocks import difference_blocks, verdict_sentence
from fairseq_dro.report.comparison import Comparison
from fairseq_dro.report.figures.over_updates import draw_arms
from fairseq_dro.report.figures.pareto import draw_pareto
from fairseq_dro.report.training_amount import unequal_training
from fairseq_dro.wording import listed

_MUCH_SILENCE = 0.2
GUESS_NOTE = (
    "Constant guess: the CER of always answering one fixed sentence of the training text, which "
    "never hears the audio; above 100 % where that is longer than what is said."
)


def subtitle(comparison: Comparison) -> str:
    """What was decoded, after how many updates."""
    runs = [run for arm in comparison.arms for run in arm.runs]
    splits = sorted({run.decoded_from.split or "" for run in runs} - {""})
    decoded = f"Split {' and '.join(splits)}" if splits else f"Records of {runs[0].results}"
    updates = ", ".join(f"{arm.name} {_updates(arm)}" for arm in comparison.arms)
    return f"{decoded}; rates in per cent; q at the last validation. Updates: {updates}."


def sections(comparison: Comparison, out: Path | None = None) -> list[Section]:
    """The whole comparison.

    Args:
        out: folder in which its pictures are written; without one there are none.
    """
    first = Section("alarms", "Before you read on")
    for one in comparison.differences:
        first.blocks.append(Paragraph(verdict_sentence(comparison, one)))
    found = cautions(comparison)
    if found:
        first.blocks.append(Notices(found))
    table = side_by_side(comparison)
    if out is not None:
        caption = (
            "A large mark is an arm, filled where no other is better in both; small marks are its "
            f"runs; bars: 95 % interval of the difference from {comparison.baseline}."
        )
        svg = draw_pareto(comparison, out / "pareto")
        picture = Figure([svg], caption, "mean and worst CER", 440, ["pareto.png"])
        table = Beside([table, picture])
    together = Section("arms", "Side by side", [table])
    if comparison.apart:
        text = f"Apart, and in no other number: {listed(comparison.apart, 12)}."
        together.blocks.append(Paragraph(text, small=True))
    if comparison.constant_cer:
        together.blocks.append(Paragraph(GUESS_NOTE, small=True))
    if any(len(arm.runs) > 1 for arm in comparison.arms):
        together.blocks.append(runs_table(comparison))
    parts = [first, together]
    for number, one in enumerate(comparison.differences):
        name = "differences"
        if len(comparison.differences) > 1:
            name += "_" + re.sub(r"[^\w.-]+", "_", one.name)
        blocks = difference_blocks(
            comparison, one, draw=out is not None, stem=out and out / name, by_group=True
        )
        title = f"{one.name} against {comparison.baseline}"
        parts.append(Section(f"difference{number}", title, blocks))
    if out is not None and any(arm.runs[0].validations for arm in comparison.arms):
        caption = "Validation CER and weights q over updates; dotted: 1/|G|, where q started."
        svg = draw_arms(comparison, out / "comparison")
        width = 40 + 330 * len(comparison.arms)
        curves = Figure([svg], caption, caption, width, ["comparison.png"])
        parts.append(Section("curves", "Learning curves", [curves]))
    return parts


def side_by_side(comparison: Comparison) -> Table:
    """A row per group, then mean and worst over groups that do not stand apart; q is a fraction."""
    codes, arms = [*comparison.codes, *comparison.apart], comparison.arms
    columns = [Column(str(comparison.by), numeric=False)]
    labels = [comparison.by.label_of(code) for code in comparison.codes]
    labels += [f"{comparison.by.label_of(code)}, apart" for code in comparison.apart]
    cells = [[Cell(label) for label in (*labels, "mean", "worst")]]

    def add_rates(title: str, rates: Mapping[str, float], worst: float) -> None:
        values = [*(rates.get(code) for code in codes), comparison.mean(rates), worst]
        columns.append(Column(title))
        cells.append([rate_cell(value) for value in values])

    def add_numbers(column: Column, form: str, values: Mapping[str, float]) -> None:
        columns.append(column)
        shown = [number_cell(values[c], form) if c in values else Cell("") for c in codes]
        cells.append([*shown, Cell(""), Cell("")])

    if comparison.facts is not None and comparison.facts.seconds:
        seconds = {code: comparison.facts.seconds.get(code, 0.0) for code in codes}
        add_numbers(Column("train s", "seconds of training speech"), ",.0f", seconds)
    for arm in arms:
        worst = comparison.measures[arm.name]["worst"]
        add_rates(f"CER {arm.name}", comparison.cer[arm.name], worst)
    for arm in arms:
        worst = comparison.worst_wer[arm.name]
        add_rates(f"WER {arm.name}", comparison.wer[arm.name], worst)
    for arm in arms:
        q = comparison.final_q(arm)
        if q:
            add_numbers(Column(f"q {arm.name}", "weight at the last validation"), ".3f", q)
    guess = comparison.constant_cer
    if guess:
        known = [guess[code] for code in comparison.codes if code in guess]
        add_rates("CER constant guess", guess, max(known, default=math.nan))
    rows = list(zip(*cells))
    return Table(columns, rows[:-2], rows[-2:], sortable=True)


def runs_table(comparison: Comparison) -> Table:
    """A row per run: its seed, its update and its own numbers."""
    columns = [Column("run", numeric=False), Column("arm", numeric=False), Column("seed")]
    columns += [Column("decoded update"), Column("mean"), Column("worst")]
    columns += [Column("which", numeric=False), Column("all together")]
    rows = []
    for arm in comparison.arms:
        by_run, worst = comparison.by_run[arm.name], comparison.worst_of_runs[arm.name]
        numbers = zip(*(by_run[name] for name in ("mean", "worst", "micro")))
        for run, which, (mean, highest, micro) in zip(arm.runs, worst, numbers):
            seed = str(run.option("common", "seed", ""))
            update = number_cell(run.decoded_from.update)
            rows.append([Cell(run.name), Cell(arm.name), Cell(seed), update, rate_cell(mean),
                         rate_cell(highest), Cell(which), rate_cell(micro)])  # fmt: skip
    return Table(columns, rows, caption="Each run by itself, CER in per cent")


def cautions(comparison: Comparison) -> list[Alarm]:
    """What speaks against any comparison: unequal training first, then unequal decoding, a
    validation split, an objective that changed, silence, equal outputs, guesses.
    """
    said = [unequal_training({arm.name: arm.runs for arm in comparison.arms})]
    said += _unequal_decoding(comparison.arms)
    for index, arm in enumerate(comparison.arms):
        said += [
            Alarm(
                "validation split",
                f"{arm.name} was decoded on {split}, the split by which its checkpoints were "
                "chosen: its rates are lower here than on speech that nothing was chosen by.",
            )
            for split in sorted({
                run.decoded_from.split for run in arm.runs
                if run.decoded_from.split in run.option("dataset", "valid_subset", "").split(",")
            })
        ]
        for run in arm.runs:
            alarm = objective_changed(run.objectives)
            if alarm is not None:
                told = f"{alarm.sentence[0].lower()}{alarm.sentence[1:]}"
                said.append(Alarm(alarm.kind, f"{run.folder} ({arm.name}): {told}"))
        empty = comparison.test.empty[index]
        if empty > _MUCH_SILENCE:
            text = (
                f"{100 * empty:.0f} % of the hypotheses of {arm.name} are empty: its CER is mostly "
                "that of silence, and a difference from it says little."
            )
            said.append(Alarm("empty hypotheses", text))
        elif index and comparison.test.agreeing[index] == 1:
            text = (
                f"{arm.name} has the hypothesis of {comparison.baseline} for every utterance: they "
                "may be one and the same checkpoint."
            )
            said.append(Alarm("equal outputs", text))
        blind = comparison.no_better_than_a_guess(arm.name)
        if blind:
            text = (
                f"In {len(blind)} of {len(comparison.codes)} {comparison.by.noun}s {arm.name} is "
                f"no better than a constant guess that never hears the audio: {listed(blind, 12)}."
            )
            said.append(Alarm("no better than a guess", text))
    return [alarm for alarm in said if alarm is not None]


def _unequal_decoding(arms: Sequence[Arm]) -> list[Alarm]:
    """Where runs were decoded by another search; what does not say is left out."""
    said = []
    for option, typed in (
        ("decoder", "decoding.type"), ("beam", "decoding.beam"),
        ("stop_at_loops", "task.stop_at_loops"),
    ):  # fmt: skip
        values = {
            arm.name: sorted({str(run.decoded_from.search[option]).lower() for run in arm.runs
                              if option in run.decoded_from.search})
            for arm in arms
        }  # fmt: skip
        if len({value for found in values.values() for value in found}) > 1:
            told = ", ".join(f"{name} {' and '.join(v)}" for name, v in values.items() if v)
            text = (
                f"The runs were decoded with different {typed}: {told}. The differences below are "
                "also those of the search: decode them alike."
            )
            said.append(Alarm("unequal decoding", text))
    return said


def _updates(arm: Arm) -> str:
    made, decoded = ([run.updates for run in arm.runs],
                     [run.decoded_from.update for run in arm.runs])  # fmt: skip
    told = _range(made)
    if None not in decoded and decoded != made:
        told += f" (decoded: {_range(decoded)})"
    return told if len(arm.runs) == 1 else f"{told} ({len(arm.runs)} runs)"


def _range(updates: Sequence[int]) -> str:
    return " to ".join(map(str, sorted({min(updates), max(updates)})))
