"""Numbers by group over updates: q of a run, rank correlations, and all arms of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fairseq_dro.report.comparison import Comparison
from fairseq_dro.report.figures.learning_curves import curve_of
from fairseq_dro.report.figures.style import (
    COLOURS,
    FAINT,
    GREY,
    LINES,
    canvas,
    fitted,
    label_ends,
    svg_of,
)

Values = Mapping[str, Sequence[float]]  # by group, one an update; NaN where it is not known
Path_of_q = Sequence[tuple[int, Mapping[str, float]]]

_MOST_POINTS = 400  # a longer path is thinned: a picture has no more pixels
_DOTTED = {"color": GREY, "linewidth": 0.8, "linestyle": (0, (1, 2))}


def coloured_groups(path: Path_of_q) -> list[str]:
    """Of many groups, those whose weight was ever largest; of few, all."""
    if not path:
        return []
    peaks = {code: max(q.get(code, 0.0) for _, q in path) for code in path[-1][1]}
    return sorted(peaks, key=lambda code: (-peaks[code], code))[: len(COLOURS)]


def draw_over_updates(
    updates: Sequence[int],
    values: Values,
    coloured: Sequence[str],
    *,
    y_label: str,
    dotted_at: float,
    limits: tuple[float, float] | None = None,
) -> str:
    """Lines with their names at the right; those that are not coloured are faint.

    Args:
        limits: of the values, by default such that all are seen.
    """
    with canvas(4.2, 2.9) as figure:
        axis = figure.subplots()
        axis.axhline(dotted_at, **_DOTTED)
        ends = _plot(axis, updates, values, coloured)
        axis.set_ylim(*(limits or fitted(v for line in values.values() for v in line)))
        axis.set_xlabel("update")
        axis.set_ylabel(y_label)
        label_ends(axis, ends)
        return svg_of(figure, y_label, f"{y_label} of {len(values)} over updates")


def draw_weights(path: Path_of_q) -> str:
    """q by group; the dotted line is 1/|G|, where it started."""
    updates, values = _weights(path)
    return draw_over_updates(
        updates, values, coloured_groups(path), y_label="weight q", dotted_at=1 / len(values)
    )


def draw_arms(comparison: Comparison, stem: Path | None = None) -> str:
    """Validation CER and q, one column an arm (its first run), on the same scales; in colour the
    worst groups of the baseline.

    Args:
        stem: see ``style.svg_of``.
    """
    arms = [arm for arm in comparison.arms if arm.runs[0].validations]
    coloured = comparison.codes[: len(COLOURS)]
    with canvas(0.8 + 3.4 * len(arms), 5.0) as figure:
        axes = figure.subplots(2, len(arms), squeeze=False, sharex="col", sharey="row")
        ends: list[tuple] = []
        for column, arm in enumerate(arms):
            curve = curve_of(arm.runs[0])
            rates = {code: [100 * v for v in line] for code, line in curve.rates.items()}
            weights = _weights(arm.runs[0].q_path())
            for row, (updates, values) in enumerate(((curve.updates, rates), weights)):
                axis = axes[row][column]
                ends.append((axis, _plot(axis, updates, values, coloured)))
            axes[0][column].set_title(arm.name, loc="left")
            axes[1][column].set_xlabel("update")
            axes[1][column].axhline(1 / len(weights[1] or comparison.codes), **_DOTTED)
        for row, name in enumerate(("validation CER, %", "weight q")):
            axes[row][0].set_ylim(0, None)
            axes[row][0].set_ylabel(name)
        for axis, lines in ends:  # once the limits stand
            label_ends(axis, lines)
        alt = f"validation CER and q over updates of {', '.join(arm.name for arm in arms)}"
        return svg_of(figure, "arms", alt, stem)


def _weights(path: Path_of_q) -> tuple[list[int], Values]:
    path = [*path[:: -(-len(path) // _MOST_POINTS) or 1], *path[-1:]]
    codes = path[-1][1] if path else ()
    values = {code: [q.get(code, float("nan")) for _, q in path] for code in codes}
    return [update for update, _ in path], values


def _plot(
    axis: Axes, updates: Sequence[int], values: Values, coloured: Sequence[str]
) -> list[tuple[float, str, str]]:
    """The lines; the last value, name and colour of those in colour."""
    for code in values:
        if code not in coloured:
            axis.plot(updates, values[code], color=FAINT, linewidth=0.6)
    ends = []
    for code, colour, line in zip(coloured, COLOURS, LINES):
        if code in values:
            marker = "o" if len(updates) < 12 else None
            axis.plot(updates, values[code], color=colour, linestyle=line, lw=1.5, marker=marker,
                      markersize=3)  # fmt: skip
            if values[code][-1] == values[code][-1]:
                ends.append((values[code][-1], code, colour))
    axis.margins(x=0)
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return ends
