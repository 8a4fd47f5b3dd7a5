"""Values with their intervals, a row per group: error rates of runs, differences between two."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fairseq_dro.report.comparison import ArmDifference, Verdict
from fairseq_dro.report.figures.style import (
    COLOURS,
    FAINT,
    GREY,
    INK,
    MARKERS,
    canvas,
    fitted,
    svg_of,
)

ROWS_PER_PICTURE = 48
_WIDTH, _WIDTH_ALONE = 3.9, 4.5  # inches
_HIGHEST = 200.0  # per cent; intervals beyond this, and beyond all values, are cut off
_LOOKS = {
    Verdict.BETTER: (COLOURS[0], "o", True), Verdict.WORSE: (COLOURS[1], "s", True),
    Verdict.SAME: (GREY, "o", False), Verdict.NONE: (GREY, "x", True),
}  # fmt: skip
_NAMES = {Verdict.SAME: "no difference shown"}


class Estimate(NamedTuple):
    """A rate or difference (fraction) with its interval; NaN where there is none."""

    value: float
    low: float
    high: float


class Series(NamedTuple):
    """Estimates by group that look alike."""

    name: str
    estimates: Mapping[str, Estimate]
    colour: str
    marker: str
    filled: bool


def draw_rates(
    labels: Mapping[str, str],
    runs: Mapping[str, Mapping[str, Estimate]],
    null_band: tuple[float, float] | None = None,
) -> list[str]:
    """CER of a run and its baselines, one a bit below the other in each row.

    Args:
        labels: what stands at each row, by group, from top to bottom.
        runs: by name; the run itself first, filled and in front.
        null_band: where the highest CER would lie if all groups were equal; shaded.
    """
    looks = zip(runs.items(), itertools.cycle((INK, *COLOURS)), itertools.cycle(MARKERS))
    series = [
        Series(name, estimates, colour, marker, filled=colour == INK)
        for (name, estimates), colour, marker in looks
    ]
    between = len(series) - 1
    offsets = [-0.17 + 0.4 * n / between for n in range(len(series))] if between else [0.0]
    return _draw(labels, series, offsets, "CER, %", "rates", band=null_band)


def draw_differences(
    one: ArmDifference, baseline: str, labels: Mapping[str, str], stem: Path | None = None
) -> list[str]:
    """Differences of CER, the most improved at the top, by verdict.

    Args:
        labels: by group.
        stem: see ``style.svg_of``; further pictures are numbered from 2.
    """
    values = {code: one.by_group.at(index) for index, code in enumerate(one.codes)}
    codes = sorted(values, key=lambda code: float(values[code].estimate))
    by_verdict = {
        verdict: {
            code: Estimate(float(value.estimate), float(value.low), float(value.high))
            for code, value in values.items() if one.verdicts[code] is verdict
        }
        for verdict in Verdict
    }  # fmt: skip
    series = [
        Series(_NAMES.get(verdict, verdict.value), estimates, *_LOOKS[verdict])
        for verdict, estimates in by_verdict.items() if estimates
    ]  # fmt: skip
    x_label = f"CER of {one.name} - {baseline}, points"
    rows = {code: labels[code] for code in codes}
    name = f"differences {one.name} {baseline}"
    return _draw(rows, series, [0.0] * len(series), x_label, name, around_zero=True, stem=stem)


def _draw(
    labels: Mapping[str, str], series: Sequence[Series], offsets: Sequence[float], x_label: str,
    name: str, *, around_zero: bool = False, band: tuple[float, float] | None = None,
    stem: Path | None = None,
) -> list[str]:  # fmt: skip
    """Pictures of at most ``ROWS_PER_PICTURE``, on one scale."""
    codes = list(labels)
    n_pictures = -(-len(codes) // ROWS_PER_PICTURE)
    rows = -(-len(codes) // max(n_pictures, 1))
    shown = [e for one in series for e in one.estimates.values() if not math.isnan(e.value)]
    highest = max([_HIGHEST, *(100 * e.value for e in shown)])
    ends = [min(100 * end, highest) for e in shown for end in e]
    limits = fitted([0.0, *ends], -math.inf) if around_zero else fitted(ends)
    row_height = (0.17 if len(series) < 3 else 0.22) * (1.5 if rows < 20 else 1)
    pictures = []
    for number, start in enumerate(range(0, len(codes), max(rows, 1)), start=1):
        chosen = codes[start : start + rows]
        width = _WIDTH if n_pictures > 1 else _WIDTH_ALONE
        with canvas(width, 0.75 + row_height * max(rows, 2)) as figure:
            axis = figure.subplots()
            if band is not None:
                axis.axvspan(100 * band[0], 100 * band[1], color="#eeeeee", zorder=0)
            if around_zero:
                axis.axvline(0, color=INK, linewidth=0.8, zorder=1)
            for one, offset in reversed(list(zip(series, offsets))):
                _draw_series(axis, chosen, one, offset)
            axis.set_ylim(rows - 0.4, -0.6)
            axis.set_yticks(range(len(chosen)), [labels[code] for code in chosen])
            axis.tick_params(axis="y", length=0)
            axis.grid(axis="y", visible=False)
            for row in range(len(chosen)):
                axis.axhline(row, color=FAINT, linewidth=0.4, zorder=0.5)
            axis.set_xlim(*limits)
            axis.set_xlabel(x_label)
            axis.spines["left"].set_visible(False)
            if len(series) > 1:
                handles, names = axis.get_legend_handles_labels()
                figure.legend(
                    handles[::-1], names[::-1], loc="outside upper left", ncols=3, borderpad=0,
                    handletextpad=0.4, columnspacing=1.2,
                )  # fmt: skip
            alt = f"{x_label} with interval of {len(chosen)} groups"
            place = stem if number == 1 or stem is None else Path(f"{stem}_{number}")
            pictures.append(svg_of(figure, f"{name} {number}", alt, place))
    return pictures


def _draw_series(axis, codes: Sequence[str], one: Series, offset: float) -> None:
    rows, values = [], []
    for row, code in enumerate(codes):
        estimate = one.estimates.get(code)
        if estimate is None or math.isnan(estimate.value):
            continue
        rows.append(row + offset)
        values.append(100 * estimate.value)
        if not math.isnan(estimate.low):
            axis.plot(
                [100 * estimate.low, 100 * estimate.high], [row + offset] * 2, color=one.colour,
                linewidth=1.2, solid_capstyle="butt", zorder=3,
            )  # fmt: skip
    axis.plot(
        values, rows, linestyle="none", marker=one.marker, color=one.colour, label=one.name,
        markersize=3.6, markerfacecolor=one.colour if one.filled else "white", markeredgewidth=0.9,
        zorder=4,
    )  # fmt: skip
