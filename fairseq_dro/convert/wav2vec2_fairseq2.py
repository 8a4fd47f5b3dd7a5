"""wav2vec 2.0 encoders of fairseq2, Omnilingual ASR among them, read.

Their files hold weights and no configuration: sizes are those of the weights, and what no shape
says is as in all that was published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fairseq_dro.convert.names import NameTable, require_none_left
from fairseq_dro.convert.pretrained_wav2vec2 import PretrainedWav2Vec2, draw_mask
from fairseq_dro.convert.source import Source
from fairseq_dro.errors import UserError

_FRONT = "encoder_frontend"
_CONV = f"{_FRONT}.feature_extractor.layers"
_POSITIONS = f"{_FRONT}.pos_encoder.conv"
NAMES = NameTable(
    {
        f"{_CONV}.{{n}}.conv.{{part}}": "feature_extractor.conv_layers.{n}.0.{part}",
        f"{_CONV}.{{n}}.layer_norm.{{part}}": "feature_extractor.conv_layers.{n}.2.1.{part}",
        f"{_CONV}.0.group_norm.{{part}}": "feature_extractor.conv_layers.0.2.{part}",
        f"{_FRONT}.post_extract_layer_norm.{{part}}": "layer_norm.{part}",
        f"{_FRONT}.model_dim_proj.{{part}}": "post_extract_proj.{part}",
        f"{_POSITIONS}.bias": "encoder.pos_conv.0.bias",
        f"{_POSITIONS}.weight_g": "encoder.pos_conv.0.weight_g",
        f"{_POSITIONS}.weight_v": "encoder.pos_conv.0.weight_v",
        f"{_POSITIONS}.parametrizations.weight.original0": "encoder.pos_conv.0.weight_g",
        f"{_POSITIONS}.parametrizations.weight.original1": "encoder.pos_conv.0.weight_v",
        f"{_FRONT}.layer_norm.{{part}}": "encoder.layer_norm.{part}",  # where norms come behind
        "encoder.layer_norm.{part}": "encoder.layer_norm.{part}",
        **{
            f"encoder.layers.{{n}}.{theirs}.{{part}}": f"encoder.layers.{{n}}.{ours}.{{part}}"
            for theirs, ours in {
                **{f"self_attn.{x}_proj": f"self_attn.{x}_proj" for x in ("q", "k", "v")},
                "self_attn.output_proj": "self_attn.out_proj",
                "self_attn_layer_norm": "self_attn_layer_norm",
                "ffn.inner_proj": "fc1",
                "ffn.output_proj": "fc2",
                "ffn_layer_norm": "final_layer_norm",
            }.items()
        },
        "final_proj.{part}": "final_proj.{part}",
        "masker.temporal_mask_embed": "mask_emb",
        "quantizer.entries": "quantizer.vars",
        "quantizer.entry_proj.{part}": "quantizer.weight_proj.{part}",
        "final_target_proj.{part}": "project_q.{part}",
    }
)
LEFT_OUT = ("quantizer.num_updates",)

STRIDES = (5, 2, 2, 2, 2, 2, 2)
HEADS = {768: 12, 1024: 16, 1280: 16, 2048: 16}
"""By width; of base, 300M (large), 1B, and 3B and 7B."""


def _weights(state: Mapping[str, Any]) -> Mapping[str, Any]:
    inside = state.get("model")
    return inside if isinstance(inside, Mapping) else state


def recognises(source: Source) -> bool:
    """Whether it is a file of fairseq2's."""
    return any(str(name).startswith(f"{_FRONT}.") for name in _weights(source.state))


def read(source: Source) -> PretrainedWav2Vec2:
    """The encoder; of a CTC model without its output layer.

    Raises:
        UserError: the file holds something else beside it, or is of a width without known heads.
    """
    path, notes = str(source.place), []
    weights = {
        name: weight.float()
        for name, weight in _weights(source.state).items()
        if name not in LEFT_OUT and torch.is_tensor(weight)
    }
    if "quantizer.entries" not in weights:
        head = [name for name in weights if name.startswith("final_proj.")]
        weights = {name: weight for name, weight in weights.items() if name not in head}
        if head:
            notes.append("the output layer (final_proj) left out, whose units are sentencepiece's")
    found, left = NAMES.to_ours(weights)
    require_none_left(left, path, "a wav2vec 2.0 encoder")
    options = to_options(weights, found, path)
    notes += draw_mask(found, options["encoder_embed_dim"])
    normalize = options["extractor_mode"] == "layer_norm"
    notes.append(f"normalize={str(normalize).lower()} by the kind of extractor")
    return PretrainedWav2Vec2(path, options, found, normalize, None, tuple(notes))


def to_options(
    weights: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], path: str
) -> dict[str, Any]:
    """The section ``model`` of fairseq's configuration, from the shapes.

    Args:
        weights, found: by their names and by ours.

    Raises:
        UserError: a weight that says a size is missing, or the number of heads is not known.
    """
    try:
        return _to_options(weights, found, path)
    except KeyError as error:
        raise UserError(
            f"{path} lacks {error.args[0]}: copy or download the file again."
        ) from None


def _to_options(
    weights: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], path: str
) -> dict[str, Any]:
    convolutions = [
        found[f"feature_extractor.conv_layers.{n}.0.weight"].shape for n in range(len(STRIDES))
    ]
    feed_forward, width = found["encoder.layers.0.fc1.weight"].shape
    _, per_group, conv_pos = found["encoder.pos_conv.0.weight_v"].shape
    if width not in HEADS:
        raise UserError(
            f"{path} is {width} wide, which no published encoder of fairseq2's is (known: "
            f"{', '.join(map(str, HEADS))}), so the number of its attention heads is not known."
        )
    is_group_norm = f"{_CONV}.0.group_norm.weight" in weights
    options = {
        "extractor_mode": "default" if is_group_norm else "layer_norm",
        "layer_norm_first": f"{_FRONT}.layer_norm.weight" not in weights,
        "activation_fn": "gelu",
        "conv_bias": "feature_extractor.conv_layers.0.0.bias" in found,
        "conv_feature_layers": repr(
            [(out, kernel, n) for (out, _, kernel), n in zip(convolutions, STRIDES)]
        ),
        "encoder_layers": sum(name.endswith(".fc1.weight") for name in found),
        "encoder_embed_dim": width,
        "encoder_ffn_embed_dim": feed_forward,
        "encoder_attention_heads": HEADS[width],
        "conv_pos": conv_pos,
        "conv_pos_groups": width // per_group,
        "quantize_targets": "quantizer.vars" in found,
    }
    if options["quantize_targets"]:
        _, n_entries, part = found["quantizer.vars"].shape
        n_groups = found["project_q.weight"].shape[1] // part
        options |= {
            "final_dim": found["final_proj.weight"].shape[0],
            "latent_dim": n_groups * part,
            "latent_groups": n_groups,
            "latent_vars": n_entries // n_groups,
        }
    return options
