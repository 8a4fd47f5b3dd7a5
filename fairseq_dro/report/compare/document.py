"""A comparison as sections: what must be known first, all arms, then each against the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from fairseq_dro.report.alarms import Alarm, objective_changed
from fairseq_dro.report.arms import Arm
from fairseq_dro.report.blocks import (
    Beside,
    Block,
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
from fairseq_dro.report.compare.difference_blocks import (
    difference_table,
    groups_table,
    label,
    notes_block,
    summary,
    verdict_sentence,
)
from fairseq_dro.report.comparison import Comparison
from fairseq_dro.report.training_amount import unequal_training
from fairseq_dro.runs.training_run import TrainingRun

_MUCH_SILENCE = 0.2
GUESS_NOTE = (
    "Constant guess: the CER of always answering one fixed sentence of the training text, which "
    "never hears the audio; above 100 % where that is longer than what is said."
)
Pictures = Callable[[str], Figure | None]  # by name: pareto, comparison, or an arm


def subtitle(comparison: Comparison) -> str:
    """What was decoded, after how many updates."""
    runs = [run for arm in comparison.arms for run in arm.runs]
    splits = sorted({run.decoded_from.split or "" for run in runs} - {""})
    decoded = f"Split {' and '.join(splits)}" if splits else f"Records of {runs[0].results}"
    updates = ", ".join(f"{arm.name} {_updates(arm)}" for arm in comparison.arms)
    return f"{decoded}; rates in per cent; q at the last validation. Updates: {updates}."


def sections(comparison: Comparison, pictures: Pictures = lambda name: None) -> list[Section]:
    """The whole comparison.

    Args:
        pictures: the picture of a name, where one is to be shown.
    """
    first = Section("alarms", "Before you read on")
    for one in comparison.differences:
        first.blocks.append(Paragraph(verdict_sentence(comparison, one)))
    found = cautions(comparison)
    if found:
        first.blocks.append(Notices(found))
    table = beside(side_by_side(comparison), pictures("pareto"))
    together = Section("arms", "Side by side", [table])
    if comparison.constant_cer:
        together.blocks.append(Paragraph(GUESS_NOTE, small=True))
    if any(len(arm.runs) > 1 for arm in comparison.arms):
        together.blocks.append(runs_table(comparison))
    parts = [first, together]
    for number, one in enumerate(comparison.differences):
        section = Section(f"difference{number}", f"{one.name} against {comparison.baseline}")
        section.blocks += [
            Paragraph(summary(comparison, one)),
            beside(difference_table(comparison, one), pictures(one.name)),
            groups_table(comparison, one), notes_block(comparison, one),
        ]  # fmt: skip
        parts.append(section)
    curves = pictures("comparison")
    return [*parts, *([Section("curves", "Learning curves", [curves])] if curves else [])]


def beside(table: Table, picture: Figure | None) -> Block:
    """A table with its picture, where there is one."""
    return table if picture is None else Beside([("", table), ("", picture)])


def side_by_side(comparison: Comparison) -> Table:
    """A row per group, then mean and worst over the groups that count; q is a fraction."""
    arms = comparison.arms
    weights = [(arm, q) for arm in arms if (q := comparison.final_q(arm))]
    seconds = comparison.facts.seconds if comparison.facts is not None else {}
    guess = comparison.constant_cer
    columns = [Column(str(comparison.by), numeric=False)]
    columns += [Column("train s", "seconds of training speech")] if seconds else []
    columns += [Column(f"CER {arm.name}") for arm in arms]
    columns += [Column(f"WER {arm.name}") for arm in arms]
    columns += [Column(f"q {arm.name}", "weight at the last validation") for arm, _ in weights]
    columns += [Column("CER constant guess")] if guess else []

    def row(name: str, cer: Sequence[float], wer: Sequence[float], code: str = "") -> list[Cell]:
        cells = [Cell(name)]
        if seconds:
            cells.append(number_cell(seconds.get(code, 0.0), ",.0f") if code else Cell(""))
        cells += [rate_cell(rate) for rate in (*cer, *wer)]
        cells += [number_cell(q[code], ".3f") if code in q else Cell("") for _, q in weights]
        return cells

    rows = []
    both = (comparison.cer, comparison.wer)
    for code in comparison.codes:
        by_arm = ([rates[arm.name][code] for arm in arms] for rates in both)
        rows.append(row(label(comparison, code), *by_arm, code))
        rows[-1] += [rate_cell(guess.get(code, math.nan))] if guess else []
    means = ([comparison.mean(rates[arm.name]) for arm in arms] for rates in both)
    worst = ([comparison.measures[arm.name]["worst"] for arm in arms],
             [comparison.worst_wer[arm.name] for arm in arms])  # fmt: skip
    foot = [row("mean", *means), row("worst", *worst)]
    if guess:
        known = [guess[code] for code in comparison.counted.languages if code in guess]
        foot[0].append(rate_cell(comparison.mean(guess)))
        foot[1].append(rate_cell(max(known, default=math.nan)))
    return Table(columns, rows, foot, sortable=True)


def runs_table(comparison: Comparison) -> Table:
    """A row per run: its seed, its update and its own numbers."""
    columns = [Column("run", numeric=False), Column("arm", numeric=False), Column("seed")]
    columns += [Column("decoded update"), Column("mean"), Column("worst")]
    columns += [Column("which", numeric=False), Column("all together")]
    rows = []
    for arm in comparison.arms:
        by_run, worst = comparison.by_run[arm.name], comparison.worst_of_runs[arm.name]
        for place, run in enumerate(arm.runs):
            mean, highest, micro = (
                rate_cell(float(by_run[name][place])) for name in ("mean", "worst", "micro")
            )
            rows.append(
                [
                    Cell(run.name), Cell(arm.name), Cell(str(run.option("common", "seed", ""))),
                    number_cell(run.decoded_from.update), mean, highest, Cell(worst[place]), micro,
                ]
            )  # fmt: skip
    return Table(columns, rows, caption="Each run by itself, CER in per cent")


def cautions(comparison: Comparison) -> list[Alarm]:
    """What speaks against any comparison: unequal training first, then unequal decoding, a
    validation split, an objective that changed, silence, equal outputs, guesses.
    """
    said = unequal_training({arm.name: arm.runs for arm in comparison.arms})
    said += _unequal_decoding(comparison.arms)
    for arm in comparison.arms:
        said += [
            Alarm(
                "validation split",
                f"{arm.name} was decoded on {split}, the split by which its checkpoints were "
                "chosen: its rates are lower here than on speech that nothing was chosen by.",
            )
            for split in sorted(set(map(_own_validation, arm.runs)) - {""})
        ]
        for run in arm.runs:
            for alarm in objective_changed(run.objectives):
                told = f"{alarm.sentence[0].lower()}{alarm.sentence[1:]}"
                said.append(Alarm(alarm.kind, f"{run.folder} ({arm.name}): {told}"))
    for index, arm in enumerate(comparison.arms):
        empty = comparison.test.empty[index]
        if empty > _MUCH_SILENCE:
            said.append(
                Alarm(
                    "empty hypotheses",
                    f"{100 * empty:.0f} % of the hypotheses of {arm.name} are empty: its CER is "
                    "mostly that of silence, and a difference from it says little.",
                )
            )
        elif index and comparison.test.agreeing[index] == 1:
            said.append(
                Alarm(
                    "equal outputs",
                    f"{arm.name} has the hypothesis of {comparison.baseline} for every utterance: "
                    "they may be one and the same checkpoint.",
                )
            )
        blind = comparison.no_better_than_a_guess(arm.name)
        if blind:
            said.append(
                Alarm(
                    "no better than a guess",
                    f"In {len(blind)} of {len(comparison.codes)} {comparison.by.noun}s {arm.name} "
                    "is no better than a constant guess that never hears the audio: "
                    f"{', '.join(blind[:12])}{' ...' if len(blind) > 12 else ''}.",
                )
            )
    return said


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
            said.append(
                Alarm(
                    "unequal decoding",
                    f"The runs were decoded with different {typed}: {told}. The differences below "
                    "are also those of the search: decode them alike.",
                )
            )
    return said


def _own_validation(run: TrainingRun) -> str:
    """The decoded split if the run was validated on it, else empty."""
    split = run.decoded_from.split or ""
    subsets = str(run.option("dataset", "valid_subset", "")).split(",")
    return split if split in subsets else ""


def _updates(arm: Arm) -> str:
    told = _range([run.updates for run in arm.runs])
    decoded = [run.decoded_from.update for run in arm.runs]
    if None not in decoded and decoded != [run.updates for run in arm.runs]:
        told += f" (decoded: {_range(decoded)})"
    return told if len(arm.runs) == 1 else f"{told} ({len(arm.runs)} runs)"


def _range(updates: Sequence[int]) -> str:
    lowest, highest = min(updates), max(updates)
    return f"{lowest}" if lowest == highest else f"{lowest} to {highest}"
