"""A frozen encoder with learned weights of its layers, as a model of fairseq."""

from fairseq_dro.models.layer_weighted.ctc import LayerWeightedCtc

__all__ = ["LayerWeightedCtc"]
