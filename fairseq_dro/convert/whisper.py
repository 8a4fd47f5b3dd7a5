"""Read a Whisper from whichever files it comes in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fairseq_dro.convert import whisper_ctranslate2, whisper_huggingface, whisper_openai
from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.errors import UserError


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
