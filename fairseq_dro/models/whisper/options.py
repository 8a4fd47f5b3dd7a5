"""The options of the models ``whisper`` and ``whisper_ctc``, as ``model.NAME=value``."""

from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.dataclass import FairseqDataclass
from omegaconf import II

from fairseq_dro.errors import UserError
from fairseq_dro.models.whisper.layers import Dropout
from fairseq_dro.models.whisper.spec_augment import SpecAugment
from fairseq_dro.option_ranges import require_in_ranges


@dataclass
class WhisperConfig(FairseqDataclass):
    whisper_path: Optional[str] = field(
        default=None,
        metadata={
            "help": "the model to start from: a Hugging Face folder, openai's .pt, a CTranslate2 "
            "(faster-whisper) folder, or a checkpoint of model=whisper"
        },
    )
    tokenizer_path: Optional[str] = field(
        default=None,
        metadata={
            "help": "tokenizer.json for weights that come without one (openai's .pt); default: the "
            "one beside the weights"
        },
    )
    pad_to_seconds: int = field(
        default=0,
        metadata={
            "help": "0: audio at its true length, in training and decoding, 9 times faster for "
            "short utterances; 30: padded with silence to 30 s, as openai's models were trained"
        },
    )
    dropout: float = field(
        default=0.0,
        metadata={"help": "dropout probability on what each block adds, at least 0 and below 1"},
    )
    attention_dropout: float = field(
        default=0.0,
        metadata={"help": "dropout probability on attention weights, at least 0 and below 1"},
    )
    activation_dropout: float = field(
        default=0.0,
        metadata={
            "help": "dropout probability inside the feed-forward parts, at least 0 and below 1"
        },
    )
    layerdrop: float = field(
        default=0.0,
        metadata={"help": "probability to skip a block in a training step, at least 0 and below 1"},
    )
    time_masks: int = field(
        default=0, metadata={"help": "SpecAugment: number of masks along time; 0: none"}
    )
    time_mask_frames: int = field(
        default=40, metadata={"help": "greatest width of a mask along time, in frames of 10 ms"}
    )
    frequency_masks: int = field(
        default=0, metadata={"help": "SpecAugment: number of masks over mel bins; 0: none"}
    )
    frequency_mask_bins: int = field(
        default=15,
        metadata={
            "help": "greatest width of a mask over mel bins, in bins (a model has 80 or 128)"
        },
    )
    freeze_encoder_updates: int = field(
        default=0,
        metadata={"help": "the encoder is frozen up to this update; 0: never, -1: always"},
    )
    freeze_decoder: bool = field(
        default=False, metadata={"help": "freeze the decoder, and train the encoder alone"}
    )
    checkpoint_activations: bool = field(
        default=False,
        metadata={"help": "compute each block again in the backward pass: less memory, slower"},
    )
    normalize: bool = II("task.normalize")
    dims: Any = field(
        default=None, metadata={"help": "sizes, filled in from whisper_path; leave it out"}
    )


@dataclass
class WhisperCtcConfig(WhisperConfig):
    output_learning_rate_scale: float = field(
        default=8.0,
        metadata={
            "help": "how many times as fast as the encoder the output layer learns under Adam, "
            "above 0"
        },
    )


def dropout_of(cfg: WhisperConfig) -> Dropout:
    return Dropout(cfg.dropout, cfg.attention_dropout, cfg.activation_dropout)


def spec_augment_of(cfg: WhisperConfig) -> SpecAugment | None:
    if not cfg.time_masks and not cfg.frequency_masks:
        return None
    return SpecAugment(
        cfg.time_masks, cfg.time_mask_frames, cfg.frequency_masks, cfg.frequency_mask_bins
    )


def require_ranges(cfg: WhisperConfig) -> None:
    """Refuse option values that mean nothing, by name.

    Raises:
        UserError: the first such.
    """
    shares = ("dropout", "attention_dropout", "activation_dropout", "layerdrop")
    masks = ("time_masks", "time_mask_frames", "frequency_masks", "frequency_mask_bins")
    scale = getattr(cfg, "output_learning_rate_scale", 1.0)
    require_in_ranges(
        "model", cfg,
        (
            ("pad_to_seconds", cfg.pad_to_seconds in (0, 30), "0 (true length) or 30"),
            *((name, 0 <= getattr(cfg, name) < 1, "at least 0 and below 1") for name in shares),
            *((name, getattr(cfg, name) >= 0, "0 or more") for name in masks),
            ("freeze_encoder_updates", cfg.freeze_encoder_updates >= -1, "at least -1"),
            ("output_learning_rate_scale", scale > 0, "above 0"),
        ),
    )  # fmt: skip
    if cfg.normalize:
        raise UserError(
            "task.normalize=true scales the audio, which Whisper takes as it is: set "
            "task.normalize=false."
        )
