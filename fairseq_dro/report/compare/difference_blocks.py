"""One arm against the baseline: the verdict, numbers over groups, each group, how to read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.report.blocks import (
    Beside,
    Block,
    Cell,
    Column,
    Figure,
    Folded,
    Paragraph,
    Table,
    per_cent,
)
from fairseq_dro.report.comparison import ArmDifference, Comparison, Verdict
from fairseq_dro.report.figures.intervals import draw_differences
from fairseq_dro.report.figures.style import shortened
from fairseq_dro.report.measures import MEASURES, shown_measures
from fairseq_dro.report.score_tables import drawn_over
from fairseq_dro.scoring.bootstrap import FEWEST_SPEAKERS
from fairseq_dro.scoring.levelling import GapVerdict
from fairseq_dro.scoring.paired import Difference
from fairseq_dro.wording import counted, listed

_GAP_SENTENCES = {
    GapVerdict.FROM_BELOW: "The gap closed from below: the worst-served {noun} got better",
    GapVerdict.FROM_ABOVE: (
        "The gap closed from above: the best-served {noun} got worse, and that the worst-served "
        "got better is not shown. This is levelling down"
    ),
    GapVerdict.FROM_BOTH: (
        "The gap closed from both ends: the worst-served {noun} got better, and the best-served "
        "one got worse"
    ),
    GapVerdict.CLOSED: "The gap closed; of neither end alone is a move shown",
    GapVerdict.WIDENED: "The gap widened",
    GapVerdict.NOT_SHOWN: "No change of the gap between the worst and the best {noun} is shown",
}
_DOUBT = "; doubtful, see below"


def signed(rate: float) -> str:
    """``+1.2`` points for 0.012; empty where it is not known."""
    if math.isnan(rate):
        return ""
    text = f"{100 * rate:+.1f}"
    return text[1:] if float(text) == 0 else text  # no sign before a zero


def p_text(value: float) -> str:
    """Three digits; empty where it is not known."""
    return "" if math.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def difference_blocks(
    comparison: Comparison, one: ArmDifference, *, draw: bool = True, stem: Path | None = None,
    by_group: bool = False,
) -> list[Block]:  # fmt: skip
    """All of one difference: in sentences, over groups, drawn, and how to read it.

    Args:
        stem: of the picture's files, see ``style.svg_of``.
        by_group: with the table of all groups.
    """
    table = difference_table(comparison, one)
    blocks: list[Block] = [Paragraph(summary(comparison, one))]
    if draw:
        labels = {code: shortened(comparison.by.label_of(code)) for code in one.codes}
        pictures = draw_differences(one, comparison.baseline, labels, stem)
        caption = (
            "Left of 0: fewer errors. Bars are 95 % intervals; verdicts are corrected for the "
            f"number of {comparison.by.noun}s, intervals are not."
        )
        names = ["", *(f"_{number}" for number in range(2, len(pictures) + 1))]
        files = [f"{stem.name}{name}.png" for name in names] if stem else []
        width = 375 if len(pictures) > 1 else 440
        figure = Figure(pictures, caption, caption, width, files)
        blocks += [table, figure] if width == 375 else [Beside([table, figure])]
    else:
        blocks.append(table)
    if by_group:
        blocks.append(groups_table(comparison, one))
    notes_ = [Paragraph(note, small=True) for note in notes(comparison, one)]
    return [*blocks, Folded("How to read these numbers", notes_)]


def verdict_sentence(comparison: Comparison, one: ArmDifference) -> str:
    """Whether an arm helped, in one sentence: how many groups moved, the worst, the guess."""
    noun, n = comparison.by.noun, len(one.codes)
    better, worse = (one.count()[verdict] for verdict in (Verdict.BETTER, Verdict.WORSE))
    worst = one.measures["worst"]
    fell, rose = n > 1 and worst.high < 0, n > 1 and worst.low > 0
    helped, harmed = better > 0 or fell, worse > 0 or rose
    if helped and harmed:
        says = f"helped {f'some {noun}s' if better else f'the worst {noun}'} and harmed others"
    elif helped:
        says = "helped" if fell else f"helped some {noun}s"
    elif harmed:
        says = "did not help"
    else:
        says = "made no difference that is shown"
    moved = f"{better or 'none'} of {counted(n, noun)} better, {worse or 'none'} worse"
    if worse and not better:
        moved = f"{worse} of {counted(n, noun)} worse, none better"
    text = f"{one.name} {says} (against {comparison.baseline}): {moved}"
    if fell or rose:
        points = signed(abs(worst.estimate)).lstrip("+")
        doubt = " (doubtful)" if "worst" in one.doubtful else ""
        text += f"; the worst {noun}'s CER {'fell' if fell else 'rose'} by {points} points{doubt}"
    elif n > 1 and (better or worse):
        text += f"; that the worst {noun}'s CER moved is not shown"
    blind = set(comparison.no_better_than_a_guess(comparison.baseline))
    blind &= set(comparison.no_better_than_a_guess(one.name))
    if blind:
        where = "" if len(blind) == n else f"in {len(blind)} of {n} "
        text += f"; {where}both are no better than a fixed guess"
    return f"{text}."


def summary(comparison: Comparison, one: ArmDifference) -> str:
    """What happened to the groups, the worst, the mean and the gap, good or bad, in sentences."""
    counts, noun = one.count(), comparison.by.noun
    none = counts[Verdict.NONE]
    names = (comparison.baseline, one.name)
    mean = [("", comparison.measures[name]["mean"]) for name in names]
    worst = [
        (", ".join(comparison.worst_groups(name)), comparison.measures[name]["worst"])
        for name in names
    ]
    sentences = [
        f"Of {counted(len(one.codes), noun)}, {counts[Verdict.BETTER]} got better, "
        f"{counts[Verdict.WORSE]} got worse, {counts[Verdict.SAME]} showed no difference "
        f"(5 % level, corrected by Holm's method for the number of {noun}s)"
        + (f"; {none} had too few utterances for a verdict." if none else "."),
        f"From {names[0]} to {names[1]} the worst {noun}'s CER {_moved(*worst)}"
        f"{_shown(one, 'worst')}, and the mean over {noun}s {_moved(*mean)}{_shown(one, 'mean')}.",
    ]
    if len(one.codes) > 1:
        change, gap = one.gap, one.measures["gap"]
        says = _GAP_SENTENCES[change.verdict].format(noun=noun)
        moves = one.measures["worst"].high < 0 or one.measures["best"].low > 0
        if change.verdict is GapVerdict.CLOSED and moves:
            says = "The gap closed; a move is shown only of the end that moved less"
        doubt = _DOUBT if {"gap", "worst", "best"} & set(one.doubtful) else ""
        sentences.append(
            f"{says} (gap {signed(gap.estimate)} points; worst {signed(-change.from_below)}, "
            f"best {signed(change.from_above)}{doubt})."
        )
    harmed = [code for code in comparison.codes if one.verdicts[code] is Verdict.WORSE]
    if harmed:
        number = {code: index for index, code in enumerate(one.codes)}
        said = [f"{code} {signed(one.by_group.estimate[number[code]])}" for code in harmed]
        sentences.append(f"Worse: {listed(said, 12)}.")
    return " ".join(sentences)


def _moved(before: tuple[str, float], after: tuple[str, float]) -> str:
    """``fell from 14.1 % (kat) to 9.1 % (kat)``; names are left out where they are empty."""
    told = [
        f"{per_cent(rate)} %" + (f" ({name})" if name else "") for name, rate in (before, after)
    ]
    if told[0] == told[1]:
        return f"stayed at {told[0]}"
    verb = "fell" if after[1] < before[1] else "rose" if after[1] > before[1] else "went"
    return f"{verb} from {told[0]} to {told[1]}"


def _shown(one: ArmDifference, name: str) -> str:
    value = one.measures[name]
    if value.estimate == value.low == value.high == 0:
        return ""
    if math.isnan(value.low):
        return " (not shown: too few utterances for an interval)"
    not_shown = "not shown: " if value.low <= 0 <= value.high else ""
    return f" ({not_shown}{interval_text(value)} points{_DOUBT if name in one.doubtful else ''})"


def interval_text(value: Difference) -> str:
    """``-1.2 to +0.3``, in points; empty where it is not known."""
    return "" if math.isnan(value.low) else f"{signed(value.low)} to {signed(value.high)}"


def difference_table(comparison: Comparison, one: ArmDifference) -> Table:
    """Every number over groups: of both arms, the difference, its interval and p."""
    columns = [Column("per cent", numeric=False), Column(comparison.baseline), Column(one.name)]
    columns += [Column("difference"), Column("95 % interval"), Column("p")]
    rows = []
    for name in shown_measures(len(one.codes)):
        value = one.measures[name]
        numbers = [comparison.measures[arm][name] for arm in (comparison.baseline, one.name)]
        title, help = MEASURES[name]
        rows.append(
            [
                Cell(title, note=help.format(noun=comparison.by.noun)),
                *(Cell(per_cent(number)) for number in numbers),
                Cell(signed(value.estimate)), Cell(interval_text(value)), Cell(p_text(value.p)),
            ]
        )  # fmt: skip
    return Table(columns, rows)


def groups_table(comparison: Comparison, one: ArmDifference) -> Table:
    """A row per group, by falling CER of the baseline."""
    baseline, blocks = comparison.baseline, comparison.test.characters
    columns = [Column(str(comparison.by), numeric=False), Column("utterances")]
    columns += [Column(f"CER {baseline}"), Column(f"CER {one.name}"), Column("difference")]
    columns += [Column("95 % interval"), Column("p, Holm"), Column("verdict", numeric=False)]
    number = {code: index for index, code in enumerate(one.codes)}
    rows = []
    for code in comparison.codes:
        index = number[code]
        value, verdict = one.by_group.at(index), one.verdicts[code]
        n = comparison.test.n_utterances[code]
        utterances = f"{n}"
        if code in comparison.test.by_speaker:
            utterances += f" ({blocks.n_blocks[index]} speakers)"
        rates = [comparison.cer[arm][code] for arm in (baseline, one.name)]
        rows.append(
            [
                Cell(comparison.by.label_of(code)), Cell(utterances, n),
                *(Cell(per_cent(rate), rate) for rate in rates),
                Cell(signed(value.estimate), float(value.estimate)),
                Cell(interval_text(value), float(value.low)),
                Cell(p_text(one.holm_p[index]), float(one.holm_p[index])), Cell(verdict.value),
            ]
        )  # fmt: skip
    return Table(columns, rows, sortable=True)


def notes(comparison: Comparison, one: ArmDifference) -> list[str]:
    """What a reader must know to use the numbers, one sentence or two each."""
    test, noun = comparison.test, comparison.by.noun
    index = [arm.name for arm in comparison.arms].index(one.name)
    n_runs = [len(comparison.arms[0].runs), len(comparison.arms[index].runs)]
    said = [
        _seeds_note(n_runs, one, noun),
        f"{100 * test.agreeing[index]:.0f} % of {sum(test.n_utterances.values())} utterances have "
        "the same hypothesis in both arms" + (" (first runs)." if max(n_runs) > 1 else "."),
    ]
    drawn = drawn_over(len(test.by_speaker), len(one.codes), noun)
    said.append(
        f"Differences are paired and, in whole blocks that are the same for both arms, {drawn}."
    )
    if not test.by_speaker and not test.few_speakers:
        said[-1] += " Utterances of one speaker are alike, so intervals may be too narrow."
    if test.few_speakers:
        said.append(
            f"Of fewer than {FEWEST_SPEAKERS} speakers each, so that the interval holds for these "
            f"voices only: {', '.join(sorted(test.few_speakers))}."
        )
    single = [code for code in comparison.codes if one.verdicts[code] is Verdict.NONE]
    if single:
        said.append(
            f"Of one utterance each, and in the numbers over {noun}s taken to vary as the others "
            f"do: {listed(single, 12)}."
        )
    said += [
        f"Intervals of single {noun}s are not widened for their number; p and verdicts are "
        "corrected for it. Same means that no difference is shown, not that there is none.",
        f"p of the numbers over {noun}s are corrected neither for how many numbers nor for how "
        "many arms there are: choose the one that decides before you see it.",
    ]
    if len(one.codes) > 1:
        said.append(
            "The highest of several noisy rates is too high by chance, so the intervals of worst, "
            "best, gap and the like reach from the plain difference to the one corrected for "
            "chance."
        )
    shown = shown_measures(len(one.codes))
    doubtful = [MEASURES[name].title for name in one.doubtful if name in shown]
    if doubtful:
        said.append(
            f"Doubtful here: {', '.join(doubtful)}. {noun.capitalize()}s that are nearly equal in "
            "one arm and not in the other look further apart than they are, so the interval of "
            "such a number holds the truth in less than 95 % of cases."
        )
    return said


def _seeds_note(n_runs: Sequence[int], one: ArmDifference, noun: str) -> str:
    if max(n_runs) == 1:
        return (
            "One run of each: the intervals cover which utterances the test split happens to hold, "
            "and not training noise. Another seed of the same recipe can differ by more, so this "
            "compares two models, not two methods; train several seeds and type `fairseq-dro "
            "compare NAME=RUN,RUN NAME=RUN,RUN`."
        )
    share, worst = (_share(one.measures[name].training_share) for name in ("mean", "worst"))
    text = (
        f"{n_runs[0]} and {n_runs[1]} runs: intervals cover test utterances and seeds. Seeds make "
        f"{share} of the variance of the mean's difference and {worst} of the worst's."
    )
    if min(n_runs) == 1:
        text += " The arm of one run is taken to vary as much as the other."
    return text + (
        f" A few runs say little of how runs vary, and a seed can be good for all {noun}s at "
        f"once, so nothing is borrowed between {noun}s: single {noun}s rarely reach a verdict, "
        f"and the numbers over {noun}s are what a few seeds can show."
    )


def _share(value: float) -> str:
    return "an unknown part" if math.isnan(value) else f"{100 * value:.0f} %"
