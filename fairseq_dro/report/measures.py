"""The numbers over groups: their names, and which of them say nothing new of few groups.

One list for every table, in the order in which they are read. All are shown in per cent.
"""

from __future__ import annotations

from typing import NamedTuple

from fairseq_dro.scoring.disparity import CVAR_FRACTION, WORST_FEW, WORST_K


class Measure(NamedTuple):
    """``{noun}`` is what a group is called."""

    title: str
    help: str


MEASURES = {
    "mean": Measure("mean CER (macro)", "every {noun} with the same weight"),
    "micro": Measure("all utterances together (micro)", "more test text counts more"),
    "worst": Measure("worst CER", "the highest of all {noun}s"),
    f"worst_{WORST_FEW}": Measure(f"worst {WORST_FEW}", f"mean of the {WORST_FEW} highest"),
    f"worst_{WORST_K}": Measure(f"worst {WORST_K}", f"mean of the {WORST_K} highest"),
    "cvar_10": Measure("CVaR 10 %", "mean of the highest tenth of the {noun}s"),
    "p90": Measure("90th percentile", "over {noun}s"),
    "best": Measure("best CER", "the lowest of all {noun}s"),
    "gap": Measure("gap", "highest less lowest CER"),
    "sd": Measure("standard deviation", "over {noun}s, with n - 1"),
    "gini": Measure("Gini coefficient, %", "0: all {noun}s alike; near 100: one has all errors"),
}


def shown_measures(n_groups: int) -> list[str]:
    """Names of those that say something: the worst 3 of 3 are the mean, a tenth of 10 the worst."""
    if n_groups < 2:
        return ["mean", "micro"]
    nothing_new = {
        f"worst_{WORST_FEW}": n_groups <= WORST_FEW,
        f"worst_{WORST_K}": n_groups <= WORST_K,
        "cvar_10": n_groups * CVAR_FRACTION <= 1,
    }
    return [name for name in MEASURES if not nothing_new.get(name)]
