"""Whether a file holds every weight of the model that its configuration describes, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fairseq_dro.convert.pretrained_wav2vec2 import ENCODER, OUTPUT
from fairseq_dro.models.checkpoint_checks import require_finite_weights, require_same_weights
from fairseq_dro.models.whisper.dims import WhisperDims
from fairseq_dro.models.whisper.model import WhisperModel
from fairseq_dro.models.whisper.options import WhisperConfig


def require_complete_weights(checkpoint: Mapping[str, Any], path: str) -> None:
    """Compare names and shapes; no model is built in full.

    Args:
        checkpoint: in fairseq's layout, its ``cfg`` in plain values.

    Raises:
        UserError: a weight is missing, has another shape or is not finite, or there is one more.
    """
    model, weights = checkpoint["cfg"]["model"], dict(checkpoint["model"])
    weights.pop("_ema", None)
    if model["_name"] == "whisper":
        with torch.device("meta"):
            expected = WhisperModel(
                WhisperConfig(normalize=False), WhisperDims.of(model["dims"])
            ).state_dict()
    elif model["_name"] == "wav2vec_ctc":
        expected = {
            f"{ENCODER}{name}": weight
            for name, weight in _of_wav2vec2(model["w2v_args"]["model"]).items()
        }
        n_units = len(checkpoint["task_state"]["target_dictionary"])
        width = model["w2v_args"]["model"]["encoder_embed_dim"]
        expected |= {f"{OUTPUT}weight": torch.empty(n_units, width, device="meta"),
                     f"{OUTPUT}bias": torch.empty(n_units, device="meta")}  # fmt: skip
    elif model["_name"] == "wav2vec2":
        expected = _of_wav2vec2(model)
    else:
        return
    require_same_weights(weights, expected, path)
    require_finite_weights(weights, path)


def _of_wav2vec2(options: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Weights of the encoder by name; all layers are alike, and only one is built."""
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
    from omegaconf import OmegaConf

    known = {key: options[key] for key in options if key in Wav2Vec2Config.__dataclass_fields__}
    options = OmegaConf.merge(
        OmegaConf.structured(Wav2Vec2Config), known, {"encoder_layers": 1}
    )
    with torch.random.fork_rng(devices=[]):
        model = Wav2Vec2Model(options)
    model.remove_pretraining_modules()
    found, layer = model.state_dict(), "encoder.layers.0."
    first = {name: weight for name, weight in found.items() if name.startswith(layer)}
    for n in range(1, known.get("encoder_layers", 12)):
        found |= {name.replace(layer, f"encoder.layers.{n}."): w for name, w in first.items()}
    return found
