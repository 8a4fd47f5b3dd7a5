"""The options of the model ``layer_weighted_ctc``, as ``model.NAME=value``."""

import re
from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.dataclass import FairseqDataclass
from omegaconf import II

from fairseq_dro.errors import UserError
from fairseq_dro.option_ranges import require_in_ranges


@dataclass
class LayerWeightedCtcConfig(FairseqDataclass):
    w2v_path: Optional[str] = field(
        default=None,
        metadata={
            "help": "the encoder that stays frozen: a wav2vec 2.0, XLS-R or MMS, fairseq's file or "
            "a Hugging Face folder"
        },
    )
    whisper_path: Optional[str] = field(
        default=None,
        metadata={
            "help": "instead of w2v_path: a folder or file of Whisper, of which the encoder is used"
        },
    )
    pad_to_seconds: int = field(
        default=0,
        metadata={
            "help": "with whisper_path: 0: audio at its true length; 30: padded with silence to 30 "
            "s, as openai's models were trained, which takes several times as long"
        },
    )
    layers: str = field(
        default="all",
        metadata={
            "help": "hidden layers whose weighted sum is taken: all, or numbers such as 0,4-6; 0 "
            "is what the first block sees, the last is the encoder's output"
        },
    )
    normalize_layers: bool = field(
        default=False,
        metadata={"help": "mean 0 and variance 1 for each frame of each layer before the sum"},
    )
    pre_encoder: int = field(
        default=0, metadata={"help": "width of a linear layer after the sum, such as 80; 0: none"}
    )
    transformer_layers: int = field(
        default=0,
        metadata={"help": "transformer blocks before the output layer, such as 2; 0: none"},
    )
    transformer_width: int = field(
        default=256,
        metadata={
            "help": "width of the transformer, above 0; feed-forward parts are 4 times as wide"
        },
    )
    transformer_heads: int = field(
        default=8,
        metadata={
            "help": "attention heads of the transformer; twice their number divides its width"
        },
    )
    subsampling: int = field(
        default=2,
        metadata={
            "help": "frames of the encoder for one frame of the transformer, 1 or 2; with 2, CTC "
            "needs 40 ms of audio for each unit"
        },
    )
    dropout: float = field(
        default=0.1,
        metadata={
            "help": "dropout probability in the transformer, at least 0 and below 1; the encoder "
            "has none"
        },
    )
    normalize: bool = II("task.normalize")
    data: str = II("task.data")
    dims: Any = field(
        default=None, metadata={"help": "Whisper's sizes, filled in from whisper_path; leave out"}
    )
    w2v_args: Any = field(
        default=None, metadata={"help": "the encoder's options, filled in from w2v_path; leave out"}
    )
    encoder_checksum: Optional[str] = field(
        default=None, metadata={"help": "of the encoder's weights, filled in; leave it out"}
    )


def require_ranges(cfg: LayerWeightedCtcConfig) -> None:
    """Refuse option values that mean nothing, by name.

    Raises:
        UserError: the first such.
    """
    width, heads = cfg.transformer_width, cfg.transformer_heads
    multiple = f"such that model.transformer_width={width} is a multiple of twice it"
    blocks = "a number of blocks, or 0 for none"
    require_in_ranges(
        "model", cfg,
        (
            ("pad_to_seconds", cfg.pad_to_seconds in (0, 30), "0 (true length) or 30"),
            ("pre_encoder", cfg.pre_encoder >= 0, "a width, or 0 for none"),
            ("transformer_layers", cfg.transformer_layers >= 0, blocks),
            ("transformer_width", width > 0, "above 0"),
            ("subsampling", cfg.subsampling in (1, 2), "1 or 2"),
            ("dropout", 0 <= cfg.dropout < 1, "at least 0 and below 1"),
            ("transformer_heads", heads > 0 and width % (2 * heads) == 0, multiple),
        ),
    )  # fmt: skip


def chosen_layers(text: str, n_layers: int) -> tuple[int, ...]:
    """``all``, or ``0,4-6``: numbers of hidden layers, ascending.

    Raises:
        UserError: it is neither, a range is empty, or a number is not below ``n_layers``.
    """
    if text == "all":
        return tuple(range(n_layers))
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < n_layers:
            raise UserError(
                f"model.layers={text}: '{part}' names no hidden layers of this encoder, which has "
                f"the numbers 0 to {n_layers - 1}: type all, or numbers such as "
                f"{n_layers // 2}-{n_layers - 1}."
            )
        chosen.update(range(first, last + 1))
    return tuple(sorted(chosen))
