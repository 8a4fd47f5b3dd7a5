"""The fairseq model ``layer_weighted_ctc``: a frozen encoder, a learned sum of its layers, CTC."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fairseq.models import BaseFairseqModel, register_model
from torch import nn

from fairseq_dro.data.feature_file import FeatureSpec
from fairseq_dro.models.ctc_output import CtcOutput
from fairseq_dro.models.layer_weighted.encoders import FrozenEncoder, checksum_of, frozen_encoder
from fairseq_dro.models.layer_weighted.head import LayerSum, TransformerHead
from fairseq_dro.models.layer_weighted.options import (
    LayerWeightedCtcConfig,
    chosen_layers,
    require_ranges,
)

# Shapes: B utterances, S samples, L hidden layers, T frames, C channels, V units.


@register_model("layer_weighted_ctc", dataclass=LayerWeightedCtcConfig)
class LayerWeightedCtc(CtcOutput, BaseFairseqModel):
    """SUPERB's and ML-SUPERB's downstream models (arXiv 2105.01051, 2305.10615).

    The encoder is always in evaluation mode and gets no gradient. A checkpoint holds its weights,
    once: they are no part of the optimizer's state.
    """

    def __init__(
        self, cfg: LayerWeightedCtcConfig, encoder: FrozenEncoder, n_units: int
    ) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.layers = chosen_layers(str(cfg.layers), encoder.n_layers)
        self.layer_sum = LayerSum(len(self.layers), bool(cfg.normalize_layers))
        width = encoder.width
        self.pre_encoder = None
        if cfg.pre_encoder:
            self.pre_encoder = nn.Linear(width, cfg.pre_encoder)
            width = cfg.pre_encoder
        self.transformer = None
        if cfg.transformer_layers:
            self.transformer = TransformerHead(
                width, cfg.transformer_width, cfg.transformer_layers, cfg.transformer_heads,
                float(cfg.dropout), cfg.subsampling,
            )  # fmt: skip
            width = cfg.transformer_width
        self.proj = nn.Linear(width, n_units)
        self.checksum = cfg.encoder_checksum or checksum_of(encoder)
        self.settings = {
            "task.normalize": bool(cfg.normalize),
            "model.pad_to_seconds": int(cfg.pad_to_seconds),
        }

    @classmethod
    def build_model(cls, cfg: LayerWeightedCtcConfig, task: Any) -> LayerWeightedCtc:
        """From the file of the encoder, or by what a checkpoint says, without its weights.

        Raises:
            UserError: an option or a file is not what it must be.
        """
        require_ranges(cfg)
        return cls(cfg, frozen_encoder(cfg), len(task.target_dictionary))

    def train(self, mode: bool = True) -> LayerWeightedCtc:
        """Training mode for all but the encoder."""
        super().train(mode)
        self.encoder.eval()
        return self

    @property
    def found_options(self) -> dict[str, Any]:
        """Options of the section ``model`` that the files said; a checkpoint is built by them."""
        return {**self.encoder.found_options, "encoder_checksum": self.checksum}

    @property
    def layer_weights(self) -> dict[str, float]:
        """What each hidden layer counts, by its number; logged at each validation."""
        weights = self.layer_sum.weights.tolist()
        return {str(layer): weight for layer, weight in zip(self.layers, weights)}

    @property
    def feature_spec(self) -> FeatureSpec:
        """What features must be of, to be taken in the place of audio."""
        return FeatureSpec(self.checksum, self.settings, self.layers, self.encoder.width)

    @property
    def takes_int16(self) -> bool:
        """Whether audio may come in 16 bits, too."""
        return self.encoder.takes_int16

    # --- what models.family.ModelFamily asks ---

    def frames_of(self, n_samples: np.ndarray) -> np.ndarray:
        """[N] frames that CTC sees of [N] samples, after subsampling."""
        frames = self.encoder.frames_of(n_samples)
        step = self.transformer.subsampling if self.transformer is not None else 1
        return (frames + step - 1) // step

    def frozen_parameters(self) -> list[nn.Parameter]:
        """None: those of the encoder are never trained."""
        return []

    def require_options(self, cfg: Any) -> None:
        """Every option agrees with every other (``require_ranges`` looks at each)."""

    # --- forward ---

    @torch.no_grad()
    def hidden_layers(
        self, source: torch.Tensor, padding_mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """[B, L, T, C] the chosen layers of [B, S] audio, and [B, T] True behind each end."""
        layers, outside = self.encoder.hidden(source, padding_mask)
        return torch.stack([layers[layer] for layer in self.layers], dim=1), outside

    def forward(
        self, source: torch.Tensor, padding_mask: torch.Tensor | None = None, **_unused: Any
    ) -> dict[str, torch.Tensor | None]:
        """``encoder_out`` [T, B, V] scores and ``padding_mask`` [B, T], as ``wav2vec_ctc``.

        Args:
            source: [B, S] audio, zeros behind each end, or [B, L, T, C], the chosen hidden layers
                as they were computed before.
            padding_mask: [B, S] or [B, T], True behind the end of an utterance.
        """
        if source.dim() == 2:
            source, padding_mask = self.hidden_layers(source, padding_mask)
        x = self.layer_sum(source).to(self.proj.weight.dtype)
        if self.pre_encoder is not None:
            x = self.pre_encoder(x)
        if self.transformer is not None:
            x, padding_mask = self.transformer(x, padding_mask)
        return {"encoder_out": self.proj(x).transpose(0, 1), "padding_mask": padding_mask}
