"""Differences of CER by language with their intervals, the most improved at the top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.compare.arm_difference import ArmDifference
from fairseq_dro.report.compare.curves_figure import save_figure
from fairseq_dro.report.report_data import shortened
from fairseq_dro.report.verdicts import Verdict

ROWS_PER_PANEL = 48
_LOOKS = {  # colour, marker, filled; Okabe and Ito's colours
    Verdict.BETTER: ("#0072B2", "o", True),
    Verdict.WORSE: ("#D55E00", "s", True),
    Verdict.SAME: ("#767676", "o", False),
    Verdict.NONE: ("#767676", "x", True),
}


def draw_differences(
    one: ArmDifference, baseline: str, paths: Sequence[Path], by: GroupBy = BY_LANGUAGE
) -> None:
    """Write the picture, in the format that each path's suffix names (.png, .svg)."""
    from matplotlib.figure import Figure

    order = np.argsort(one.by_group.estimate, kind="stable")
    n_panels = -(-len(order) // ROWS_PER_PANEL)
    rows = -(-len(order) // n_panels)
    figure = Figure(figsize=(1.6 + 3.6 * n_panels, 1.5 + 0.19 * rows), layout="constrained")
    axes = figure.subplots(1, n_panels, squeeze=False, sharex=True)[0]
    shown: dict[Verdict, object] = {}
    for panel, axis in enumerate(axes):
        chosen = order[panel * rows : (panel + 1) * rows]
        _draw_panel(axis, one, chosen, shown, by)
        axis.set_ylim(rows - 0.4, -0.6)
        axis.set_xlabel("difference of CER, points", fontsize=8.5)
    handles = [(verdict, shown[verdict]) for verdict in Verdict if verdict in shown]
    names = {Verdict.SAME: "no difference shown"}
    between = "\n" if len(one.name) + len(baseline) > 24 * (1 + n_panels) else " "
    figure.suptitle(f"{one.name}{between}- {baseline}", x=0.01, ha="left", fontsize=10)
    figure.legend(
        [handle for _, handle in handles], [names.get(v, v.value) for v, _ in handles],
        loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8,
        title_fontsize=8,
        title="left of 0: fewer errors; bars: 95 % intervals\nverdicts are corrected for "
        f"{len(order)} {by.noun}s, intervals are not",
    )  # fmt: skip
    save_figure(figure, paths)


def _draw_panel(
    axis, one: ArmDifference, chosen: np.ndarray, shown: dict, by: GroupBy
) -> None:
    verdicts = one.verdicts
    axis.axvline(0, color="0.3", linewidth=0.8, zorder=1)
    for row, index in enumerate(chosen):
        verdict = verdicts[one.codes[index]]
        colour, marker, filled = _LOOKS[verdict]
        value = one.by_group.at(index)
        if verdict is not Verdict.NONE:
            axis.plot(
                [100 * value.low, 100 * value.high], [row, row], color=colour, linewidth=1.3,
                solid_capstyle="butt", zorder=2,
            )  # fmt: skip
        (shown[verdict],) = axis.plot(
            100 * value.estimate, row, marker, color=colour, markersize=4.5,
            markerfacecolor=colour if filled else "white", linestyle="none", zorder=3,
        )  # fmt: skip
    labels = [row_label(one.codes[index], by) for index in chosen]
    axis.set_yticks(range(len(chosen)), labels, fontsize=8)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="0.92", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def row_label(code: str, by: GroupBy = BY_LANGUAGE, length: int = 26) -> str:
    """``Georgian kat``; of what is too long the name is cut, and the code stays whole."""
    name = by.name_of(code)
    return code if name == code else f"{shortened(name, max(6, length - len(code) - 1))} {code}"
