"""Validation CER over updates, one small picture per language, all on the same scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.ticker import MaxNLocator

from fairseq_dro.report.figures.style import COLOURS, FAINT, INK, LINES, canvas, fitted, svg_of
from fairseq_dro.runs.training_run import TrainingRun

_WIDTH, _HEIGHT = 1.95, 1.28  # inches
_MARGINS = {"left": 0.14, "right": 0.97, "bottom": 0.16, "top": 0.86}


class Curve(NamedTuple):
    """One run: updates, and rates (fractions) by language; NaN where nothing was measured."""

    name: str
    updates: Sequence[int]
    rates: Mapping[str, Sequence[float]]
    mean: Sequence[float] = ()


def curve_of(run: TrainingRun) -> Curve:
    """Validation CER of each group, and their mean."""
    updates = [int(record["update"]) for record in run.validations]
    rows = [record["languages"] for record in run.validations]
    rates = {
        group: [_known(row.get(group, {}).get("cer")) for row in rows]
        for group in sorted(set().union(*rows))
    }
    rates = {group: own for group, own in rates.items() if not all(map(math.isnan, own))}
    mean = [_known(record.get("mean_cer")) for record in run.validations]
    return Curve(run.name, updates, rates, mean)


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def draw_learning_curves(
    codes: Sequence[str], labels: Mapping[str, str], curves: Sequence[Curve]
) -> list[str]:
    """A picture per language in the order of ``codes``.

    The run is the dark line, its baselines are coloured and dashed, and the faint line is the
    run's mean over languages.
    """
    last = max((max(curve.updates, default=0) for curve in curves), default=0)
    values = [v for curve in curves for code in codes for v in curve.rates.get(code, ()) if v == v]
    limits = fitted(100 * min(1.1, value) for value in values)
    return [
        _draw(code, labels[code], curves, last, limits, f"curve {number}")
        for number, code in enumerate(codes)
    ]


def _draw(code, label, curves: Sequence[Curve], last: int, limits, name: str) -> str:
    with canvas(_WIDTH, _HEIGHT, _MARGINS) as figure:
        axis = figure.subplots()
        run = curves[0]
        if run.mean:
            axis.plot(run.updates, [100 * v for v in run.mean], color=FAINT, linewidth=1.6)
        for number, curve in reversed(list(enumerate(curves))):
            rates = [100 * v for v in curve.rates.get(code, ())]
            if not rates:
                continue
            colour = INK if number == 0 else COLOURS[(number - 1) % len(COLOURS)]
            axis.plot(
                curve.updates, rates, color=colour, linestyle=LINES[number % len(LINES)],
                linewidth=1.3, marker="o" if len(rates) < 4 else None, markersize=2.5,
            )  # fmt: skip
        axis.set_xlim(0, last or 1)
        axis.set_ylim(*limits)
        axis.set_xticks([0, last or 1])
        axis.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axis.tick_params(labelsize=7)
        labels = axis.get_xticklabels()
        labels[0].set_ha("left")
        labels[-1].set_ha("right")
        axis.set_title(label, loc="left", fontsize=8, pad=3)
        final = next((v for v in reversed(run.rates.get(code, ())) if v == v), None)
        said = "no value" if final is None else f"{100 * final:.1f} % at the end"
        return svg_of(figure, name, f"validation CER of {label} over updates: {said}")
