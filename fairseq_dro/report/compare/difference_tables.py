"""One arm against the baseline, in two tables: numbers over languages, and each language."""

from __future__ import annotations

from fairseq_dro.report.blocks import per_cent
from fairseq_dro.report.compare.arm_difference import ArmDifference
from fairseq_dro.report.compare.comparison import Comparison
from fairseq_dro.report.compare.number_text import (
    fraction,
    p_value,
    signed,
    signed_fraction,
)
from fairseq_dro.report.text_table import layout
from fairseq_dro.report.verdicts import Verdict
from fairseq_dro.scoring import disparity

NAMES = {
    "mean": "mean over {noun}s",
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
_MOVED = (Verdict.BETTER, Verdict.WORSE)


def measures_table(comparison: Comparison, one: ArmDifference) -> str:
    """Every number over languages: of both arms, the difference, its interval and p."""
    baseline = comparison.arms[0].name
    header = ["CER, % (Gini: from 0, all alike, to 1)", baseline, one.name, "difference"]
    header += ["95 % interval", "p"]
    rows = []
    for name in [key for key in NAMES if key in one.measures]:
        if name in redundant(len(comparison.counted.languages)):
            continue
        value, show = one.measures[name], fraction if name == "gini" else per_cent
        change = signed_fraction if name == "gini" else signed
        rows.append(
            [
                NAMES[name].format(noun=comparison.by.noun),
                show(comparison.measures[baseline][name]),
                show(comparison.measures[one.name][name]),
                change(value.estimate),
                f"{change(value.low)} to {change(value.high)}",
                p_value(value.p),
            ]
        )
    return layout([header, *rows])


def groups_table(comparison: Comparison, one: ArmDifference) -> str:
    """A row per group, by falling CER of the baseline."""
    baseline = comparison.arms[0].name
    header = [
        str(comparison.by), "utterances", f"CER {baseline}", f"CER {one.name}", "difference",
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
            utterances += f" ({blocks.n_blocks[index]} speakers)"
        known = verdict is not Verdict.NONE
        rows.append(
            [
                comparison.by.label_of(code), utterances, per_cent(comparison.cer[baseline][code]),
                per_cent(comparison.cer[one.name][code]), signed(value.estimate),
                f"{signed(value.low)} to {signed(value.high)}" if known else "",
                p_value(one.holm_p[index]),
                f"**{verdict.value}**" if verdict in _MOVED else verdict.value,
            ]
        )  # fmt: skip
    return layout([header, *rows])


def redundant(n_languages: int) -> list[str]:
    """Measures that equal another one: worst 15 of at most 15, the tenth part of at most 10."""
    names = ["worst_15"] if n_languages <= disparity.WORST_K else []
    return names + (["cvar_10"] if n_languages * disparity.CVAR_FRACTION <= 1 else [])
