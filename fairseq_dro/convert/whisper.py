"""Read a Whisper from whichever files it comes in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fairseq_dro.convert import whisper_ctranslate2, whisper_huggingface, whisper_openai
from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.convert.source import Source, read_tokenizer
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
    source = Source(place, "model.whisper_path=")
    if place.is_file():
        whisper = whisper_openai.read(source)
    elif whisper_ctranslate2.recognises(source):
        whisper = whisper_ctranslate2.read(source)
    elif whisper_huggingface.recognises(source):
        whisper = whisper_huggingface.read(source)
    else:
        raise UserError(
            f"{source} is not the folder of a Whisper: expected Hugging Face's config.json and "
            "model.safetensors, or CTranslate2's model.bin, in it."
        )
    if tokenizer_path:
        whisper = replace(whisper, tokenizer=read_tokenizer(Path(tokenizer_path)))
    if needs_tokenizer:
        whisper.require_tokenizer(tokenizer_path)
    return whisper
