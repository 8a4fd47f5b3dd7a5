"""One point per language: a number against another, or against a category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fairseq_dro.report.figures.style import COLOURS, GREY, INK, LINES, canvas, label_ends, svg_of

_WIDTH, _HEIGHT = 3.3, 2.6  # inches
_ALL_NAMED = 20
_MOST_NAMED = 6


def draw_scatter(
    x: Mapping[str, float],
    y: Mapping[str, float],
    *,
    x_label: str,
    y_label: str,
    name: str,
    log_x: bool = False,
) -> str:
    """Languages that have both numbers; up to 20 are all named, of more the extremes."""
    codes = sorted(code for code in x if code in y and x[code] == x[code] and y[code] == y[code])
    with canvas(_WIDTH, _HEIGHT) as figure:
        axis = figure.subplots()
        axis.plot(
            [x[c] for c in codes], [y[c] for c in codes], linestyle="none", marker="o",
            markersize=3.5, markerfacecolor="none", markeredgecolor=COLOURS[0],
        )  # fmt: skip
        if log_x:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
            low, high = axis.get_xlim()
            if high < 20 * low:  # too short for powers of ten alone
                axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.margins(x=0.12, y=0.1)
        for code in _apart(axis, _named(codes, x, y), x, y):
            axis.annotate(
                code, (x[code], y[code]), xytext=(3, 3), textcoords="offset points", fontsize=7,
                color=INK,
            )  # fmt: skip
        return svg_of(figure, name, f"{y_label} against {x_label}, {len(codes)} groups")


def _apart(axis, codes: Sequence[str], x, y) -> list[str]:
    """The names whose places are not those of an earlier one."""
    to_points = axis.transData.transform
    kept: list[str] = []
    for code in codes:
        here = to_points((x[code], y[code]))
        places = (to_points((x[other], y[other])) for other in kept)
        if all(abs(here[0] - px) > 22 or abs(here[1] - py) > 9 for px, py in places):
            kept.append(code)
    return kept


def draw_by_category(
    category: Mapping[str, str], y: Mapping[str, float], *, y_label: str, name: str
) -> str:
    """A column of points per category, the largest category first."""
    members: dict[str, list[str]] = {}
    for code in sorted(y):
        if code in category and y[code] == y[code]:
            members.setdefault(category[code], []).append(code)
    order = sorted(members, key=lambda key: (-len(members[key]), key))
    height = max(_HEIGHT, 0.7 + 0.16 * len(order))
    with canvas(_WIDTH, height) as figure:
        axis = figure.subplots()
        for row, key in enumerate(order):
            values = sorted(y[code] for code in members[key])
            axis.plot(
                values, [row] * len(values), linestyle="none", marker="o", markersize=3.5,
                markerfacecolor="none", markeredgecolor=COLOURS[0],
            )  # fmt: skip
            middle = median(values)
            axis.plot([middle] * 2, [row - 0.3, row + 0.3], color=INK, linewidth=1.2)
        axis.set_yticks(range(len(order)), [f"{key} ({len(members[key])})" for key in order])
        axis.set_ylim(len(order) - 0.5, -0.5)
        axis.set_xlabel(y_label)
        axis.margins(x=0.08)
        return svg_of(figure, name, f"{y_label} by script, {len(order)} scripts")


def draw_over_updates(
    lines: Sequence[tuple[str, Sequence[int], Sequence[float]]],
    *,
    y_label: str,
    name: str,
    limits: tuple[float, float],
) -> str:
    """(label, updates, values) as lines with their labels at the right."""
    with canvas(4.2, 2.6) as figure:
        axis = figure.subplots()
        axis.axhline(0, color=GREY, linewidth=0.8)
        ends = []
        for number, (label, updates, values) in enumerate(lines):
            colour = COLOURS[number % len(COLOURS)]
            axis.plot(
                updates, values, color=colour, linestyle=LINES[number % len(LINES)], linewidth=1.5,
                marker="o" if len(updates) < 12 else None, markersize=3,
            )  # fmt: skip
            known = [value for value in values if value == value]
            if known:
                ends.append((known[-1], label, colour))
        axis.set_ylim(*limits)
        axis.set_xlabel("update")
        axis.set_ylabel(y_label)
        axis.margins(x=0.02)
        label_ends(axis, ends, gap=0.1)
        return svg_of(figure, name, f"{y_label} over updates")


def _named(codes: Sequence[str], x: Mapping[str, float], y: Mapping[str, float]) -> list[str]:
    if len(codes) <= _ALL_NAMED:
        return list(codes)
    by_y = sorted(codes, key=lambda code: y[code])
    by_x = sorted(codes, key=lambda code: x[code])
    half = _MOST_NAMED // 2
    return list(dict.fromkeys([*by_y[-half:], *by_y[:1], *by_x[-1:], *by_x[:1]]))
