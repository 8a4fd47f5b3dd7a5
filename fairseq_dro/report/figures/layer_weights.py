"""How much each hidden layer of a frozen encoder counts, at the end of training."""

from __future__ import annotations

from collections.abc import Mapping

from fairseq_dro.report.figures.style import COLOURS, GREY, canvas, svg_of

_HEIGHT = 2.4  # inches
_LEAST_WIDTH, _INCHES_A_LAYER = 3.0, 0.2


def draw_layer_weights(weights: Mapping[str, float]) -> str:
    """A bar a layer; the line is where all began."""
    width = max(_LEAST_WIDTH, 1.0 + _INCHES_A_LAYER * len(weights))
    with canvas(width, _HEIGHT) as figure:
        axis = figure.subplots()
        places = range(len(weights))
        axis.bar(places, list(weights.values()), color=COLOURS[0], width=0.7)
        axis.set_xticks(places, list(weights))
        axis.axhline(1 / len(weights), color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        axis.set_ylim(0, None)
        axis.set_xlabel("hidden layer")
        axis.set_ylabel("weight")
        axis.tick_params(axis="x", labelsize=7)
        heaviest = max(weights, key=lambda layer: weights[layer])
        alt = f"weights of {len(weights)} hidden layers, the largest that of layer {heaviest}"
        return svg_of(figure, "layer weights", alt)
