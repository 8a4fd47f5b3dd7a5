"""A comparison as Markdown: the side-by-side table, then each arm against the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fairseq_dro import languages
from fairseq_dro.report.comparison import ArmDifference, Comparison, Verdict
from fairseq_dro.scoring import disparity
from fairseq_dro.scoring.bootstrap import FEWEST_SPEAKERS
from fairseq_dro.scoring.levelling import GapVerdict

_NAMES = {
    "mean": "mean over languages",
    "worst": "worst",
    "worst_15": "mean of the worst 15",
    "cvar_10": "CVaR, worst 10 %",
    "p90": "90th percentile",
    "best": "best",
    "gap": "gap, worst - best",
    "sd": "standard deviation",
    "gini": "Gini coefficient",
    "micro": "all utterances together",
}
_GAP_SENTENCES = {
    GapVerdict.FROM_BELOW: "The gap closed from below: the worst-served language got better.",
    GapVerdict.FROM_ABOVE: (
        "The gap closed from above: the best-served language got worse, and that the worst-served "
        "got better is not shown. This is levelling down."
    ),
    GapVerdict.FROM_BOTH: (
        "The gap closed from both ends: the worst-served language got better, and the best-served "
        "one got worse."
    ),
    GapVerdict.CLOSED: "The gap closed; of neither end alone is a move shown.",
    GapVerdict.WIDENED: "The gap widened.",
    GapVerdict.NOT_SHOWN: "No change of the gap between the worst and the best language is shown.",
}


def side_by_side(comparison: Comparison) -> str:
    """One table: a row per group, then mean and worst; rates in per cent, q as a fraction."""
    arms, weights = comparison.arms, [comparison.final_q(arm) for arm in comparison.arms]
    header = ["language"]
    if comparison.train_seconds:
        header.append("train s")
    header += [f"CER {arm.name}" for arm in arms] + [f"WER {arm.name}" for arm in arms]
    header += [f"q {arm.name}" for arm, q in zip(arms, weights) if q]
    if comparison.constant_cer:
        header.append("CER constant guess")
    rows = [_language_row(comparison, code, weights) for code in comparison.codes]
    rows += _summary_rows(comparison, weights)
    return layout([header, *rows])


def cautions(comparison: Comparison) -> list[str]:
    """Sentences on arms that learnt too little for any comparison; none where all did."""
    said = []
    for index, arm in enumerate(comparison.arms):
        empty = comparison.test.empty[index]
        if empty > _MUCH_SILENCE:
            said.append(
                f"{100 * empty:.0f} % of the hypotheses of {arm.name} are empty: its CER is mostly "
                "that of silence, and a difference from it says little."
            )
        if comparison.constant_cer:
            cer, guess = comparison.cer[arm.name], comparison.constant_cer
            poor = [code for code in comparison.codes if cer[code] >= guess.get(code, math.inf)]
            if poor:
                said.append(
                    f"In {len(poor)} of {len(comparison.codes)} languages {arm.name} is no better "
                    "than a constant guess that never hears the audio: "
                    f"{', '.join(poor[:12])}{' ...' if len(poor) > 12 else ''}."
                )
    return said


def difference_section(comparison: Comparison, one: ArmDifference) -> str:
    """Everything that is said of one arm against the baseline, as Markdown."""
    baseline = comparison.arms[0].name
    return "\n".join(
        [
            f"## {one.name} against {baseline}",
            "",
            summary(comparison, one),
            "",
            measures_table(comparison, one),
            groups_table(comparison, one),
            *(f"- {note}" for note in notes(comparison, one)),
            "",
        ]
    )


def summary(comparison: Comparison, one: ArmDifference) -> str:
    """What happened to the groups, the worst, the mean and the gap, good or bad, in sentences."""
    baseline = comparison.arms[0].name
    counts = one.count()
    none = counts[Verdict.NONE]
    sentences = [
        f"Of {len(one.codes)} {_plural('language', len(one.codes))}, {counts[Verdict.BETTER]} got "
        f"better, {counts[Verdict.WORSE]} got worse, {counts[Verdict.SAME]} showed no difference "
        "(5 % level, Holm-corrected)"
        + (f"; {none} had too few utterances for a verdict." if none else ".")
    ]
    names = (baseline, one.name)
    mean = [("", comparison.measures[name]["mean"]) for name in names]
    worst = [
        (", ".join(comparison.worst_groups[name]), comparison.measures[name]["worst"])
        for name in names
    ]
    sentences.append(
        f"From {baseline} to {one.name} the worst language's CER {_moved(*worst)}"
        f"{_shown(one, 'worst')}, and the mean over languages {_moved(*mean)}"
        f"{_shown(one, 'mean')}."
    )
    if len(one.codes) > 1:
        sentences.append(_gap_sentence(one))
    harmed = [code for code in comparison.codes if one.verdicts[code] is Verdict.WORSE]
    if harmed:
        sentences.append(f"Worse: {_listed(one, harmed)}.")
    return " ".join(sentences)


def measures_table(comparison: Comparison, one: ArmDifference) -> str:
    """Every number over languages: of both arms, the difference, its interval and p."""
    baseline = comparison.arms[0].name
    header = ["CER, % (Gini: 0 to 1)", baseline, one.name, "difference", "95 % interval", "p"]
    rows = []
    for name in [key for key in _NAMES if key in one.measures]:
        if name in _redundant(len(one.codes)):
            continue
        value, show = one.measures[name], _fraction if name == "gini" else _per_cent
        signed = _signed_fraction if name == "gini" else _signed
        rows.append(
            [
                _NAMES[name],
                show(comparison.measures[baseline][name]),
                show(comparison.measures[one.name][name]),
                signed(value.estimate),
                f"{signed(value.low)} to {signed(value.high)}",
                _p(value.p),
            ]
        )
    return layout([header, *rows])


def groups_table(comparison: Comparison, one: ArmDifference) -> str:
    """A row per group, by falling CER of the baseline."""
    baseline = comparison.arms[0].name
    header = [
        "language", "utterances", f"CER {baseline}", f"CER {one.name}", "difference",
        "95 % interval", "p, Holm", "verdict",
    ]  # fmt: skip
    blocks = comparison.test.characters
    number = {code: index for index, code in enumerate(one.codes)}
    rows = []
    for code in comparison.codes:
        index = number[code]
        value, verdict = one.by_group.at(index), one.verdicts[code]
        utterances = f"{comparison.test.n_utterances[code]}"
        if code in comparison.test.by_speaker:
            utterances += f" ({blocks.n_blocks[index]} blocks)"
        known = verdict is not Verdict.NONE
        rows.append(
            [
                _label(code), utterances, _per_cent(comparison.cer[baseline][code]),
                _per_cent(comparison.cer[one.name][code]), _signed(value.estimate),
                f"{_signed(value.low)} to {_signed(value.high)}" if known else "",
                _p(one.holm_p[index]),
                f"**{verdict.value}**" if verdict in _MOVED else verdict.value,
            ]
        )  # fmt: skip
    return layout([header, *rows])


def notes(comparison: Comparison, one: ArmDifference) -> list[str]:
    """What a reader must know to use the numbers, one sentence or two each."""
    test = comparison.test
    index = [arm.name for arm in comparison.arms].index(one.name)
    n_runs = [len(comparison.arms[0].runs), len(comparison.arms[index].runs)]
    n_utterances = sum(test.n_utterances.values())
    said = [
        _seeds_note(n_runs, one),
        f"{100 * test.agreeing[index]:.0f} % of {n_utterances} utterances have the same hypothesis "
        "in both arms" + (" (first runs)." if max(n_runs) > 1 else "."),
    ]
    if test.by_speaker:
        said.append(
            f"Paired block bootstrap; blocks are the speakers in {len(test.by_speaker)} of "
            f"{len(one.codes)} languages, and single utterances in the others."
        )
    else:
        said.append(
            "Paired block bootstrap; each utterance is a block, as "
            + (
                f"no language has {FEWEST_SPEAKERS} speakers."
                if test.few_speakers
                else "no speakers are known (the split has no .speaker file): utterances of one "
                "speaker are alike, so intervals may be too narrow."
            )
        )
    if test.few_speakers:
        said.append(
            f"Of fewer than {FEWEST_SPEAKERS} speakers each, so that the interval holds for these "
            f"voices only: {', '.join(sorted(test.few_speakers))}."
        )
    said.append(
        "Intervals of single languages are not widened for their number; p and verdicts are "
        "corrected for it. *Same* means that no difference is shown, not that there is none."
    )
    if len(one.codes) > 1:
        said.append(
            "The highest of several noisy rates is too high by chance, so the intervals of worst, "
            "best, gap and the like reach from the plain difference to the one corrected for "
            "chance."
        )
    doubtful = [
        _NAMES[name]
        for name, value in one.measures.items()
        if name not in _redundant(len(one.codes)) and abs(value.correction) > value.standard_error
    ]
    if doubtful:
        said.append(
            f"Doubtful here: {', '.join(doubtful)}. Languages that are nearly equal in one arm and "
            "not in the other look further apart than they are, so the interval of such a number "
            "holds the truth in less than 95 % of cases."
        )
    left_out = [_NAMES[name] for name in _redundant(len(one.codes))]
    if left_out:
        said.append(
            f"With {len(one.codes)} languages {' and '.join(left_out)} "
            f"{'say' if len(left_out) > 1 else 'says'} nothing that mean and worst do not."
        )
    return said


def layout(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up in a terminal; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            rules = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
            lines.append("| " + " | ".join(rules) + " |")
    return "\n".join(lines) + "\n"


_MUCH_SILENCE = 0.2
_MOVED = (Verdict.BETTER, Verdict.WORSE)


def _redundant(n_languages: int) -> list[str]:
    """Measures that equal another one: worst 15 of at most 15, the tenth part of at most 10."""
    names = ["worst_15"] if n_languages <= disparity.WORST_K else []
    return names + (["cvar_10"] if n_languages * disparity.CVAR_FRACTION <= 1 else [])


def _seeds_note(n_runs: Sequence[int], one: ArmDifference) -> str:
    if max(n_runs) == 1:
        return (
            "One run of each: the intervals cover which utterances the test split happens to hold, "
            "and not training noise. Another seed of the same recipe can differ by more, so this "
            "compares two models, not two methods; train several seeds (`--arm NAME=RUN,RUN,RUN`)."
        )
    share = one.measures["mean"].training_share
    worst_share = one.measures["worst"].training_share
    text = (
        f"{n_runs[0]} and {n_runs[1]} runs: intervals cover test utterances and seeds. Seeds make "
        f"{_share(share)} of the variance of the mean's difference and {_share(worst_share)} of "
        "the worst's."
    )
    if min(n_runs) == 1:
        text += " The arm of one run is taken to vary as much as the other."
    return text + (
        " A few runs say little of how runs vary, and a seed can be good for all languages at "
        "once, so nothing is borrowed between languages: single languages rarely reach a verdict, "
        "and the numbers over languages are what a few seeds can show."
    )


def _share(value: float) -> str:
    return "an unknown part" if math.isnan(value) else f"{100 * value:.0f} %"


def _gap_sentence(one: ArmDifference) -> str:
    change, gap = one.gap, one.measures["gap"]
    parts = (
        f" (gap {_signed(gap.estimate)} points; worst {_signed(-change.from_below)}, best "
        f"{_signed(change.from_above)})."
    )
    return _GAP_SENTENCES[change.verdict].rstrip(".") + parts


def _moved(before: tuple[str, float], after: tuple[str, float]) -> str:
    """``fell from 14.1 % (kat) to 9.1 % (kat)``; names are left out where they are empty."""
    told = [
        f"{_per_cent(rate)} %" + (f" ({name})" if name else "") for name, rate in (before, after)
    ]
    if told[0] == told[1]:
        return f"stayed at {told[0]}"
    verb = "fell" if after[1] < before[1] else "rose" if after[1] > before[1] else "went"
    return f"{verb} from {told[0]} to {told[1]}"


def _shown(one: ArmDifference, name: str) -> str:
    value = one.measures[name]
    interval = f"{_signed(value.low)} to {_signed(value.high)} points"
    if value.low <= 0 <= value.high:
        return f" (not shown: {interval})"
    return f" ({interval})"


def _listed(one: ArmDifference, codes: Sequence[str], most: int = 12) -> str:
    number = {code: index for index, code in enumerate(one.codes)}
    said = [f"{code} {_signed(one.by_group.estimate[number[code]])}" for code in codes[:most]]
    return ", ".join(said) + (f" and {len(codes) - most} more" if len(codes) > most else "")


def _language_row(
    comparison: Comparison, code: str, weights: Sequence[Mapping[str, float]]
) -> list[str]:
    row = [_label(code)]
    if comparison.train_seconds:
        row.append(f"{comparison.train_seconds.get(code, 0.0):.0f}")
    row += [_per_cent(comparison.cer[arm.name][code]) for arm in comparison.arms]
    row += [_per_cent(comparison.wer[arm.name][code]) for arm in comparison.arms]
    row += [f"{q[code]:.3f}" if code in q else "" for q in weights if q]
    if comparison.constant_cer:
        row.append(_per_cent(comparison.constant_cer.get(code, math.nan)))
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
        row += [_per_cent(rate) for rate in rates] + ["" for q in weights if q]
        if comparison.constant_cer:
            guesses = [comparison.constant_cer.get(code, math.nan) for code in comparison.codes]
            known = [rate for rate in guesses if not math.isnan(rate)] or [math.nan]
            row.append(_per_cent(max(known) if label == "worst" else sum(known) / len(known)))
        rows.append(row)
    return rows


def _label(code: str) -> str:
    name = languages.name_of(code)
    return code if name == code else f"{code} {name}"


def _plural(noun: str, n: int) -> str:
    return noun if n == 1 else f"{noun}s"


def _per_cent(rate: float) -> str:
    return "" if math.isnan(rate) else f"{100 * rate:.1f}"


def _signed(rate: float) -> str:
    return _with_sign(100 * rate, 1)


def _fraction(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _signed_fraction(value: float) -> str:
    return _with_sign(value, 3)


def _with_sign(value: float, digits: int) -> str:
    if math.isnan(value):
        return ""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text  # no sign before a nought


def _p(value: float) -> str:
    return "" if math.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"
