"""The names of wav2vec 2.0's weights in Hugging Face's layout and in fairseq's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fairseq_dro.convert.names import NameTable, require_none_left
from fairseq_dro.errors import UserError

_POSITIONS = "encoder.pos_conv_embed.conv"
_EVERYWHERE = {
    "masked_spec_embed": "mask_emb",
    "feature_extractor.conv_layers.{n}.conv.{part}": "feature_extractor.conv_layers.{n}.0.{part}",
    "feature_projection.layer_norm.{part}": "layer_norm.{part}",
    "feature_projection.projection.{part}": "post_extract_proj.{part}",
    f"{_POSITIONS}.bias": "encoder.pos_conv.0.bias",
    # torch's two spellings of weight norm; transformers reads both
    f"{_POSITIONS}.weight_g": "encoder.pos_conv.0.weight_g",
    f"{_POSITIONS}.weight_v": "encoder.pos_conv.0.weight_v",
    f"{_POSITIONS}.parametrizations.weight.original0": "encoder.pos_conv.0.weight_g",
    f"{_POSITIONS}.parametrizations.weight.original1": "encoder.pos_conv.0.weight_v",
    "encoder.layer_norm.{part}": "encoder.layer_norm.{part}",
    **{
        f"encoder.layers.{{n}}.{theirs}.{{part}}": f"encoder.layers.{{n}}.{ours}.{{part}}"
        for theirs, ours in {
            **{f"attention.{x}_proj": f"self_attn.{x}_proj" for x in ("q", "k", "v", "out")},
            "layer_norm": "self_attn_layer_norm",
            "feed_forward.intermediate_dense": "fc1",
            "feed_forward.output_dense": "fc2",
            "final_layer_norm": "final_layer_norm",
        }.items()
    },
    "quantizer.codevectors": "quantizer.vars",
    "quantizer.weight_proj.{part}": "quantizer.weight_proj.{part}",
    "project_q.{part}": "project_q.{part}",
    "project_hid.{part}": "final_proj.{part}",
}
_NORM = "feature_extractor.conv_layers.{n}.layer_norm.{part}"
NAMES = {
    "layer_norm": NameTable(
        {**_EVERYWHERE, _NORM: "feature_extractor.conv_layers.{n}.2.1.{part}"}
    ),
    "default": NameTable({**_EVERYWHERE, _NORM: "feature_extractor.conv_layers.{n}.2.{part}"}),
}
"""By ``extractor_mode``, for the norm of the extractor stands at different places in fairseq."""

PREFIX = "wav2vec2."
HEAD = "lm_head."
PROJECTION = "post_extract_proj."
LEFT_OUT = {
    ".adapter_layer.": "adapters of languages",
    "projector.": "a head for classification",
    "classifier.": "a head for classification",
    "lm_head.": "the output layer of the adapters",
}
"""What is no part of the encoder, by what its names contain."""

_PROJECTED = "feature_projection.projection."
_OUTSIDE = ("quantizer.", "project_q.", "project_hid.")


def encoder_to_ours(
    weights: Mapping[str, torch.Tensor], mode: str, path: str
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """An encoder's weights under fairseq's names, and notes on what was left out.

    Args:
        weights: without ``PREFIX``.
        mode: ``extractor_mode``.

    Raises:
        UserError: there are weights that fairseq's model has not.
    """
    found, left = NAMES[mode].to_ours(weights)
    notes = []
    for part, what in LEFT_OUT.items():
        of_this = [name for name in left if part in name]
        if of_this:
            left = [name for name in left if name not in of_this]
            notes.append(f"{what} ({len(of_this)} weights, such as {of_this[0]}) left out")
    require_none_left(left, path, "a wav2vec 2.0 of fairseq's")
    return found, notes


def encoder_to_theirs(
    weights: Mapping[str, torch.Tensor], mode: str, width: int, path: str
) -> dict[str, torch.Tensor]:
    """An encoder's weights under transformers' names.

    Args:
        width: of the encoder.

    Raises:
        UserError: there are weights that transformers' model has not.
    """
    found, left = NAMES[mode].to_theirs(weights)
    require_none_left(left, path, "transformers' wav2vec 2.0")
    if f"{_PROJECTED}weight" not in found:  # the extractor is as wide as the encoder
        found[f"{_PROJECTED}weight"] = torch.eye(width)
        found[f"{_PROJECTED}bias"] = torch.zeros(width)
    return {
        name if name.startswith(_OUTSIDE) else f"{PREFIX}{name}": weight
        for name, weight in found.items()
    }


def settle_projection(
    weights: dict[str, torch.Tensor], options: Mapping[str, Any], path: str
) -> None:
    """fairseq has no projection behind an extractor that is as wide as the encoder."""
    width = options["encoder_embed_dim"]
    weight = weights.get(f"{PROJECTION}weight")
    if weight is None or weight.shape != (width, width):
        return
    if not torch.equal(weight, torch.eye(width)) or weights[f"{PROJECTION}bias"].any():
        raise UserError(
            f"{path} projects an extractor of {width} channels to an encoder of the same width, "
            "where fairseq's wav2vec 2.0 has no projection: it cannot be converted."
        )
    del weights[f"{PROJECTION}weight"], weights[f"{PROJECTION}bias"]
