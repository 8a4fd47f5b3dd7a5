"""The learned weights of a frozen encoder's hidden layers."""

from __future__ import annotations

import math

from fairseq_dro.report.blocks import Block, Figure, Paragraph
from fairseq_dro.report.figures.layer_weights import draw_layer_weights
from fairseq_dro.report.report_data import ReportData


def layers_blocks(data: ReportData) -> list[Block]:
    """Those of the last validation; empty for a model that has none."""
    known = [record for record in data.run.validations if record.get("layer_weights")]
    if not known:
        return []
    last = known[-1]["layer_weights"]
    heaviest = max(last, key=lambda layer: last[layer])
    entropy = -sum(weight * math.log(weight) for weight in last.values() if weight > 0)
    text = (
        f"At update {known[-1]['update']:,} hidden layer {heaviest} of the frozen encoder counts "
        f"most, {last[heaviest]:.2f}; the weights sum to 1, as if {math.exp(entropy):.1f} of "
        f"{len(last)} layers counted the same."
    )
    caption = (
        "Weight of each hidden layer in the sum that the head sees; dotted: where all began. "
        "Layer 0 is what the first block sees, the last is the encoder's output."
    )
    return [Paragraph(text), Figure([draw_layer_weights(last)], caption, alt=caption)]
