"""Whisper in Hugging Face's layout: ``config.json`` and safetensors or ``pytorch_model.bin``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.errors import UserError

_DIMS = {
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
_FILES = ("model.safetensors", "pytorch_model.bin")
_ATTENTION = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "out_proj"}


def names(dims: Mapping[str, int]) -> dict[str, str]:
    """Hugging Face's name of each weight, by openai's name."""
    found = {
        "decoder.token_embedding.weight": "model.decoder.embed_tokens.weight",
        "decoder.positional_embedding": "model.decoder.embed_positions.weight",
    }

    def add(ours: str, theirs: str, bias: bool = True) -> None:
        for part in ("weight", "bias") if bias else ("weight",):
            found[f"{ours}.{part}"] = f"model.{theirs}.{part}"

    for conv in ("conv1", "conv2"):
        add(f"encoder.{conv}", f"encoder.{conv}")
    add("encoder.ln_post", "encoder.layer_norm")
    add("decoder.ln", "decoder.layer_norm")
    for side, count in (("encoder", dims["n_audio_layer"]), ("decoder", dims["n_text_layer"])):
        attentions = {"attn": "self_attn"}
        if side == "decoder":
            attentions["cross_attn"] = "encoder_attn"
        for n in range(count):
            ours, theirs = f"{side}.blocks.{n}", f"{side}.layers.{n}"
            for attention, name in attentions.items():
                add(f"{ours}.{attention}_ln", f"{theirs}.{name}_layer_norm")
                for part, projection in _ATTENTION.items():
                    add(
                        f"{ours}.{attention}.{part}", f"{theirs}.{name}.{projection}",
                        bias=part != "key",
                    )  # fmt: skip
            add(f"{ours}.mlp_ln", f"{theirs}.final_layer_norm")
            add(f"{ours}.mlp.0", f"{theirs}.fc1")
            add(f"{ours}.mlp.2", f"{theirs}.fc2")
    return found


def read(folder: Path) -> PretrainedWhisper:
    """Raises:
    UserError: a file is missing, cut, or of another kind of model.
    """
    config = _json(folder / "config.json")
    if config is None or any(key not in config for key in _DIMS.values()):
        raise UserError(
            f"model.whisper_path={folder} is no folder of a Whisper: expected Hugging Face's "
            "config.json and model.safetensors, or CTranslate2's model.bin, in it."
        )
    dims = {ours: int(config[theirs]) for ours, theirs in _DIMS.items()}
    weights = {}
    for file in _weight_files(folder):
        weights.update(_read_weights(file))
    if not any(name.startswith("model.") for name in weights):  # of a bare WhisperModel
        weights = {f"model.{name}": weight for name, weight in weights.items()}
    known = {theirs: ours for ours, theirs in names(dims).items()}
    left_out = ("proj_out.weight", "model.encoder.embed_positions.weight")  # tied, computed
    generation = {**config, **(_json(folder / "generation_config.json") or {})}
    return PretrainedWhisper(
        str(folder), dims,
        {known.get(k, k): w.float() for k, w in weights.items() if k not in left_out},
        None,
        _tokens(generation.get("suppress_tokens")),
        _tokens(generation.get("begin_suppress_tokens")),
    )  # fmt: skip


def _weight_files(folder: Path) -> list[Path]:
    for name in _FILES:
        index = _json(folder / f"{name}.index.json")
        if index is not None:
            return [folder / part for part in sorted(set(index["weight_map"].values()))]
        if (folder / name).exists():
            return [folder / name]
    raise UserError(f"{folder} holds no weights: expected {' or '.join(_FILES)} in it.")


def _read_weights(file: Path) -> dict[str, torch.Tensor]:
    try:
        if file.suffix == ".safetensors":
            return _safetensors().load_file(file)
        return torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except UserError:
        raise
    except Exception as error:  # safetensors and torch raise many kinds
        first = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(
            f"{file} cannot be read ({first}): it was cut or is another file; copy or download it "
            "again."
        ) from None


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise UserError(
            "reading model.safetensors needs the library safetensors, which is not installed: "
            "type `python -m pip install safetensors`."
        ) from None
    return safetensors.torch


def _json(file: Path) -> dict[str, Any] | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{file} is no JSON ({error}): copy or download it again.") from None


def _tokens(values: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(int(value) for value in values)
