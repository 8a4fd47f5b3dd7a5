"""The path of q: weights over updates, and how many languages they amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fairseq_dro.report.figures.style import (
    COLOURS,
    FAINT,
    GREY,
    INK,
    LINES,
    canvas,
    fitted,
    label_ends,
    svg_of,
)

MOST_COLOURED = len(COLOURS)
_MOST_POINTS = 400  # a longer path is thinned: a picture has no more pixels
_WIDTH, _HEIGHT = 4.2, 2.9  # inches


def entropy_nats(q: Mapping[str, float]) -> float:
    """Entropy of the weights; log |G| when uniform, 0 when one language holds everything."""
    weights = np.array([value for value in q.values() if value > 0])
    return float(-(weights * np.log(weights)).sum())


def coloured_languages(path: Sequence[tuple[int, Mapping[str, float]]]) -> list[str]:
    """Of many languages, those whose weight was ever largest; of few, all."""
    if not path:
        return []
    peaks = {code: max(q.get(code, 0.0) for _, q in path) for code in path[-1][1]}
    ordered = sorted(peaks, key=lambda code: (-peaks[code], code))
    return ordered[:MOST_COLOURED]


def draw_weights(path: Sequence[tuple[int, Mapping[str, float]]]) -> str:
    """q by language over updates; the line at 1/|G| is where it started."""
    path = _thinned(path)
    coloured = coloured_languages(path)
    updates = [update for update, _ in path]
    with canvas(_WIDTH, _HEIGHT) as figure:
        axis = figure.subplots()
        n_groups = len(path[-1][1])
        for code in path[-1][1]:
            if code not in coloured:
                axis.plot(updates, [q.get(code, np.nan) for _, q in path], color=FAINT, lw=0.6)
        axis.axhline(1 / n_groups, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        ends = []
        for number, code in enumerate(coloured):
            values = [q.get(code, np.nan) for _, q in path]
            axis.plot(updates, values, color=COLOURS[number], linestyle=LINES[number], lw=1.5)
            ends.append((values[-1], code, COLOURS[number]))
        axis.set_ylim(*fitted(value for _, q in path for value in q.values()))
        axis.set_xlim(updates[0], max(updates[-1], updates[0] + 1))
        axis.set_xlabel("update")
        axis.set_ylabel("weight q")
        label_ends(axis, ends)
        return svg_of(figure, "weights", f"q of {n_groups} groups over updates")


def draw_effective_groups(
    path: Sequence[tuple[int, Mapping[str, float]]], noun: str = "language"
) -> str:
    """exp(entropy of q), with the entropy itself on the right-hand scale."""
    path = _thinned(path)
    updates = [update for update, _ in path]
    effective = [float(np.exp(entropy_nats(q))) for _, q in path]
    n_groups = len(path[-1][1])
    with canvas(_WIDTH, _HEIGHT) as figure:
        axis = figure.subplots()
        axis.axhline(n_groups, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        axis.plot(updates, effective, color=INK, linewidth=1.5)
        axis.set_ylim(*fitted([*effective, n_groups], 1.0))
        axis.set_xlim(updates[0], max(updates[-1], updates[0] + 1))
        axis.set_xlabel("update")
        axis.set_ylabel(f"effective number of {noun}s (of {n_groups})")
        low, high = axis.get_ylim()
        ticks = [tick for tick in axis.get_yticks() if low <= tick <= high]
        right = axis.secondary_yaxis("right")  # the same heights, as entropies
        right.set_yticks(ticks, [f"{np.log(tick):.2f}" for tick in ticks])
        right.set_ylabel("entropy of q, nats")
        right.spines["right"].set_visible(True)
        alt = f"effective number of {noun}s over updates, {effective[-1]:.1f} at the end"
        return svg_of(figure, "effective", alt)


def _thinned(path):
    step = -(-len(path) // _MOST_POINTS)
    kept = list(path[::step])
    return kept if not path or kept[-1] is path[-1] else [*kept, path[-1]]
