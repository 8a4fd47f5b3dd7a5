"""What a reader must know to use the numbers of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairseq_dro.report.compare.arm_difference import ArmDifference
from fairseq_dro.report.compare.comparison import Comparison
from fairseq_dro.report.compare.difference_tables import NAMES, redundant
from fairseq_dro.scoring.bootstrap import FEWEST_SPEAKERS

_BOOTSTRAP = (
    "Paired block bootstrap: blocks of test utterances are drawn anew as wholes, the same for both "
    "arms"
)


def notes(comparison: Comparison, one: ArmDifference) -> list[str]:
    """What a reader must know to use the numbers, one sentence or two each."""
    test, noun = comparison.test, comparison.by.noun
    index = [arm.name for arm in comparison.arms].index(one.name)
    n_runs = [len(comparison.arms[0].runs), len(comparison.arms[index].runs)]
    n_utterances = sum(test.n_utterances.values())
    said = [
        _seeds_note(n_runs, one, noun),
        f"{100 * test.agreeing[index]:.0f} % of {n_utterances} utterances have the same hypothesis "
        "in both arms" + (" (first runs)." if max(n_runs) > 1 else "."),
    ]
    if test.by_speaker:
        said.append(
            f"{_BOOTSTRAP}; blocks are the speakers"
            + (
                "."
                if len(test.by_speaker) == len(one.codes)
                else f" in {len(test.by_speaker)} of {len(one.codes)} {noun}s, and single "
                "utterances in the others."
            )
        )
    else:
        said.append(
            f"{_BOOTSTRAP}; each utterance is a block, as "
            + (
                f"no {noun} has {FEWEST_SPEAKERS} speakers."
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
    said += [
        f"Intervals of single {noun}s are not widened for their number; p and verdicts are "
        "corrected for it. *Same* means that no difference is shown, not that there is none.",
        f"p of the numbers over {noun}s are corrected neither for how many numbers nor for how "
        "many arms there are: the one that decides is to be chosen before it is seen.",
    ]
    n_counted = len(comparison.counted.languages)
    if comparison.apart:
        told = ", ".join(f"{group} ({why})" for group, why in sorted(comparison.apart.items()))
        said.append(
            f"Apart: {told}. They have their rows and verdicts, and count in no number over "
            f"{noun}s; these are over the other {n_counted}."
        )
    if n_counted > 1:
        said.append(
            "The highest of several noisy rates is too high by chance, so the intervals of worst, "
            "best, gap and the like reach from the plain difference to the one corrected for "
            "chance."
        )
    names = {name: text.format(noun=noun) for name, text in NAMES.items()}
    doubtful = [names[name] for name in one.doubtful if name not in redundant(n_counted)]
    if doubtful:
        said.append(
            f"Doubtful here: {', '.join(doubtful)}. {noun.capitalize()}s that are nearly equal in "
            "one arm and not in the other look further apart than they are, so the interval of "
            "such a number holds the truth in less than 95 % of cases."
        )
    left_out = [names[name] for name in redundant(n_counted)]
    if left_out:
        said.append(
            f"With {n_counted} {noun}s {' and '.join(left_out)} "
            f"{'say' if len(left_out) > 1 else 'says'} nothing that mean and worst do not."
        )
    return said


def _seeds_note(n_runs: Sequence[int], one: ArmDifference, noun: str) -> str:
    if max(n_runs) == 1:
        return (
            "One run of each: the intervals cover which utterances the test split happens to hold, "
            "and not training noise. Another seed of the same recipe can differ by more, so this "
            "compares two models, not two methods; train several seeds (`NAME=RUN,RUN,RUN`)."
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
        f" A few runs say little of how runs vary, and a seed can be good for all {noun}s at "
        f"once, so nothing is borrowed between {noun}s: single {noun}s rarely reach a verdict, "
        f"and the numbers over {noun}s are what a few seeds can show."
    )


def _share(value: float) -> str:
    return "an unknown part" if math.isnan(value) else f"{100 * value:.0f} %"
