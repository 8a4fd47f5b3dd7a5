"""How all pictures look, and how matplotlib's SVG is made fit to stand inside a page.

Colours are Okabe and Ito's (Nature Methods 8, 2011, p. 441), told apart by readers of any colour
vision; line style and marker repeat every difference, so that nothing is lost in black and white.
"""

from __future__ import annotations

import hashlib
import html
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, GREY, FAINT = "#222222", "#767676", "#d9d9d9"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "D", "^", "v", "P")
PX_PER_INCH = 96  # CSS pixels; a figure 4.2 inches wide is laid out 403 px wide

_SETTINGS = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and a page stays small
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "path.simplify": True,
    "text.parse_math": False,  # a $ in the name of a run or a group is a $
}
_FONTS = "'DejaVu Sans',Verdana,Arial,sans-serif"


@contextmanager
def canvas(
    width: float, height: float, margins: Mapping[str, float] | None = None
) -> Iterator[Figure]:
    """A figure of this size in inches, drawn with the house settings.

    Args:
        margins: where the axes end, as fractions of the figure; None finds what the labels need,
            which draws everything twice.
    """
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained" if margins is None else None)
        if margins is None:
            figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
        else:
            figure.subplots_adjust(**margins)
        yield figure


def svg_of(figure: Figure, name: str, alt: str, stem: Path | None = None) -> str:
    """The figure as an ``<svg>`` element, without a file's head.

    Its ids begin with ``name``, so that two pictures on one page never share one, and its one
    style rule is confined to itself. Equal pictures give equal text.

    Args:
        stem: write it to the files ``stem.png`` and ``stem.svg`` as well.
    """
    with rc_context({**_SETTINGS, "svg.hashsalt": name}):
        if figure.get_layout_engine() is not None:  # found once and not for every file
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        if stem is not None:
            figure.savefig(f"{stem}.png", dpi=160)
            figure.savefig(f"{stem}.svg", metadata={"Date": None})
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = "<svg" + stream.getvalue().partition("<svg")[2]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    prefix = "f" + hashlib.sha256(name.encode()).hexdigest()[:6]
    text = re.sub(r' id="(?!m|p[0-9a-f])[^"]*"', "", text)  # matplotlib's own names, never used
    text = re.sub(r'(id="|href="#|url\(#)(?=[^"]*["\)])', rf"\g<1>{prefix}", text)
    text = _shorter(text)
    size = re.match(r'<svg[^>]*? width="([\d.]+)pt" height="([\d.]+)pt"', text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    wide = float(size[1]) * PX_PER_INCH / 72
    head = (
        f'<svg role="img" aria-label="{html.escape(alt)}" '
        f'style="max-width:{wide:.0f}px;font-family:{_FONTS}"'
    )
    return text.replace("<svg", head, 1)


def _shorter(text: str) -> str:
    """The same picture in fewer bytes: fonts are said once, coordinates to a hundredth."""
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    text = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), text)
    text = re.sub(r"<g>\s*</g>", "", text)
    text = re.sub(r"\s*\n\s*", " ", text)
    return re.sub(r"> <", "><", text)


def label_ends(axis: Axes, ends: Sequence[tuple[float, str, str]], gap: float = 0.07) -> None:
    """Write (value, label, colour) right of the axis, pushed apart where they would collide.

    Call it when the limits of the axis stand.
    """
    if not ends:
        return
    low, high = axis.get_ylim()
    ends = sorted(ends)
    if len(ends) > 1 and ends[-1][0] - ends[0][0] < 1e-3 * (high - low):
        ends = [(ends[0][0], "all", GREY)]
    at = [(value - low) / ((high - low) or 1.0) for value, _, _ in ends]
    heights = list(at)
    for index in range(1, len(heights)):
        heights[index] = max(heights[index], heights[index - 1] + gap)
    top = 1.0
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], top)
        top = heights[index] - gap
    own = {"transform": axis.transAxes, "clip_on": False}
    for (_, label, colour), start, height in zip(ends, at, heights):
        axis.plot([1.0, 1.045], [start, height], color=colour, linewidth=0.5, **own)
        axis.text(1.05, height, label, color=colour, fontsize=8, va="center", **own)


def fitted(values: Iterable[float], lowest: float = 0.0) -> tuple[float, float]:
    """Ends of an axis for these values, with a margin; it begins at ``lowest`` unless they are far
    from it, further than they are apart.
    """
    known = [value for value in values if value == value]
    low, high = min(known, default=lowest), max(known, default=lowest + 1)
    margin = 0.05 * ((high - low) or abs(high) or 1.0)
    start = low - margin if low - lowest > high - low else lowest
    return max(lowest, start), high + margin


def shortened(label: str, length: int = 22) -> str:
    """At most ``length`` characters."""
    return label if len(label) <= length else f"{label[: length - 1]}…"
