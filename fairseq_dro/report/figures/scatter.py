"""One point per language: its CER against its loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairseq_dro.report.figures.style import COLOURS, INK, canvas, svg_of

_WIDTH, _HEIGHT = 3.3, 2.6  # inches
_ALL_NAMED = 20
_MOST_NAMED = 6


def draw_loss_against_cer(loss: Mapping[str, float], cer: Mapping[str, float]) -> str:
    """Languages that have both numbers; up to 20 are all named, of more the extremes."""
    x, y = loss, {code: 100 * value for code, value in cer.items()}
    x_label, y_label = "group loss in training, nats", "validation CER, %"
    codes = sorted(code for code in x if code in y and x[code] == x[code] and y[code] == y[code])
    with canvas(_WIDTH, _HEIGHT) as figure:
        axis = figure.subplots()
        axis.plot(
            [x[c] for c in codes], [y[c] for c in codes], linestyle="none", marker="o",
            markersize=3.5, markerfacecolor="none", markeredgecolor=COLOURS[0],
        )  # fmt: skip
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.margins(x=0.12, y=0.1)
        for code in _apart(axis, _named(codes, x, y), x, y):
            axis.annotate(
                code, (x[code], y[code]), xytext=(3, 3), textcoords="offset points", fontsize=7,
                color=INK,
            )  # fmt: skip
        alt = f"{y_label} against {x_label}, {len(codes)} groups"
        return svg_of(figure, "loss against cer", alt)


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


def _named(codes: Sequence[str], x: Mapping[str, float], y: Mapping[str, float]) -> list[str]:
    if len(codes) <= _ALL_NAMED:
        return list(codes)
    by_y = sorted(codes, key=lambda code: y[code])
    by_x = sorted(codes, key=lambda code: x[code])
    half = _MOST_NAMED // 2
    return list(dict.fromkeys([*by_y[-half:], *by_y[:1], *by_x[-1:], *by_x[:1]]))
