"""wav2vec 2.0, XLS-R and MMS in Hugging Face's layout, encoders and CTC models, read and written.

The two libraries compute the same function of the same samples. What differs is around it:
transformers adds 1e-7 to the variance of the audio where fairseq adds 1e-5, and with a group-norm
extractor it leaves out the padding mask by default (``return_attention_mask``); fairseq gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fairseq_dro.conv_layers import parse_layers
from fairseq_dro.convert.huggingface_folder import HuggingFaceModel, read_json, read_weights
from fairseq_dro.convert.names import NameTable, require_none_left
from fairseq_dro.convert.pretrained_wav2vec2 import (
    ENCODER,
    NEVER,
    OUTPUT,
    SPECIAL,
    CtcOutput,
    PretrainedWav2Vec2,
    draw_mask,
)
from fairseq_dro.convert.source import Source
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


def recognises(source: Source) -> bool:
    """Whether it is a folder of a wav2vec 2.0."""
    return source.config.get("model_type") == "wav2vec2"


def read(source: Source) -> PretrainedWav2Vec2:
    """An encoder, or a CTC model where there are an output layer and ``vocab.json``.

    Raises:
        UserError: a file is missing or cut, or the model has what fairseq's has not.
    """
    config, folder = source.config, source.place
    options = to_options(config, str(folder))
    weights = {
        name.removeprefix(PREFIX): weight.float() for name, weight in read_weights(folder).items()
    }
    head = {name: weights[name] for name in weights if name.startswith(HEAD)}
    has_adapters = any(".adapter_layer." in name for name in weights)
    output, notes = None, []
    if head and not has_adapters:
        weights = {name: weight for name, weight in weights.items() if name not in head}
        output = _output(folder, config, head)
    found, left = NAMES[options["extractor_mode"]].to_ours(weights)
    for part, what in LEFT_OUT.items():
        of_this = [name for name in left if part in name]
        if of_this:
            left = [name for name in left if name not in of_this]
            notes.append(f"{what} ({len(of_this)} weights, such as {of_this[0]}) left out")
    more = sorted(folder.glob("adapter.*"))
    if more:
        notes.append(f"{len(more)} files of adapters ({more[0].name} ...) left out")
    require_none_left(left, str(folder), "a wav2vec 2.0 of fairseq's")
    options["quantize_targets"] = "quantizer.vars" in found
    _settle_projection(found, options, str(folder))
    notes += draw_mask(found, options["encoder_embed_dim"])
    extractor = read_json(folder / "preprocessor_config.json")
    if extractor is None:
        normalize = options["extractor_mode"] == "layer_norm"
        notes.append(f"normalize={str(normalize).lower()} by the kind of extractor, for there is "
                     "no preprocessor_config.json")  # fmt: skip
    else:
        normalize = bool(extractor.get("do_normalize", True))
        rate = extractor.get("sampling_rate", 16_000)
        if rate != 16_000:
            raise UserError(f"{folder} is of a model for audio at {rate} Hz: expected 16000.")
    return PretrainedWav2Vec2(str(folder), options, found, normalize, output, tuple(notes))


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


def _settle_projection(
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


def _output(
    folder: Path, config: Mapping[str, Any], head: Mapping[str, torch.Tensor]
) -> CtcOutput:
    """The output layer with fairseq's four special units in front; ``[PAD]`` becomes ``<s>``."""
    vocabulary = read_json(folder / "vocab.json")
    weight, bias = (head.get(f"{HEAD}{part}") for part in ("weight", "bias"))
    if vocabulary is None or weight is None or bias is None:
        raise UserError(
            f"{folder} has an output layer but no {'vocab.json' if weight is not None else 'bias'}"
            ": copy or download the folder whole."
        )
    names = {**_NAMES, **_named(folder)}
    row_of = {str(unit): row for unit, row in vocabulary.items()}
    if sorted(map(str, row_of.values())) != sorted(map(str, range(len(weight)))):
        raise UserError(
            f"{folder / 'vocab.json'} has {len(row_of)} units and the output layer {len(weight)} "
            "rows: use the vocab.json that was published with the weights."
        )
    blank = row_of.get(names["pad_token"], config.get("pad_token_id"))
    by_row = {row: unit for unit, row in row_of.items()}
    special = [by_row.get(blank)] + [
        names[f"{kind}_token"] if names[f"{kind}_token"] in row_of else None
        for kind in ("bos", "eos", "unk")
    ]
    if special[0] is None:
        raise UserError(
            f"{folder / 'vocab.json'} has no {names['pad_token']}, which is the blank of CTC: use "
            "the vocab.json and tokenizer_config.json that were published with the weights."
        )
    special = [unit if unit not in special[:place] else None for place, unit in enumerate(special)]
    letters = [by_row[row] for row in sorted(by_row) if by_row[row] not in special]
    shown = ["|" if unit == names["word_delimiter_token"] else unit for unit in letters]
    rows = [None if unit is None else row_of[unit] for unit in (*special, *letters)]
    kept = torch.tensor([row if row is not None else 0 for row in rows])
    weight, bias = weight[kept], bias[kept]
    for place, row in enumerate(rows):
        if row is None:
            weight[place], bias[place] = 0.0, NEVER
    return CtcOutput((*SPECIAL, *shown), weight, bias)


_NAMES = {
    "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
    "word_delimiter_token": "|",
}  # fmt: skip
"""What transformers' ``Wav2Vec2CTCTokenizer`` calls its special tokens by default."""


def _named(folder: Path) -> dict[str, str]:
    """What this tokenizer calls them."""
    found = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        for name, token in (read_json(folder / file) or {}).items():
            token = token.get("content") if isinstance(token, dict) else token
            if name in _NAMES and isinstance(token, str):
                found[name] = token
    return found


# --- given away ---


def write(checkpoint: Mapping[str, Any], path: str) -> HuggingFaceModel:
    """A ``Wav2Vec2ForCTC`` with tokenizer and feature extractor, or the pre-trained encoder.

    Args:
        checkpoint: of ``wav2vec_ctc`` or ``wav2vec2``, its ``cfg`` in plain values.

    Raises:
        UserError: it has what transformers has not.
    """
    cfg = checkpoint["cfg"]
    is_ctc = cfg["model"]["_name"] == "wav2vec_ctc"
    pretraining = cfg["model"]["w2v_args"] if is_ctc else cfg
    options = pretraining["model"]
    config = to_config(options, path)
    weights = {name: weight.float() for name, weight in checkpoint["model"].items()}
    weights.pop("_ema", None)
    head = {}
    if is_ctc:
        head = {f"{HEAD}{part}": weights.pop(f"{OUTPUT}{part}") for part in ("weight", "bias")}
        weights = {name.removeprefix(ENCODER): weight for name, weight in weights.items()}
    found, left = NAMES[options["extractor_mode"]].to_theirs(weights)
    require_none_left(left, path, "transformers' wav2vec 2.0")
    if f"{_PROJECTED}weight" not in found:  # the extractor is as wide as the encoder
        found[f"{_PROJECTED}weight"] = torch.eye(config["hidden_size"])
        found[f"{_PROJECTED}bias"] = torch.zeros(config["hidden_size"])
    found = {
        name if name.startswith(_OUTSIDE) else f"{PREFIX}{name}": weight
        for name, weight in found.items()
    }
    extractor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1,
        "sampling_rate": 16_000, "padding_side": "right", "padding_value": 0.0,
        "do_normalize": bool(_normalize(cfg)),
        "return_attention_mask": True,  # as fairseq, whatever the extractor
    }  # fmt: skip
    files = {"config.json": config, "preprocessor_config.json": extractor}
    if not is_ctc:
        has_quantizer = "quantizer.codevectors" in found
        config["architectures"] = ["Wav2Vec2ForPreTraining" if has_quantizer else "Wav2Vec2Model"]
        return HuggingFaceModel(files, found)
    files |= _tokenizer(cfg, checkpoint, path)
    extractor["processor_class"] = "Wav2Vec2Processor"
    config |= _of_fine_tuning(cfg["model"], len(head[f"{HEAD}bias"]))
    config["pad_token_id"] = files["vocab.json"][BLANK]
    head[f"{HEAD}bias"] = _with_blank_weight(head[f"{HEAD}bias"], cfg["model"], path)
    return HuggingFaceModel(files, found | head, CTC_USE, CTC_LIMITS)


def _normalize(cfg: Mapping[str, Any]) -> bool:
    """As ``Wav2VecEncoder`` finds it (wav2vec2_asr.py:393)."""
    return (cfg.get("task") or {}).get("normalize", cfg["model"].get("normalize", False))


BLANK = "[PAD]"
CTC_USE = """\
from transformers import pipeline

recogniser = pipeline("automatic-speech-recognition", model="{model}")
print(recogniser("speech.wav")["text"])  # longer than a minute: add chunk_length_s=30
"""
CTC_LIMITS = (
    "Greedy decoding without a language model; the text is as it was in training, most often "
    "without punctuation and in lower case.",
    "fairseq adds 1e-5 to the variance of a recording before it is scaled, transformers 1e-7: very "
    "quiet recordings can come out differently there.",
)
_PROJECTED = "feature_projection.projection."
_OUTSIDE = ("quantizer.", "project_q.", "project_hid.")


def _of_fine_tuning(model: Mapping[str, Any], n_units: int) -> dict[str, Any]:
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


def _with_blank_weight(
    bias: torch.Tensor, model: Mapping[str, Any], path: str
) -> torch.Tensor:
    """``model.blank_weight`` is added to the first unit (wav2vec2_asr.py:214)."""
    added = float(model.get("blank_weight") or 0)
    if added and model.get("blank_mode", "add") != "add":
        raise UserError(
            f"{path} was trained with model.blank_mode={model['blank_mode']}, which transformers "
            "does not have: it cannot be exported as a Hugging Face folder."
        )
    bias = bias.clone()
    bias[0] += added
    return bias


def _tokenizer(
    cfg: Mapping[str, Any], checkpoint: Mapping[str, Any], path: str
) -> dict[str, Any]:
    """``vocab.json`` and what stands beside it, rows in the order of the dictionary."""
    joined_by = (cfg.get("criterion") or {}).get("post_process") or "letter"
    dictionary = (checkpoint.get("task_state") or {}).get("target_dictionary")
    if dictionary is None or joined_by != "letter":
        raise UserError(
            f"{path} writes units that are joined by post_process={joined_by}, and transformers' "
            "tokenizer of CTC models joins letters: only models of letters (dict.ltr.txt) can be "
            "exported."
        )
    units = list(dictionary.symbols)
    blank = dictionary.indices.get("<ctc_blank>", dictionary.bos())
    units[blank] = BLANK
    if blank == dictionary.bos():
        units[dictionary.pad()] = "<s>"  # a unit that is never written, in either library
    if len(set(units)) < len(units):
        raise UserError(f"{path} has {BLANK} among its units, which is the blank of CTC there.")
    special = {
        "pad_token": BLANK, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"
    }  # fmt: skip
    settings = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer", "processor_class": "Wav2Vec2Processor",
        "word_delimiter_token": "|", "replace_word_delimiter_char": " ", "do_lower_case": False,
        "clean_up_tokenization_spaces": False, **special,
    }  # fmt: skip
    return {
        "vocab.json": {unit: row for row, unit in enumerate(units)},
        "tokenizer_config.json": settings, "special_tokens_map.json": special,
    }  # fmt: skip
