"""The fairseq model ``whisper_ctc``: Whisper's encoder and a linear layer, trained by CTC."""

from __future__ import annotations

import math
from typing import Any

import torch
from fairseq.models import BaseFairseqModel, register_model
from torch import nn

from fairseq_dro.models.ctc_output import CtcOutput
from fairseq_dro.models.whisper.dims import WhisperDims
from fairseq_dro.models.whisper.encoder import WhisperEncoder
from fairseq_dro.models.whisper.encoder_file import load_encoder, read_encoder
from fairseq_dro.models.whisper.family import WhisperFamily
from fairseq_dro.models.whisper.options import (
    WhisperCtcConfig,
    dropout_of,
    require_ranges,
    spec_augment_of,
)

# Shapes: B utterances, T positions of 20 ms, C channels, V units.


@register_model("whisper_ctc", dataclass=WhisperCtcConfig)
class WhisperCtc(WhisperFamily, CtcOutput, BaseFairseqModel):
    """Units of the data folder's dictionary, 50 positions a second, as wav2vec 2.0 has.

    Adam's steps do not depend on the size of gradients, so the output layer learns
    ``output_learning_rate_scale`` times as fast as the encoder if its output is multiplied by that,
    and its weights begin smaller by the same.
    """

    def __init__(self, cfg: WhisperCtcConfig, dims: WhisperDims, n_units: int) -> None:
        super().__init__()
        self.dims = dims
        self.encoder = WhisperEncoder(
            dims, dropout=dropout_of(cfg), layerdrop=cfg.layerdrop,
            spec_augment=spec_augment_of(cfg), pad_to_seconds=cfg.pad_to_seconds,
            checkpoint_activations=cfg.checkpoint_activations,
        )  # fmt: skip
        self.scale = float(cfg.output_learning_rate_scale)
        self.proj = nn.Linear(dims.n_audio_state, n_units)
        bound = 1 / (self.scale * math.sqrt(dims.n_audio_state))
        nn.init.uniform_(self.proj.weight, -bound, bound)
        nn.init.zeros_(self.proj.bias)
        self.freeze_encoder_updates = cfg.freeze_encoder_updates
        self.encoder.requires_grad_(cfg.freeze_encoder_updates >= 0)

    @classmethod
    def build_model(cls, cfg: WhisperCtcConfig, task: Any) -> WhisperCtc:
        """From ``whisper_path``, or of the sizes that a checkpoint holds, without its weights.

        Raises:
            UserError: an option or a file is not what it must be.
        """
        require_ranges(cfg)
        n_units = len(task.target_dictionary)
        if cfg.dims is not None:
            return cls(cfg, WhisperDims.of(cfg.dims), n_units)
        pretrained = read_encoder(cfg.whisper_path)
        model = cls(cfg, WhisperDims.of(pretrained.dims), n_units)
        load_encoder(model.encoder, pretrained)
        return model

    @property
    def found_options(self) -> dict[str, Any]:
        """Options of the section ``model`` that the files said; a checkpoint is built by them."""
        return {"dims": self.dims.as_dict()}

    def forward(
        self, source: torch.Tensor, padding_mask: torch.Tensor | None = None, **_unused: Any
    ) -> dict[str, torch.Tensor | None]:
        """``encoder_out`` [T, B, V] scores and ``padding_mask`` [B, T], as ``wav2vec_ctc``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.encoder_is_frozen):
            encoded = self.encoder(source, padding_mask)
        scores = self.scale * self.proj(encoded["encoder_out"])
        return {
            "encoder_out": scores.transpose(0, 1),
            "padding_mask": encoded["encoder_padding_mask"],
        }
