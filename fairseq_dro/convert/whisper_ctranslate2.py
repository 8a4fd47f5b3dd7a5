"""Whisper in CTranslate2's layout, as faster-whisper uses it."""

from __future__ import annotations

import torch

from fairseq_dro.convert.ctranslate2_file import read_variables
from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.convert.source import Source
from fairseq_dro.errors import UserError

_HEAD_WIDTH = 64  # in every published size


def recognises(source: Source) -> bool:
    """Whether it is a folder of CTranslate2's."""
    return (source.place / "model.bin").is_file()


def read(source: Source) -> PretrainedWhisper:
    """Raises:
    UserError: ``model.bin`` is cut, of another model, or quantised to integers.
    """
    file = source.place / "model.bin"
    specification, variables = read_variables(file)
    if specification != "WhisperSpec":
        raise UserError(f"{file} is a {specification} of CTranslate2's: expected a WhisperSpec.")
    quantised = [n for n, v in variables.items() if v.dtype == torch.int8 and v.dim() == 2]
    if quantised:
        raise UserError(
            f"{file} holds weights of 8 bits ({quantised[0]}), which cannot be fine-tuned: use the "
            "float16 or float32 model."
        )
    try:
        weights, n_layers = _weights({name: v.float() for name, v in variables.items()})
        dims = _dims(variables, weights, n_layers)
    except KeyError as error:
        raise UserError(
            f"{file} lacks {error.args[0]}, which a Whisper has: copy or download it again."
        ) from None
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(
            f"{file} holds variables of other shapes than a Whisper's ({error}): copy or download "
            "it again."
        ) from None
    suppressed = (_tokens(source.config.get(f"suppress_ids{at}")) for at in ("", "_begin"))
    return PretrainedWhisper(str(source.place), dims, weights, source.tokenizer, *suppressed)


def _dims(
    variables: dict[str, torch.Tensor],
    weights: dict[str, torch.Tensor],
    n_layers: dict[str, int],
) -> dict[str, int]:
    """openai's ten sizes; the weights by openai's names."""
    width, n_mels, _ = weights["encoder.conv1.weight"].shape
    n_vocab, text_width = weights["decoder.token_embedding.weight"].shape
    return {
        "n_mels": n_mels,
        "n_audio_ctx": len(variables["encoder/position_encodings/encodings"]),
        "n_audio_state": width,
        "n_audio_head": int(variables.get("encoder/num_heads", width // _HEAD_WIDTH)),
        "n_audio_layer": n_layers["encoder"],
        "n_vocab": n_vocab,
        "n_text_ctx": len(weights["decoder.positional_embedding"]),
        "n_text_state": text_width,
        "n_text_head": int(variables.get("decoder/num_heads", text_width // _HEAD_WIDTH)),
        "n_text_layer": n_layers["decoder"],
    }


def _tokens(values: list[int] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(values)


def _weights(
    variables: dict[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """The weights by openai's names, and the number of layers by side."""
    found: dict[str, torch.Tensor] = {}

    def norm(ours: str, theirs: str) -> None:
        found[f"{ours}.weight"] = variables[f"{theirs}/gamma"]
        found[f"{ours}.bias"] = variables[f"{theirs}/beta"]

    def linear(ours: tuple[str, ...], theirs: str) -> None:
        """CTranslate2 stacks the rows of projections of the same input."""
        weights = variables[f"{theirs}/weight"].chunk(len(ours))
        biases = variables[f"{theirs}/bias"].chunk(len(ours))
        for name, weight, bias in zip(ours, weights, biases):
            found[f"{name}.weight"] = weight
            if not name.endswith(".key"):  # whose bias is 0 there
                found[f"{name}.bias"] = bias

    for conv in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            found[f"encoder.{conv}.{part}"] = variables[f"encoder/{conv}/{part}"]
    norm("encoder.ln_post", "encoder/layer_norm")
    norm("decoder.ln", "decoder/layer_norm")
    found["decoder.token_embedding.weight"] = variables["decoder/embeddings/weight"]
    found["decoder.positional_embedding"] = variables["decoder/position_encodings/encodings"]
    n_layers = {"encoder": 0, "decoder": 0}
    for side in n_layers:
        while f"{side}/layer_{n_layers[side]}/self_attention/linear_0/weight" in variables:
            ours, theirs = f"{side}.blocks.{n_layers[side]}", f"{side}/layer_{n_layers[side]}"
            attn = f"{ours}.attn"
            norm(f"{attn}_ln", f"{theirs}/self_attention/layer_norm")
            linear(
                (f"{attn}.query", f"{attn}.key", f"{attn}.value"),
                f"{theirs}/self_attention/linear_0",
            )
            linear((f"{attn}.out",), f"{theirs}/self_attention/linear_1")
            if side == "decoder":
                cross = f"{ours}.cross_attn"
                norm(f"{cross}_ln", f"{theirs}/attention/layer_norm")
                linear((f"{cross}.query",), f"{theirs}/attention/linear_0")
                linear((f"{cross}.key", f"{cross}.value"), f"{theirs}/attention/linear_1")
                linear((f"{cross}.out",), f"{theirs}/attention/linear_2")
            norm(f"{ours}.mlp_ln", f"{theirs}/ffn/layer_norm")
            linear((f"{ours}.mlp.0",), f"{theirs}/ffn/linear_0")
            linear((f"{ours}.mlp.2",), f"{theirs}/ffn/linear_1")
            n_layers[side] += 1
    return found, n_layers
