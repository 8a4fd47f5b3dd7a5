"""Arms in the plane of mean and worst CER: who gains on one only by losing on the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.report.comparison import ArmDifference, Comparison
from fairseq_dro.report.figures.style import COLOURS, FAINT, INK, MARKERS, canvas, svg_of


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Points that no other beats in both coordinates (lower is better), by the first one."""
    def is_beaten(x: float, y: float) -> bool:
        return any(a <= x and b <= y and (a, b) != (x, y) for a, b in points)

    kept = [index for index, point in enumerate(points) if not is_beaten(*point)]
    return sorted(kept, key=lambda index: points[index])


def draw_pareto(comparison: Comparison, stem: Path | None = None) -> str:
    """SVG; written to files as well where a stem is given, see ``style.svg_of``.

    A large mark is an arm, filled where no other is better in both; small ones are its runs. The
    bars are the 95 % intervals of the difference from the baseline; they may leave the picture.
    """
    points = [
        (100 * comparison.measures[arm.name]["mean"], 100 * comparison.measures[arm.name]["worst"])
        for arm in comparison.arms
    ]
    front = pareto_front(points)
    with canvas(4.6, 3.8) as figure:
        axis = figure.subplots()
        axis.axvline(points[0][0], color=FAINT, linewidth=0.8, zorder=0)
        axis.axhline(points[0][1], color=FAINT, linewidth=0.8, zorder=0)
        colours = [(INK, *COLOURS)[n % (len(COLOURS) + 1)] for n in range(len(points))]
        for index, (arm, colour) in enumerate(zip(comparison.arms, colours)):
            marker = MARKERS[index % len(MARKERS)]
            if len(arm.runs) > 1:
                by_run = comparison.by_run[arm.name]
                axis.plot(
                    100 * by_run["mean"], 100 * by_run["worst"], marker, color=colour,
                    markersize=3, alpha=0.6, zorder=3, linestyle="none",
                )  # fmt: skip
            axis.plot(
                *points[index], marker, color=colour, markersize=8, zorder=4, label=arm.name,
                markerfacecolor=colour if index in front else "white", linestyle="none",
            )  # fmt: skip
        axis.margins(0.12)
        axis.autoscale_view()
        axis.autoscale(False)  # the axes fit the marks; bars of two runs can be ten times as long
        for point, one, colour in zip(points[1:], comparison.differences, colours[1:]):
            _draw_bars(axis, points[0], point, one, colour)
        axis.set_xlabel(f"mean CER over {comparison.by.noun}s, %")
        axis.set_ylabel(f"CER of the worst {comparison.by.noun}, %")
        # names beside the points would lie on each other where arms are alike
        widest = max(len(arm.name) for arm in comparison.arms)
        figure.legend(loc="outside lower center", ncols=max(1, 50 // (widest + 6)))
        alt = f"mean and worst CER of {', '.join(arm.name for arm in comparison.arms)}"
        return svg_of(figure, "pareto", alt, stem)


def _draw_bars(axis, baseline, point, one: ArmDifference, colour: str) -> None:
    spans = {
        name: [100 * float(end) + base for end in (one.measures[name].low, one.measures[name].high)]
        for name, base in zip(("mean", "worst"), baseline)
    }
    style = {"color": colour, "linewidth": 1.2, "alpha": 0.7, "zorder": 2}
    axis.plot(spans["mean"], [point[1]] * 2, **style)
    axis.plot([point[0]] * 2, spans["worst"], **style)
