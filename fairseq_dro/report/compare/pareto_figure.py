"""Arms in the plane of mean and worst CER: who gains on one only by losing on the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.report.compare.comparison import Comparison
from fairseq_dro.report.compare.curves_figure import save_figure

# Okabe and Ito's colours; the marker repeats the difference
_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Points that no other beats in both coordinates (lower is better), by the first one."""
    chosen = []
    for index, (x, y) in enumerate(points):
        beaten = any(
            other[0] <= x and other[1] <= y and other != (x, y) for other in points
        )
        if not beaten:
            chosen.append(index)
    return sorted(chosen, key=lambda index: points[index])


def draw_pareto(comparison: Comparison, paths: Sequence[Path]) -> None:
    """Write the picture, in the format that each path's suffix names (.png, .svg).

    A large mark is an arm, small ones its runs. The bars are the 95 % intervals of the difference
    from the baseline, drawn around the arm; the baseline has none.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 4.6), layout="constrained")
    axis = figure.subplots()
    points = [
        (100 * comparison.measures[arm.name]["mean"], 100 * comparison.measures[arm.name]["worst"])
        for arm in comparison.arms
    ]
    front = pareto_front(points)
    if len(front) > 1:
        axis.step(
            [points[i][0] for i in front], [points[i][1] for i in front], where="post",
            color="0.6", linewidth=1, linestyle="--", zorder=1,
        )  # fmt: skip
    baseline = points[0]
    axis.axvline(baseline[0], color="0.85", linewidth=0.8, zorder=0)
    axis.axhline(baseline[1], color="0.85", linewidth=0.8, zorder=0)
    for index, arm in enumerate(comparison.arms):
        colour, marker = _COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)]
        if index:
            _draw_bars(axis, baseline, points[index], comparison.differences[index - 1], colour)
        if len(arm.runs) > 1:
            by_run = comparison.by_run[arm.name]
            axis.plot(
                100 * by_run["mean"], 100 * by_run["worst"], marker,
                color=colour, markersize=3, alpha=0.6, zorder=3,
            )  # fmt: skip
        axis.plot(
            *points[index], marker, color=colour, markersize=8, zorder=4,
            markerfacecolor=colour if index in front else "white", label=arm.name,
        )  # fmt: skip
    axis.margins(0.12)
    axis.text(
        0.01, 0.01, "lower left is better in both", transform=axis.transAxes, color="0.45",
        fontsize=8,
    )  # fmt: skip
    axis.set_xlabel(f"mean CER over {comparison.by.noun}s, %")
    axis.set_ylabel(f"CER of the worst {comparison.by.noun}, %")
    axis.set_title(
        f"bars: 95 % interval of the difference from {comparison.arms[0].name}\n"
        "filled: no arm is better in both"
        + ("; small: single runs" if any(len(arm.runs) > 1 for arm in comparison.arms) else ""),
        fontsize=8, color="0.35",
    )  # fmt: skip
    # names beside the points would lie on each other where arms are alike
    widest = max(len(arm.name) for arm in comparison.arms)
    figure.legend(
        loc="outside lower center", ncols=max(1, 60 // (widest + 6)), frameon=False, fontsize=9
    )
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    save_figure(figure, paths)


def _draw_bars(axis, baseline, point, one, colour) -> None:
    spans = {
        name: [100 * float(end) + base for end in (one.measures[name].low, one.measures[name].high)]
        for name, base in zip(("mean", "worst"), baseline)
    }
    style = {"color": colour, "linewidth": 1.2, "alpha": 0.7, "zorder": 2}
    axis.plot(spans["mean"], [point[1]] * 2, **style)
    axis.plot([point[0]] * 2, spans["worst"], **style)
