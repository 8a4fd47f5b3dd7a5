"""Whisper in Hugging Face's layout: ``config.json``, weights, and what generation needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from fairseq_dro.convert.huggingface_folder import HuggingFaceModel, read_json, read_weights
from fairseq_dro.convert.names import NameTable, require_none_left
from fairseq_dro.convert.pretrained_whisper import LEARNED, PretrainedWhisper
from fairseq_dro.convert.source import Source

FIELDS = {
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_ctx": "max_target_positions",
    "n_text_state": "d_model",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}
"""openai's sizes and the options of ``config.json`` that say them."""

_LAYER, _BLOCK = "model.{side}.layers.{n}", "{side}.blocks.{n}"
_ATTENTION = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
NAMES = NameTable(
    {
        "model.encoder.conv{n}.{part}": "encoder.conv{n}.{part}",
        "model.encoder.layer_norm.{part}": "encoder.ln_post.{part}",
        "model.decoder.layer_norm.{part}": "decoder.ln.{part}",
        "model.decoder.embed_tokens.weight": "decoder.token_embedding.weight",
        "model.decoder.embed_positions.weight": "decoder.positional_embedding",
        f"{_LAYER}.self_attn_layer_norm.{{part}}": f"{_BLOCK}.attn_ln.{{part}}",
        f"{_LAYER}.encoder_attn_layer_norm.{{part}}": f"{_BLOCK}.cross_attn_ln.{{part}}",
        f"{_LAYER}.final_layer_norm.{{part}}": f"{_BLOCK}.mlp_ln.{{part}}",
        f"{_LAYER}.fc1.{{part}}": f"{_BLOCK}.mlp.0.{{part}}",
        f"{_LAYER}.fc2.{{part}}": f"{_BLOCK}.mlp.2.{{part}}",
        **{
            f"{_LAYER}.{theirs}.{projection}.{{part}}": f"{_BLOCK}.{ours}.{name}.{{part}}"
            for theirs, ours in (("self_attn", "attn"), ("encoder_attn", "cross_attn"))
            for projection, name in _ATTENTION.items()
        },
    }
)
_POSITIONS = "model.encoder.embed_positions.weight"
LEFT_OUT = ("proj_out.weight", _POSITIONS)
"""Tied to the embedding, and computed."""


def recognises(source: Source) -> bool:
    """Whether it is a folder of a Whisper."""
    return all(key in source.config for key in FIELDS.values())


def read(source: Source) -> PretrainedWhisper:
    """Raises:
    UserError: a file is missing or cut.
    """
    config, folder = source.config, source.place
    weights = read_weights(folder)
    if not any(name.startswith("model.") for name in weights):  # of a bare WhisperModel
        weights = {f"model.{name}": weight for name, weight in weights.items()}
    found, left = NAMES.to_ours(weights)
    found |= {name: weights[name] for name in left if name not in LEFT_OUT}  # to be refused
    generation = {**config, **(read_json(folder / "generation_config.json") or {})}
    return PretrainedWhisper(
        str(folder),
        {ours: int(config[theirs]) for ours, theirs in FIELDS.items()},
        {name: weight.float() for name, weight in found.items()},
        source.tokenizer,
        _tokens(generation.get("suppress_tokens")),
        _tokens(generation.get("begin_suppress_tokens")),
        learned={key: value for key, value in (config.get(OURS) or {}).items() if key in LEARNED},
    )


def _tokens(values: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(int(value) for value in values)


# --- given away ---

_LANGUAGE = re.compile(r"<\|[a-z]{2,3}(?:_[a-z0-9]+)*\|>")
OURS = "fairseq_dro"
"""Of ``config.json``: what training knew beside the weights, so that a model can come back."""
END, START = "<|endoftext|>", "<|startoftranscript|>"
USE = """\
from transformers import pipeline

recogniser = pipeline("automatic-speech-recognition", model="{model}")
# greedy; without a language, transformers detects it
how = {{"language": "{language}", "num_beams": 1}}
print(recogniser("speech.wav", generate_kwargs=how)["text"])
"""
PADDED = (
    "Audio is padded to 30 s, in training and here, as transformers does: longer recordings have "
    "to be cut (chunk_length_s=30)."
)
TRUE_LENGTH = (
    "It was trained on audio at its true length (model.pad_to_seconds=0), and transformers pads "
    "everything to 30 s: there it writes worse text than the numbers say. `fairseq-dro transcribe` "
    "keeps the rule of training."
)
LIMITS = (
    "Greedy decoding. `fairseq-dro` stops a text that repeats itself or grows longer than those of "
    "training; transformers does not, so loops can be longer there.",
)


def write(checkpoint: Mapping[str, Any], path: str) -> HuggingFaceModel:
    """A ``WhisperForConditionalGeneration`` with tokenizer, feature extractor and generation
    configuration.

    Args:
        checkpoint: of ``whisper``, its ``cfg`` in plain values and its vocabulary complete.

    Raises:
        UserError: it holds weights that Whisper does not have.
    """
    model, vocabulary = checkpoint["cfg"]["model"], checkpoint["task_state"]["whisper"]
    dims = model["dims"]
    found, left = NAMES.to_theirs(checkpoint["model"])
    require_none_left(left, path, "Whisper")
    found = {name: weight.float() for name, weight in found.items()}
    found[_POSITIONS] = _sinusoids(dims["n_audio_ctx"], dims["n_audio_state"])
    tokens = {
        token["content"]: token["id"]
        for token in json.loads(vocabulary["tokenizer"])["added_tokens"]
    }
    ends = {
        "bos_token_id": tokens[END], "eos_token_id": tokens[END], "pad_token_id": tokens[END],
        "decoder_start_token_id": tokens[START],
    }  # fmt: skip
    width = dims["n_text_state"]
    config = {
        "model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"],
        **{theirs: dims[ours] for ours, theirs in FIELDS.items()},
        "encoder_ffn_dim": 4 * width, "decoder_ffn_dim": 4 * width,
        "num_hidden_layers": dims["n_audio_layer"], "activation_function": "gelu",
        "scale_embedding": False, "tie_word_embeddings": True, "is_encoder_decoder": True,
        "dropout": model.get("dropout", 0.0),
        "attention_dropout": model.get("attention_dropout", 0.0),
        "activation_dropout": model.get("activation_dropout", 0.0), **ends,
        OURS: {key: value for key, value in {**vocabulary, **model}.items() if key in LEARNED},
    }  # fmt: skip
    generation = {
        **ends, "is_multilingual": True, "max_length": dims["n_text_ctx"],
        "lang_to_id": {name: token for name, token in tokens.items() if _LANGUAGE.fullmatch(name)},
        "task_to_id": {task: tokens[f"<|{task}|>"] for task in ("transcribe", "translate")},
        "task": "transcribe", "return_timestamps": False,
        "no_timestamps_token_id": tokens["<|notimestamps|>"],
        "prev_sot_token_id": tokens["<|startofprev|>"],
        "suppress_tokens": list(vocabulary["suppress"]),
        "begin_suppress_tokens": list(vocabulary["begin_suppress"]),
    }  # fmt: skip
    extractor = {
        "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": dims["n_mels"],
        "sampling_rate": 16_000, "hop_length": 160, "chunk_length": 30, "n_fft": 400,
        "padding_side": "right", "padding_value": 0.0, "return_attention_mask": False,
        "processor_class": "WhisperProcessor",
    }  # fmt: skip
    settings = {
        "tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor",
        "bos_token": END, "eos_token": END, "unk_token": END, "pad_token": END,
        "add_prefix_space": False, "clean_up_tokenization_spaces": False,
        "model_max_length": dims["n_text_ctx"],
    }  # fmt: skip
    codes = vocabulary.get("language_codes") or {}
    example = next((f"<|{code}|>" for code in codes.values()), "<|en|>")
    rule = PADDED if model.get("pad_to_seconds") == 30 else TRUE_LENGTH
    return HuggingFaceModel(
        {
            "config.json": config, "generation_config.json": generation,
            "preprocessor_config.json": extractor, "tokenizer_config.json": settings,
            "tokenizer.json": vocabulary["tokenizer"],
        },
        found,
        USE.replace("{language}", example),
        (rule, _language_tokens(codes), *LIMITS) if codes else (rule, *LIMITS),
    )  # fmt: skip


def _sinusoids(length: int, width: int) -> torch.Tensor:
    """[T, C] sines, then cosines, which transformers reads as if they were weights."""
    places = torch.arange(width // 2, dtype=torch.float64) / (width // 2 - 1)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * 10_000.0**-places
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def _language_tokens(codes: Mapping[str, str]) -> str:
    named = ", ".join(f"{language} <|{code}|>" for language, code in sorted(codes.items()))
    return f"Languages are named by their tokens in generate_kwargs: {named}."
