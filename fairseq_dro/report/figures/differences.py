"""Differences of CER by group with their intervals, the most improved at the top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.comparison import ArmDifference, Verdict
from fairseq_dro.report.figures.style import COLOURS, GREY, INK, canvas, shortened, svg_of

ROWS_PER_PANEL = 48
_LOOKS = {  # colour, marker, filled
    Verdict.BETTER: (COLOURS[0], "o", True),
    Verdict.WORSE: (COLOURS[1], "s", True),
    Verdict.SAME: (GREY, "o", False),
    Verdict.NONE: (GREY, "x", True),
}
_NAMES = {Verdict.SAME: "no difference shown"}


def draw_differences(
    one: ArmDifference, baseline: str, paths: Sequence[Path] = (), by: GroupBy = BY_LANGUAGE
) -> str:
    """SVG; written as well to each path, in the format that its suffix names (.png, .svg)."""
    order = np.argsort(one.by_group.estimate, kind="stable")
    n_panels = -(-len(order) // ROWS_PER_PANEL)
    rows = -(-len(order) // n_panels)
    with canvas(1.6 + 3.0 * n_panels, 1.1 + 0.19 * rows) as figure:
        axes = figure.subplots(1, n_panels, squeeze=False, sharex=True)[0]
        shown: dict[Verdict, object] = {}
        for panel, axis in enumerate(axes):
            _draw_panel(axis, one, order[panel * rows : (panel + 1) * rows], shown, by)
            axis.set_ylim(rows - 0.4, -0.6)
            axis.set_xlabel(f"CER of {one.name} - {baseline}, points")
        present = [verdict for verdict in Verdict if verdict in shown]
        figure.legend(
            [shown[verdict] for verdict in present], [_NAMES.get(v, v.value) for v in present],
            loc="outside lower center", ncols=len(present),
        )  # fmt: skip
        alt = f"differences of CER, {one.name} - {baseline}, with 95 % intervals"
        return svg_of(figure, f"differences {one.name}", alt, paths)


def _draw_panel(axis, one: ArmDifference, chosen: np.ndarray, shown: dict, by: GroupBy) -> None:
    axis.axvline(0, color=INK, linewidth=0.8, zorder=1)
    for row, index in enumerate(chosen):
        verdict = one.verdicts[one.codes[index]]
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
    axis.set_yticks(range(len(chosen)), [row_label(one.codes[index], by) for index in chosen])
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="y", visible=False)
    axis.spines["left"].set_visible(False)


def row_label(code: str, by: GroupBy = BY_LANGUAGE, length: int = 26) -> str:
    """``Georgian kat``; of what is too long the name is cut, and the code stays whole."""
    name = by.name_of(code)
    return code if name == code else f"{shortened(name, max(6, length - len(code) - 1))} {code}"
