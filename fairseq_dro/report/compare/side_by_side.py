"""All arms in one table, a row per language, and what is to be known before it is believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fairseq_dro.report.alarms import objective_changed
from fairseq_dro.report.blocks import per_cent
from fairseq_dro.report.compare.comparison import Comparison
from fairseq_dro.report.text_table import layout
from fairseq_dro.report.training_amount import unequal_training
from fairseq_dro.runs.training_run import TrainingRun

_MUCH_SILENCE = 0.2


def side_by_side(comparison: Comparison) -> str:
    """One table: a row per group, then mean and worst; rates in per cent, q as a fraction."""
    arms, weights = comparison.arms, [comparison.final_q(arm) for arm in comparison.arms]
    header = [str(comparison.by)]
    if comparison.train_seconds:
        header.append("train s")
    header += [f"CER {arm.name}" for arm in arms] + [f"WER {arm.name}" for arm in arms]
    header += [f"q {arm.name}" for arm, q in zip(arms, weights) if q]
    if comparison.constant_cer:
        header.append("CER constant guess")
    rows = [_language_row(comparison, code, weights) for code in comparison.codes]
    rows += _summary_rows(comparison, weights)
    return layout([header, *rows])


def runs_table(comparison: Comparison) -> str:
    """A row per run, where an arm has several: its seed, its update and its own numbers."""
    if all(len(arm.runs) == 1 for arm in comparison.arms):
        return ""
    header = ["run", "arm", "seed", "decoded update", "mean", "worst", "which", "all together"]
    rows = []
    for arm in comparison.arms:
        by_run, worst = comparison.by_run[arm.name], comparison.worst_of_runs[arm.name]
        for place, run in enumerate(arm.runs):
            update = run.decoded_from.update
            numbers = [per_cent(by_run[name][place]) for name in ("mean", "worst", "micro")]
            rows.append(
                [
                    run.name, arm.name, str(run.option("common", "seed", "")),
                    "" if update is None else f"{update:,}", *numbers[:2], worst[place], numbers[2],
                ]
            )  # fmt: skip
    return layout([header, *rows])


def cautions(comparison: Comparison) -> list[str]:
    """What speaks against any comparison: unequal training first, then a validation split, an
    objective that changed, silence, equal outputs, guesses.
    """
    said = [
        alarm.sentence
        for alarm in unequal_training({arm.name: arm.runs for arm in comparison.arms})
    ]
    said += [
        f"{arm.name} was decoded on {split}, the split by which its checkpoints were chosen: its "
        "rates are lower here than on speech that nothing was chosen by."
        for arm in comparison.arms
        for split in sorted(set(map(_own_validation, arm.runs)) - {""})
    ]
    said += [
        f"{run.folder} ({arm.name}): {alarm.sentence[0].lower()}{alarm.sentence[1:]}"
        for arm in comparison.arms
        for run in arm.runs
        for alarm in objective_changed(run.objectives)
    ]
    for index, arm in enumerate(comparison.arms):
        empty = comparison.test.empty[index]
        if empty > _MUCH_SILENCE:
            said.append(
                f"{100 * empty:.0f} % of the hypotheses of {arm.name} are empty: its CER is mostly "
                "that of silence, and a difference from it says little."
            )
        elif index and comparison.test.agreeing[index] == 1:
            said.append(
                f"{arm.name} has the hypothesis of {comparison.arms[0].name} for every utterance: "
                "they may be one and the same checkpoint."
            )
        if comparison.constant_cer:
            cer, guess = comparison.cer[arm.name], comparison.constant_cer
            poor = [code for code in comparison.codes if cer[code] >= guess.get(code, math.inf)]
            if poor:
                said.append(
                    f"In {len(poor)} of {len(comparison.codes)} {comparison.by.noun}s {arm.name} "
                    "is no better than a constant guess that never hears the audio: "
                    f"{', '.join(poor[:12])}{' ...' if len(poor) > 12 else ''}."
                )
    return said


def _own_validation(run: TrainingRun) -> str:
    """The decoded split if the run was validated on it, else empty."""
    split = run.decoded_from.split or ""
    subsets = str(run.option("dataset", "valid_subset", "")).split(",")
    return split if split in subsets else ""


def _language_row(
    comparison: Comparison, code: str, weights: Sequence[Mapping[str, float]]
) -> list[str]:
    row = [comparison.by.label_of(code) + (" (apart)" if code in comparison.apart else "")]
    if comparison.train_seconds:
        row.append(f"{comparison.train_seconds.get(code, 0.0):.0f}")
    row += [per_cent(comparison.cer[arm.name][code]) for arm in comparison.arms]
    row += [per_cent(comparison.wer[arm.name][code]) for arm in comparison.arms]
    row += [f"{q[code]:.3f}" if code in q else "" for q in weights if q]
    if comparison.constant_cer:
        row.append(per_cent(comparison.constant_cer.get(code, math.nan)))
    return row


def _summary_rows(
    comparison: Comparison, weights: Sequence[Mapping[str, float]]
) -> list[list[str]]:
    """Mean and worst; of several runs, the mean over runs of the worst of each."""
    names = [arm.name for arm in comparison.arms]
    rates_of = (comparison.cer, comparison.wer)
    mean = [comparison.mean(rates[name]) for rates in rates_of for name in names]
    worst = [comparison.measures[name]["worst"] for name in names]
    worst += [comparison.worst_wer[name] for name in names]
    rows = []
    for label, rates in (("mean", mean), ("worst", worst)):
        row = [f"**{label}**"] + ([""] if comparison.train_seconds else [])
        row += [per_cent(rate) for rate in rates] + ["" for q in weights if q]
        if comparison.constant_cer:
            guesses = [
                comparison.constant_cer.get(code, math.nan)
                for code in comparison.counted.languages
            ]
            known = [rate for rate in guesses if not math.isnan(rate)] or [math.nan]
            row.append(per_cent(max(known) if label == "worst" else sum(known) / len(known)))
        rows.append(row)
    return rows
