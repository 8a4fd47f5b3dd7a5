"""Learning curves per language and the path of q, one column an arm (its first run).

Up to eight languages each get a colour, a line style and a label at the line's end. With more, the
few that matter are drawn so (the worst of the baseline, and those with the largest q) and all
others are thin grey lines: a hundred colours cannot be told apart by anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.report.compare.arms import Arm
from fairseq_dro.report.compare.comparison import Comparison

# Okabe and Ito's colours for colour-blind readers (Nature Methods 8, 2011, p. 441); yellow is left
# out, it vanishes on white. Line styles repeat the difference without colour.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), "-", "--")
_MOST_COLOURED = 8
_HIGHLIGHTED = 6


def highlighted(comparison: Comparison) -> list[str]:
    """The languages drawn in colour, worst of the baseline first."""
    if len(comparison.codes) <= _MOST_COLOURED:
        return list(comparison.codes)
    chosen = list(comparison.codes[: _HIGHLIGHTED // 2])
    last_q = comparison.final_q(comparison.arms[-1])
    by_q = sorted(last_q, key=lambda code: (-last_q[code], code))
    for code in [*by_q, *comparison.codes]:
        if len(chosen) < _HIGHLIGHTED and code not in chosen and code in comparison.codes:
            chosen.append(code)
    return chosen


def draw_comparison(comparison: Comparison, paths: Sequence[Path]) -> None:
    """Write the figure, in the format that each path's suffix names (.png, .svg)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    arms = [arm for arm in comparison.arms if arm.runs[0].validations]
    columns = max(1, len(arms))
    figure, axes = plt.subplots(
        2, columns, figsize=(1.2 + 5.0 * columns, 7.2), sharex=True, sharey="row", squeeze=False
    )
    coloured = highlighted(comparison)
    tops = [0.0, 0.0]
    ends = []
    for column, arm in enumerate(arms):
        history = arm.runs[0].validations
        updates = [record["update"] for record in history]
        for row, (key, scale) in enumerate((("cer", 100.0), ("q", 1.0))):
            curves = {
                code: _series(history, code, key, scale) for code in comparison.codes
            }
            panel = axes[row][column]
            ends.append((panel, _draw_panel(panel, updates, curves, coloured)))
            top = max((v for values in curves.values() for v in values if v == v), default=0.0)
            tops[row] = max(tops[row], top)
        axes[0][column].set_title(_title(arm))
        axes[1][column].set_xlabel("update")
        axes[1][column].axhline(1 / len(comparison.codes), color="0.6", linewidth=0.8, zorder=0)
    axes[0][0].set_ylim(0, min(120.0, 1.05 * tops[0]) or 1.0)
    axes[1][0].set_ylim(0, 1.1 * tops[1] or 1.0)
    for panel, line_ends in ends:  # once the limits stand: labels are placed in fractions of them
        _label_ends(panel, line_ends)
    axes[0][0].set_ylabel("validation CER, %")
    axes[1][0].set_ylabel(f"weight q (line: 1/{len(comparison.codes)})")
    others = len(comparison.codes) - len(coloured)
    if others:
        figure.supxlabel(
            f"grey: the {others} other {comparison.by.noun}s of {len(comparison.codes)}; in "
            f"colour: the {_HIGHLIGHTED // 2} with the highest decoded CER in "
            f"{comparison.arms[0].name}, then those with the largest q in "
            f"{comparison.arms[-1].name}",
            fontsize=9,
            color="0.4",
        )
    figure.tight_layout()
    save_figure(figure, paths)
    plt.close(figure)


def save_figure(figure, paths: Sequence[Path]) -> None:
    """Write a matplotlib figure in the format that each suffix names; equal input, equal file."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "fairseq-dro"}):
        for path in paths:
            metadata = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(path, dpi=130, metadata=metadata)


def _title(arm: Arm) -> str:
    run = arm.runs[0]
    title = arm.name if run.objective in ("", arm.name) else f"{arm.name} ({run.objective})"
    return title if len(arm.runs) == 1 else f"{title}: {run.name}, one of {len(arm.runs)} runs"


def _series(history: Sequence[dict], code: str, key: str, scale: float) -> list[float]:
    values = []
    for record in history:
        value = record["languages"].get(code, {}).get(key)
        values.append(float("nan") if value is None else scale * value)
    return values


def _draw_panel(
    axis, updates: Sequence[int], curves: dict[str, list[float]], coloured: Sequence[str]
) -> list[tuple[float, str, str]]:
    """Draw the lines; the coloured ones' last value, code and colour."""
    for code, values in curves.items():
        if code not in coloured:
            axis.plot(updates, values, color="0.8", linewidth=0.6, zorder=1)
    ends = []
    for index, code in enumerate(coloured):
        colour, style = _COLOURS[index], _STYLES[index]
        marker = "o" if len(updates) == 1 else None
        axis.plot(
            updates, curves[code], color=colour, linestyle=style, linewidth=1.8, marker=marker,
            zorder=3,
        )  # fmt: skip
        if curves[code] and curves[code][-1] == curves[code][-1]:
            ends.append((curves[code][-1], code, colour))
    axis.margins(x=0.0)
    axis.grid(True, color="0.92", linewidth=0.8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    return ends


def _label_ends(axis, ends: list[tuple[float, str, str]]) -> None:
    """Write each code right of its line's end; labels that would collide are pushed apart."""
    if not ends:
        return
    low, high = axis.get_ylim()
    ends = sorted(ends)
    if len(ends) > 1 and ends[-1][0] - ends[0][0] < 1e-3 * (high - low):
        ends = [(ends[0][0], "all", "0.3")]
    heights = spread_apart([(value - low) / (high - low) for value, _, _ in ends])
    for (value, code, colour), height in zip(ends, heights):
        axis.annotate(
            code, xy=(1.0, value), xycoords=("axes fraction", "data"),
            xytext=(1.06, height), textcoords="axes fraction", color=colour, fontsize=9,
            va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5)},
        )  # fmt: skip


def spread_apart(heights: Sequence[float], gap: float = 0.055) -> list[float]:
    """Ascending heights in axes fractions, moved as little as leaves ``gap`` between them.

    Neighbours that are too near become a stack around their mean, and stacks that then touch
    become one (pool adjacent violators). Only a stack that would leave the panel is off its mean.
    """
    stacks: list[tuple[float, int]] = []  # height of the lowest, number of labels
    for height in heights:
        low, n = height, 1
        while stacks and stacks[-1][0] + stacks[-1][1] * gap > low:
            below, n_below = stacks.pop()
            total = n_below + n  # each label as if it stood at the place of the lowest
            low, n = (n_below * below + n * (low - n_below * gap)) / total, total
        stacks.append((low, n))
    spread = [low + index * gap for low, n in stacks for index in range(n)]
    floor = 0.0
    for index, height in enumerate(spread):
        spread[index] = max(height, floor)
        floor = spread[index] + gap
    ceiling = 1.0
    for index in reversed(range(len(spread))):
        spread[index] = min(spread[index], ceiling)
        ceiling = spread[index] - gap
    return spread
