"""Read a Whisper from whichever files it comes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from fairseq_dro.errors import UserError


@dataclass(frozen=True)
class PretrainedWhisper:
    """The parts of a published or fine-tuned model.

    Attributes:
        path: the file or folder it was read from.
        dims: openai's ten sizes.
        weights: by openai's parameter names, without the sinusoids, which are computed.
        tokenizer: content of ``tokenizer.json``; None where the files hold none.
        suppress, begin_suppress: tokens that decoding never writes, and never writes first; None
            where the files do not say.
    """

    path: str
    dims: Mapping[str, int]
    weights: Mapping[str, torch.Tensor]
    tokenizer: str | None
    suppress: tuple[int, ...] | None = None
    begin_suppress: tuple[int, ...] | None = None

    def with_vocabulary(
        self, weights: Mapping[str, torch.Tensor], n_vocab: int
    ) -> PretrainedWhisper:
        """The same with weights of another number of tokens."""
        return replace(self, weights=weights, dims={**self.dims, "n_vocab": n_vocab})


def read_whisper(
    path: str, tokenizer_path: str | None = None, *, needs_tokenizer: bool = True
) -> PretrainedWhisper:
    """Read a Hugging Face folder, a CTranslate2 folder, openai's .pt or a fine-tuned checkpoint.

    Nothing that a file contains is run: pickles are read by torch's safe loader.

    Args:
        tokenizer_path: a ``tokenizer.json`` to take instead of the one beside the weights.
        needs_tokenizer: False: it may be missing.

    Raises:
        UserError: the path is none of these, or a file in it is cut or missing.
    """
    from fairseq_dro.convert import whisper_ctranslate2, whisper_huggingface, whisper_openai

    place = Path(path)
    if not place.exists():
        raise UserError(
            f"model.whisper_path={path} does not exist: name a folder or file with Whisper's "
            "weights (a Hugging Face folder, openai's .pt or a CTranslate2 folder)."
        )
    if place.is_file():
        whisper = whisper_openai.read(place)
    elif (place / "model.bin").exists():
        whisper = whisper_ctranslate2.read(place)
    else:
        whisper = whisper_huggingface.read(place)
    if not needs_tokenizer:
        return whisper
    file = Path(tokenizer_path) if tokenizer_path else None
    if file is None and whisper.tokenizer is None:
        file = (place.parent if place.is_file() else place) / "tokenizer.json"
    if file is not None:
        whisper = replace(whisper, tokenizer=_read_tokenizer(file, path))
    return whisper


def _read_tokenizer(file: Path, path: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserError(
            f"{file} cannot be read, and the weights in {path} need their tokenizer: put the "
            "tokenizer.json of the same model there (any Hugging Face or faster-whisper folder of "
            "it holds one), or set model.tokenizer_path=FILE."
        ) from None
