"""Which files are which model. A new file format is one file with ``recognises`` and ``read``, and
``write`` if it can be exported, and a line here.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Protocol

from fairseq_dro.convert import (
    wav2vec2_fairseq2,
    wav2vec2_huggingface,
    whisper_ctranslate2,
    whisper_huggingface,
    whisper_openai,
)
from fairseq_dro.convert.source import Source
from fairseq_dro.errors import UserError

READERS: tuple[ModuleType, ...] = (
    whisper_ctranslate2, whisper_huggingface, whisper_openai, wav2vec2_huggingface,
    wav2vec2_fairseq2,
)  # fmt: skip
WRITERS: dict[str, ModuleType] = {
    "wav2vec2": wav2vec2_huggingface,
    "wav2vec_ctc": wav2vec2_huggingface,
    "whisper": whisper_huggingface,
}
"""By the name of fairseq's model."""

EXPECTED = (
    "a Hugging Face folder of a wav2vec 2.0 or Whisper, a CTranslate2 folder or openai's .pt of a "
    "Whisper, or fairseq2's .pt of a wav2vec 2.0"
)


class Pretrained(Protocol):
    """What ``read`` gives.

    Attributes:
        kind: what it is, in a word or two.
        notes: what was left out or added, a phrase each.
    """

    kind: str
    notes: tuple[str, ...]

    def as_checkpoint(self) -> dict[str, Any]:
        """The same in fairseq's layout, in plain values."""


def reader_of(source: Source) -> ModuleType | None:
    """Who reads it; None where nobody does."""
    return next((one for one in READERS if one.recognises(source)), None)


def read_pretrained(source: Source) -> Pretrained:
    """Raises:
    UserError: it is no model that can be read, or not whole.
    """
    reader = reader_of(source)
    if reader is not None:
        return reader.read(source)
    if source.config:
        kind = source.config.get("model_type", "of no kind that it names")
        raise UserError(
            f"{source} is a folder of a model that cannot be converted ({kind}): expected "
            f"{EXPECTED}."
        )
    if source.place.is_dir():
        raise UserError(f"{source} holds no model: expected {EXPECTED}.")
    raise source.why_unreadable(EXPECTED)


def writer_of(model: str, path: str) -> ModuleType:
    """Who writes a model of fairseq's as a Hugging Face folder.

    Raises:
        UserError: nobody does.
    """
    if model not in WRITERS:
        raise UserError(
            f"{path} holds a model={model}, for which transformers has no class: "
            f"{', '.join(WRITERS)} can be exported as a Hugging Face folder."
        )
    return WRITERS[model]
