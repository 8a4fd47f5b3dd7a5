"""The fairseq model ``whisper``: fine-tune Whisper by cross-entropy."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.models import FairseqEncoderDecoderModel, register_model

from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.convert.whisper import read_whisper
from fairseq_dro.errors import UserError
from fairseq_dro.models.checkpoint_checks import require_finite_weights, require_same_weights
from fairseq_dro.models.whisper.decoder import WhisperDecoder
from fairseq_dro.models.whisper.dims import WhisperDims, require_multilingual
from fairseq_dro.models.whisper.encoder import WhisperEncoder
from fairseq_dro.models.whisper.family import WhisperFamily
from fairseq_dro.models.whisper.options import (
    WhisperConfig,
    dropout_of,
    require_ranges,
    spec_augment_of,
)


@register_model("whisper", dataclass=WhisperConfig)
class WhisperModel(WhisperFamily, FairseqEncoderDecoderModel):
    """Encoder and decoder under openai's parameter names.

    A checkpoint of it holds ``dims`` among the model's options, so that it loads without the files
    that training started from.
    """

    def __init__(self, cfg: WhisperConfig, dims: WhisperDims, dictionary: Any = None) -> None:
        parts = dict(
            dropout=dropout_of(cfg), layerdrop=cfg.layerdrop,
            checkpoint_activations=cfg.checkpoint_activations,
        )  # fmt: skip
        super().__init__(
            WhisperEncoder(
                dims, pad_to_seconds=cfg.pad_to_seconds, spec_augment=spec_augment_of(cfg), **parts
            ),
            WhisperDecoder(dims, dictionary, **parts),
        )
        self.freeze_encoder_updates = cfg.freeze_encoder_updates
        self.dims = dims
        # what is never trained needs no place in the optimizer
        self.encoder.requires_grad_(cfg.freeze_encoder_updates >= 0)
        self.decoder.requires_grad_(not cfg.freeze_decoder)

    @classmethod
    def build_model(cls, cfg: WhisperConfig, task: Any) -> WhisperModel:
        """From ``whisper_path``, or of the sizes that a checkpoint holds, without its weights.

        Raises:
            UserError: an option or a file is not what it must be.
        """
        require_ranges(cfg)
        if cfg.dims is not None:
            return cls(cfg, WhisperDims.of(cfg.dims), task.target_dictionary)
        if not cfg.whisper_path:
            raise UserError(
                "model.whisper_path is missing: type model.whisper_path=FOLDER, a folder or file "
                "with Whisper's weights."
            )
        pretrained = read_whisper(cfg.whisper_path, cfg.tokenizer_path)
        require_multilingual(WhisperDims.of(pretrained.dims), pretrained.path)
        if hasattr(task, "adopt"):
            pretrained = task.adopt(pretrained)
        model = cls.of_pretrained(cfg, pretrained)
        model.decoder.dictionary = getattr(task, "target_dictionary", None)
        return model

    def require_options(self, cfg: Any) -> None:
        """Refuse options that leave nothing to train.

        Raises:
            UserError: naming both.
        """
        updates = cfg.freeze_encoder_updates
        if cfg.freeze_decoder and updates:
            until = "" if updates < 0 else f" before update {updates}"
            raise UserError(
                f"model.freeze_decoder=true and model.freeze_encoder_updates={updates} leave "
                f"nothing to train{until}: set model.freeze_encoder_updates=0 or "
                "model.freeze_decoder=false."
            )

    @property
    def found_options(self) -> dict[str, Any]:
        """Options of the section ``model`` that the files said; a checkpoint is built by them."""
        return {"dims": self.dims.as_dict()}

    @classmethod
    def of_pretrained(cls, cfg: WhisperConfig, pretrained: PretrainedWhisper) -> WhisperModel:
        """The model of these weights.

        Raises:
            UserError: it is English-only, or its weights do not fit its sizes or are not finite.
        """
        dims = WhisperDims.of(pretrained.dims)
        require_multilingual(dims, pretrained.path)
        model = cls(cfg, dims)
        require_same_weights(pretrained.weights, model.state_dict(), pretrained.path)
        require_finite_weights(pretrained.weights, pretrained.path)
        model.load_state_dict(dict(pretrained.weights))
        return model

    def forward(
        self,
        source: torch.Tensor,
        prev_output_tokens: torch.Tensor,
        padding_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, None]:
        """[B, L, V] logits of the token behind each of ``prev_output_tokens`` [B, L]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.encoder_is_frozen):
            encoder_out = self.encoder(source, padding_mask)
        return self.decoder(prev_output_tokens, encoder_out)

    def max_positions(self) -> None:
        """None: the task finds and names what is too long."""
        return None
