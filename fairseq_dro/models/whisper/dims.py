"""The sizes of a Whisper model, by openai's names (``whisper/model.py``, ModelDimensions)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from fairseq_dro.errors import UserError

ENGLISH_ONLY_VOCABULARY = 51864
"""Tokens of the ``.en`` models, which have one more for each language and one fewer for text."""

HEAD_WIDTH = 64  # in every published size


@dataclass(frozen=True)
class WhisperDims:
    """``audio`` is the encoder and ``text`` the decoder; ctx is the number of positions."""

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> WhisperDims:
        """From a dictionary of openai's ten keys; further keys are ignored."""
        return cls(**{field.name: int(values[field.name]) for field in fields(cls)})

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def require_multilingual(dims: WhisperDims, path: str) -> None:
    """Refuse the ``.en`` models, whose vocabulary has no languages.

    Raises:
        UserError: naming the file and the model to use instead.
    """
    if dims.n_vocab <= ENGLISH_ONLY_VOCABULARY:
        raise UserError(
            f"model.whisper_path={path} is an English-only Whisper (.en, {dims.n_vocab} tokens, "
            "none of them a language): use the multilingual model of the same size, such as "
            "whisper-base instead of whisper-base.en."
        )


def _published(
    width: int, audio_layers: int, text_layers: int, n_mels: int = 80, n_vocab: int = 51865
) -> WhisperDims:
    heads = width // HEAD_WIDTH
    return WhisperDims(
        n_mels, 1500, width, heads, audio_layers, n_vocab, 448, width, heads, text_layers
    )


SIZES: Mapping[str, WhisperDims] = {
    "tiny": _published(384, 4, 4),
    "base": _published(512, 6, 6),
    "small": _published(768, 12, 12),
    "medium": _published(1024, 24, 24),
    "large-v2": _published(1280, 32, 32),
    "large-v3": _published(1280, 32, 32, n_mels=128, n_vocab=51866),
    "turbo": _published(1280, 32, 4, n_mels=128, n_vocab=51866),
}
