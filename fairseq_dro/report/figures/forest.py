"""CER with its interval, a line per language: a forest plot of a run against its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fairseq_dro.report.figures.style import COLOURS, FAINT, INK, MARKERS, canvas, fitted, svg_of

ROWS_PER_PICTURE = 48
_WIDTH, _WIDTH_ALONE = 3.9, 4.5  # inches


class Estimate(NamedTuple):
    """A rate (fraction) with its interval; the interval is NaN where there is none."""

    value: float
    low: float
    high: float


class Series(NamedTuple):
    """One run's estimates by language."""

    name: str
    estimates: Mapping[str, Estimate]


def draw_forest(
    codes: Sequence[str],
    labels: Mapping[str, str],
    series: Sequence[Series],
    null_band: tuple[float, float] | None = None,
) -> list[str]:
    """Pictures of at most 48 languages, on one scale.

    Args:
        codes: from top to bottom.
        labels: what stands at each line.
        series: the run first, filled and in front; then its baselines.
        null_band: where the highest CER would lie if all languages were equal; shaded.
    """
    ends = (
        min(100 * end, 200.0)
        for one in series for estimate in one.estimates.values() for end in estimate
    )  # fmt: skip
    limits = fitted(ends)
    pictures = []
    n_pictures = -(-len(codes) // ROWS_PER_PICTURE)
    rows = -(-len(codes) // max(n_pictures, 1))
    for start in range(0, len(codes), max(rows, 1)):
        chosen = codes[start : start + rows]
        width = _WIDTH if n_pictures > 1 else _WIDTH_ALONE
        name = f"forest {start}"
        pictures.append(_draw(chosen, labels, series, null_band, limits, name, rows, width))
    return pictures


def _draw(codes, labels, series, null_band, limits, name, padded_to, width) -> str:
    offsets = _offsets(len(series))
    row_height = (0.17 if len(series) < 3 else 0.22) * (1.5 if padded_to < 20 else 1)
    height = 0.75 + row_height * max(padded_to, 2)
    with canvas(width, height) as figure:
        axis = figure.subplots()
        if null_band is not None:
            axis.axvspan(100 * null_band[0], 100 * null_band[1], color="#eeeeee", zorder=0)
        for number in range(len(series) - 1, -1, -1):
            _draw_series(axis, codes, series[number], number, offsets[number])
        axis.set_ylim(padded_to - 0.4, -0.6)
        axis.set_yticks(range(len(codes)), [labels[code] for code in codes])
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="y", visible=False)
        for row in range(len(codes)):
            axis.axhline(row, color=FAINT, linewidth=0.4, zorder=0.5)
        axis.set_xlim(*limits)
        axis.set_xlabel("CER, %")
        axis.spines["left"].set_visible(False)
        if len(series) > 1:
            handles, names = axis.get_legend_handles_labels()
            figure.legend(
                handles[::-1], names[::-1], loc="outside upper left", ncols=3, borderpad=0,
                handletextpad=0.4, columnspacing=1.2,
            )  # fmt: skip
        names = ", ".join(one.name for one in series)
        return svg_of(figure, name, f"CER with interval of {len(codes)} groups for {names}")


def _draw_series(axis, codes, one: Series, number: int, offset: float) -> None:
    colour = INK if number == 0 else COLOURS[(number - 1) % len(COLOURS)]
    rows, values = [], []
    for row, code in enumerate(codes):
        estimate = one.estimates.get(code)
        if estimate is None or estimate.value != estimate.value:
            continue
        rows.append(row + offset)
        values.append(100 * estimate.value)
        if estimate.low == estimate.low:
            axis.plot(
                [100 * estimate.low, 100 * estimate.high], [row + offset] * 2, color=colour,
                linewidth=1.4 if number == 0 else 0.9, solid_capstyle="butt", zorder=3 - number / 9,
            )  # fmt: skip
    axis.plot(
        values, rows, linestyle="none", marker=MARKERS[number % len(MARKERS)], color=colour,
        markersize=3.6, markerfacecolor=colour if number == 0 else "white", markeredgewidth=0.9,
        label=one.name, zorder=4 - number / 9,
    )  # fmt: skip


def _offsets(n: int) -> list[float]:
    if n == 1:
        return [0.0]
    return [-0.17 + 0.4 * index / (n - 1) for index in range(n)]
