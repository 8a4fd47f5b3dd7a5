"""Whisper's weights for tests: the real base model, or a small random one in every format."""

from __future__ import annotations

import json
import runpy
import struct
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from fairseq_dro.convert import whisper_huggingface
from fairseq_dro.models.whisper.dims import WhisperDims
from fairseq_dro.models.whisper.model import WhisperModel
from fairseq_dro.models.whisper.options import WhisperConfig
from tests.stock_commands import REPOSITORY

TINY = WhisperDims(
    n_mels=80, n_audio_ctx=1500, n_audio_state=64, n_audio_head=1, n_audio_layer=2,
    n_vocab=51865, n_text_ctx=448, n_text_state=64, n_text_head=1, n_text_layer=2,
)  # fmt: skip

LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th "
    "ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr "
    "pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt "
    "haw ln ha ba jw su"
).split()

NO_WEIGHTS = (
    "\n" + "#" * 100 + "\n# THE REAL WHISPER-BASE CANNOT BE HAD HERE ({}).\n"
    "# THESE TESTS RUN ON SMALL RANDOM WEIGHTS INSTEAD.\n" + "#" * 100
)


def real_or_random_folder(scratch: Path) -> tuple[Path, bool]:
    """A CTranslate2 folder, and whether it holds the real weights; says so where it does not."""
    script = runpy.run_path(str(REPOSITORY / "scripts" / "fetch_whisper_base.py"))
    try:
        return script["fetch"](), True
    except script["CannotFetch"] as error:
        warnings.warn(NO_WEIGHTS.format(error), stacklevel=2)
    return write_ctranslate2(scratch / "random_whisper", *random_weights()), False


def config(**options: Any) -> WhisperConfig:
    return WhisperConfig(normalize=False, **options)


@cache
def random_weights(
    dims: WhisperDims = TINY, seed: int = 0
) -> tuple[WhisperDims, dict[str, torch.Tensor]]:
    """Weights that float16 holds exactly, so that every format gives them back; leave them be."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = WhisperModel(config(), dims).state_dict()
        for name, weight in weights.items():
            if weight.dim() > 1:
                weight.normal_(0, 0.3 if "embedding" in name else weight[0].numel() ** -0.5)
            elif not name.endswith("weight"):
                weight.normal_(0, 0.1)
    return dims, {name: weight.half().float() for name, weight in weights.items()}


def tokenizer_json(languages: list[str] = LANGUAGES, timestamps: int = 1501) -> str:
    """A tokenizer with Whisper's ids that spells every text in bytes."""
    from tokenizers import pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: token for token, symbol in enumerate(alphabet)}
    vocabulary["Ġ"], vocabulary[alphabet[220]] = 220, vocabulary["Ġ"]  # as openai's
    vocabulary |= {f"never {token}": token for token in range(256, 50256)}
    vocabulary[""] = 50256
    special = [
        "<|endoftext|>", "<|startoftranscript|>", *[f"<|{code}|>" for code in languages],
        "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>",
        "<|notimestamps|>",
    ]  # fmt: skip
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return json.dumps(
        {
            "version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [
                {"id": 50257 + n, "content": token, "special": True, **flags}
                for n, token in enumerate(special)
            ]
            + [
                {
                    "id": 50257 + len(special) + n, "content": f"<|{n * 0.02:.2f}|>",
                    "special": False, **flags,
                }
                for n in range(timestamps)
            ],
            "normalizer": None, "pre_tokenizer": {**byte_level, "use_regex": True},
            "post_processor": None, "decoder": {**byte_level, "use_regex": True},
            "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
        }
    )  # fmt: skip


def write_openai(
    file: Path, dims: WhisperDims, weights: Mapping[str, torch.Tensor]
) -> Path:
    """As ``whisper.load_model`` reads it, with the tokenizer beside it."""
    sinusoids = torch.zeros(dims.n_audio_ctx, dims.n_audio_state)
    state = {name: weight.half() for name, weight in weights.items()}
    state["encoder.positional_embedding"] = sinusoids
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": dims.as_dict(), "model_state_dict": state}, file)
    (file.parent / "tokenizer.json").write_text(tokenizer_json())
    return file


def write_huggingface(
    folder: Path, dims: WhisperDims, weights: Mapping[str, torch.Tensor], kind: str = "safetensors"
) -> Path:
    """By transformers itself, from a model that was given the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    model = transformers_model(dims, weights)
    if kind == "bin":
        model.config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    else:
        model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer_json())
    return folder


def transformers_model(dims: WhisperDims, weights: Mapping[str, torch.Tensor]) -> Any:
    """transformers' model of these weights, with this package's float32 sinusoids."""
    from transformers import WhisperConfig as HuggingFaceConfig
    from transformers import WhisperForConditionalGeneration

    from fairseq_dro.models.whisper.encoder import sinusoids

    model = WhisperForConditionalGeneration(
        HuggingFaceConfig(
            num_mel_bins=dims.n_mels, d_model=dims.n_audio_state, vocab_size=dims.n_vocab,
            encoder_layers=dims.n_audio_layer, encoder_attention_heads=dims.n_audio_head,
            decoder_layers=dims.n_text_layer, decoder_attention_heads=dims.n_text_head,
            encoder_ffn_dim=4 * dims.n_audio_state, decoder_ffn_dim=4 * dims.n_text_state,
            max_source_positions=dims.n_audio_ctx, max_target_positions=dims.n_text_ctx,
        )
    ).eval()  # fmt: skip
    state, _ = whisper_huggingface.NAMES.to_theirs(weights)
    state["proj_out.weight"] = weights["decoder.token_embedding.weight"]
    state["model.encoder.embed_positions.weight"] = sinusoids(
        dims.n_audio_ctx, dims.n_audio_state, torch.device("cpu")
    )
    model.load_state_dict(state)
    return model


def write_ctranslate2(
    folder: Path, dims: WhisperDims, weights: Mapping[str, torch.Tensor]
) -> Path:
    """As CTranslate2's converter writes it, in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = {}
    for ours, weight in weights.items():
        name, part = ours.rsplit(".", 1)
        if name.endswith(("ln", "_ln", "ln_post")):
            part = {"weight": "gamma", "bias": "beta"}[part]
        variables[f"{_ctranslate2_name(name)}/{part}"] = weight
    width = dims.n_audio_state
    for side, count in (("encoder", dims.n_audio_layer), ("decoder", dims.n_text_layer)):
        for n in range(count):
            layer = f"{side}/layer_{n}"
            _stack(variables, f"{layer}/self_attention", ("query", "key", "value"), width, 0)
            if side == "decoder":
                _stack(variables, f"{layer}/attention", ("key", "value"), width, 1)
    variables["encoder/position_encodings/encodings"] = torch.zeros(dims.n_audio_ctx, width)
    variables["decoder/embeddings/weight"] = variables.pop("decoder/token_embedding/weight")
    variables["decoder/position_encodings/encodings"] = variables.pop(
        "decoder/positional_embedding"
    )
    variables["encoder/num_heads"] = torch.tensor(dims.n_audio_head, dtype=torch.int16)
    variables["decoder/num_heads"] = torch.tensor(dims.n_text_head, dtype=torch.int16)
    aliases = {"decoder/projection/weight": "decoder/embeddings/weight"}
    with open(folder / "model.bin", "wb") as file:
        file.write(struct.pack("<I", 6) + _string("WhisperSpec") + struct.pack("<I", 3))
        file.write(struct.pack("<I", len(variables)))
        for name, value in variables.items():
            kind = 2 if value.dtype == torch.int16 else 4
            data = (value if kind == 2 else value.half()).contiguous().numpy().tobytes()
            file.write(_string(name) + struct.pack("<B", value.dim()))
            file.write(struct.pack(f"<{value.dim()}I", *value.shape))
            file.write(struct.pack("<BI", kind, len(data)) + data)
        file.write(struct.pack("<I", len(aliases)))
        for alias, name in aliases.items():
            file.write(_string(alias) + _string(name))
    suppressed = [1, 2, 7, *range(50258, dims.n_vocab)]  # all that is no text
    settings = {"suppress_ids": suppressed, "suppress_ids_begin": [220, 50257]}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "tokenizer.json").write_text(tokenizer_json())
    return folder


def _stack(
    variables: dict[str, torch.Tensor], attention: str, parts: tuple[str, ...], width: int, n: int
) -> None:
    weights = [variables.pop(f"{attention}/{part}/weight") for part in parts]
    biases = [variables.pop(f"{attention}/{part}/bias", torch.zeros(width)) for part in parts]
    variables[f"{attention}/linear_{n}/weight"] = torch.cat(weights)
    variables[f"{attention}/linear_{n}/bias"] = torch.cat(biases)


def _ctranslate2_name(name: str) -> str:
    for ours, theirs in (
        (".blocks.", ".layer_"), ("cross_attn_ln", "attention.layer_norm"),
        (".attn_ln", ".self_attention.layer_norm"), (".attn.out", ".self_attention.linear_1"),
        ("cross_attn.query", "attention.linear_0"), ("cross_attn.out", "attention.linear_2"),
        ("cross_attn", "attention"), (".attn.", ".self_attention."),
        ("mlp_ln", "ffn.layer_norm"), ("mlp.0", "ffn.linear_0"), ("mlp.2", "ffn.linear_1"),
        ("encoder.ln_post", "encoder.layer_norm"), ("decoder.ln", "decoder.layer_norm"),
    ):  # fmt: skip
        name = name.replace(ours, theirs)
    return name.replace(".", "/")


def _string(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("<H", len(data)) + data
