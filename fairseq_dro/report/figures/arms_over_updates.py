"""Validation CER and q over updates, one column an arm (its first run), on the same scales."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.report.comparison import Comparison
from fairseq_dro.report.figures.learning_curves import curve_of
from fairseq_dro.report.figures.style import COLOURS, FAINT, GREY, LINES, canvas, label_ends, svg_of

_MOST = len(COLOURS)


def highlighted(comparison: Comparison) -> list[str]:
    """The groups drawn in colour: the worst of the baseline, then those with the largest last q."""
    if len(comparison.codes) <= _MOST:
        return list(comparison.codes)
    last_q = comparison.final_q(comparison.arms[-1])
    by_q = sorted((c for c in last_q if c in comparison.codes), key=lambda c: (-last_q[c], c))
    return list(dict.fromkeys([*comparison.codes[: _MOST // 2], *by_q, *comparison.codes]))[:_MOST]


def draw_arms(comparison: Comparison, paths: Sequence[Path] = ()) -> str:
    """SVG; written as well to each path, in the format that its suffix names (.png, .svg).

    Groups in colour have their names at the end of their lines; of many the others are grey.
    """
    arms = [arm for arm in comparison.arms if arm.runs[0].validations]
    coloured = highlighted(comparison)
    with canvas(0.8 + 3.4 * len(arms), 5.0) as figure:
        axes = figure.subplots(2, len(arms), squeeze=False, sharex="col", sharey="row")
        ends: list[tuple] = []
        for column, arm in enumerate(arms):
            curve, q = curve_of(arm.runs[0]), arm.runs[0].q_path()
            rates = {c: [100 * v for v in values] for c, values in curve.rates.items()}
            weights = {code: [row.get(code, float("nan")) for _, row in q]
                       for code in (q[-1][1] if q else ())}  # fmt: skip
            for axis, updates, values in (
                (axes[0][column], curve.updates, rates),
                (axes[1][column], [update for update, _ in q], weights),
            ):
                ends.append((axis, _draw(axis, updates, values, coloured)))
            axes[0][column].set_title(arm.name, loc="left")
            axes[1][column].set_xlabel("update")
            axes[1][column].axhline(
                1 / len(comparison.codes), color=GREY, linewidth=0.8, linestyle=(0, (1, 2))
            )
        for row, name in enumerate(("validation CER, %", "weight q")):
            axes[row][0].set_ylim(0, None)
            axes[row][0].set_ylabel(name)
        for axis, lines in ends:  # once the limits stand
            label_ends(axis, lines)
        alt = f"validation CER and q over updates of {', '.join(arm.name for arm in arms)}"
        return svg_of(figure, "arms", alt, paths)


def _draw(axis, updates, values, coloured: Sequence[str]) -> list[tuple[float, str, str]]:
    """The lines; the last value, name and colour of those in colour."""
    for code in values:
        if code not in coloured:
            axis.plot(updates, values[code], color=FAINT, linewidth=0.6)
    ends = []
    for number, code in enumerate(coloured):
        if code in values:
            axis.plot(updates, values[code], color=COLOURS[number], linestyle=LINES[number], lw=1.5)
            if values[code][-1] == values[code][-1]:
                ends.append((values[code][-1], code, COLOURS[number]))
    axis.margins(x=0)
    return ends
