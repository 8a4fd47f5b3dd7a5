"""The options of wav2vec 2.0: Hugging Face's ``config.json`` and fairseq's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_dro.conv_layers import parse_layers
from fairseq_dro.errors import UserError

FIELDS = {
    "num_hidden_layers": "encoder_layers",
    "hidden_size": "encoder_embed_dim",
    "intermediate_size": "encoder_ffn_embed_dim",
    "num_attention_heads": "encoder_attention_heads",
    "do_stable_layer_norm": "layer_norm_first",
    "conv_bias": "conv_bias",
    "num_conv_pos_embeddings": "conv_pos",
    "num_conv_pos_embedding_groups": "conv_pos_groups",
    "hidden_dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "layerdrop": "encoder_layerdrop",
    "feat_proj_dropout": "dropout_input",
    "feat_quantizer_dropout": "dropout_features",
    "proj_codevector_dim": "final_dim",
    "codevector_dim": "latent_dim",
    "num_codevectors_per_group": "latent_vars",
    "num_codevector_groups": "latent_groups",
    "num_negatives": "num_negatives",
    "contrastive_logits_temperature": "logit_temp",
}
"""Options of ``config.json`` and of fairseq's ``Wav2Vec2Config`` that mean the same."""

EXTRACTORS = {"layer": "layer_norm", "group": "default"}
ACTIVATIONS = {"gelu": "gelu", "relu": "relu", "gelu_new": "gelu_accurate", "tanh": "tanh"}
FIXED = {
    "feat_extract_activation": "gelu", "layer_norm_eps": 1e-5, "add_adapter": False,
    "feat_extract_dropout": 0.0,
}  # fmt: skip
"""Options that fairseq has no choice of, with the value that it has."""


def to_options(config: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The section ``model`` of fairseq's configuration.

    Raises:
        UserError: an option is missing, or has a value that fairseq's model has not.
    """
    for name, value in FIXED.items():
        if config.get(name, value) != value:
            raise UserError(
                f"{path}/config.json has {name}={config[name]}, and fairseq's wav2vec 2.0 has "
                f"{value} only: it cannot be converted."
            )
    try:
        layers = [
            tuple(int(value) for value in layer)
            for layer in zip(*(config[f"conv_{part}"] for part in ("dim", "kernel", "stride")))
        ]
        return {
            "extractor_mode": EXTRACTORS[config["feat_extract_norm"]],
            "activation_fn": ACTIVATIONS[config["hidden_act"]],
            "conv_feature_layers": repr(layers),
            **{ours: config[theirs] for theirs, ours in FIELDS.items() if theirs in config},
            **{FIELDS[name]: config[name] for name in list(FIELDS)[:8]},
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}/config.json is not that of a wav2vec 2.0 of fairseq's ({error!r} is missing "
            "or has a value that fairseq does not know): use the folder as it was published."
        ) from None


def to_config(options: Mapping[str, Any], path: str) -> dict[str, Any]:
    """``config.json`` for the section ``model`` of a pre-training configuration.

    Raises:
        UserError: an option has a value that transformers does not know.
    """
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config

    options = {**vars(Wav2Vec2Config()), **options}
    options["final_dim"] = options["final_dim"] or options["encoder_embed_dim"]
    options["latent_dim"] = options["latent_dim"] or options["final_dim"]
    for name, value in _ELSEWHERE_FIXED.items():
        if options[name] != value:
            raise UserError(
                f"{path} was pre-trained with {name}={options[name]}, which transformers' "
                f"wav2vec 2.0 does not have: only {name}={value} can be converted."
            )
    config = {theirs: options[ours] for theirs, ours in FIELDS.items()}
    layers = parse_layers(options["conv_feature_layers"])
    config |= {f"conv_{part}": list(values) for part, values in
               zip(("dim", "kernel", "stride"), zip(*layers))}  # fmt: skip
    config["feat_extract_norm"] = _key(EXTRACTORS, options["extractor_mode"], path)
    config["hidden_act"] = _key(ACTIVATIONS, options["activation_fn"], path)
    return {"model_type": "wav2vec2", **config, **FIXED}


_ELSEWHERE_FIXED = {
    "layer_type": "transformer", "pos_conv_depth": 1, "crop_seq_to_multiple": 1,
    "quantize_input": False, "quantizer_depth": 1, "same_quantizer": False, "target_glu": False,
}  # fmt: skip
"""Options of fairseq's that transformers has no choice of."""


def _key(table: Mapping[str, str], value: str, path: str) -> str:
    for theirs, ours in table.items():
        if ours == value:
            return theirs
    raise UserError(f"{path} has {value}, which transformers does not: it cannot be converted.")


def of_fine_tuning(model: Mapping[str, Any], n_units: int) -> dict[str, Any]:
    """Options of ``wav2vec_ctc`` that transformers' own training would continue with."""
    masks = bool(model.get("apply_mask")) and float(model.get("mask_prob") or 0) > 0
    return {
        "architectures": ["Wav2Vec2ForCTC"], "vocab_size": n_units,
        "final_dropout": model.get("final_dropout", 0.0),
        "apply_spec_augment": masks,
        # above 0 in any case: else transformers has no place for the vector of masked frames
        "mask_time_prob": model["mask_prob"] if masks else 0.05,
        "mask_time_length": model.get("mask_length", 10),
        "mask_feature_prob": model.get("mask_channel_prob", 0.0),
        "mask_feature_length": model.get("mask_channel_length", 10),
        "ctc_loss_reduction": "mean", "ctc_zero_infinity": True,
    }  # fmt: skip


def of_feature_extractor(cfg: Mapping[str, Any], *, is_ctc: bool) -> dict[str, Any]:
    """``preprocessor_config.json``; audio is normalised as ``Wav2VecEncoder`` finds it.

    (fairseq's ``wav2vec2_asr.py:393``)
    """
    normalize = (cfg.get("task") or {}).get("normalize", cfg["model"].get("normalize", False))
    settings = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1,
        "sampling_rate": 16_000, "padding_side": "right", "padding_value": 0.0,
        "do_normalize": bool(normalize),
        "return_attention_mask": True,  # as fairseq, whatever the extractor
    }  # fmt: skip
    return settings | ({"processor_class": "Wav2Vec2Processor"} if is_ctc else {})
