"""``model.w2v_path`` takes a Hugging Face folder, not only fairseq's own files.

``Wav2VecEncoder`` reads it by ``checkpoint_utils.load_checkpoint_to_cpu``
(fairseq/models/wav2vec/wav2vec2_asr.py:377), which opens a file: ``IsADirectoryError``.
"""

from __future__ import annotations

import functools
import logging
import os
from typing import Any

logger = logging.getLogger(__name__)


def needed() -> bool:
    """Always: fairseq 0.12.2 knows its own files only."""
    return True


def apply() -> None:
    """Wrap ``checkpoint_utils.load_checkpoint_to_cpu``."""
    from fairseq import checkpoint_utils

    original = checkpoint_utils.load_checkpoint_to_cpu

    @functools.wraps(original)
    def load_checkpoint_to_cpu(
        path: str, arg_overrides: dict[str, Any] | None = None, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        if not os.path.isdir(path):
            return original(path, arg_overrides, *args, **kwargs)
        state = read_folder(path)
        if arg_overrides:
            checkpoint_utils.overwrite_args_by_name(state["cfg"], arg_overrides)
        return state

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu


def read_folder(path: str) -> dict[str, Any]:
    """The encoder in a folder, as ``load_checkpoint_to_cpu`` gives that of fairseq's file.

    Raises:
        UserError: it holds none that can be read.
    """
    from omegaconf import OmegaConf

    from fairseq_dro.convert import wav2vec2_huggingface
    from fairseq_dro.convert.source import Source
    from fairseq_dro.errors import UserError

    source = Source(path)
    if not wav2vec2_huggingface.recognises(source):
        kind = source.config.get("model_type")
        what = f" (it holds a {kind})" if kind else ""
        raise UserError(
            f"{path} is not a Hugging Face folder of a wav2vec 2.0{what}: name one, or a file of "
            "fairseq's inside it, such as xlsr2_300m.pt."
        )
    found = wav2vec2_huggingface.read(source)
    head = ("the output layer (lm_head) left out",) if found.output else ()
    for note in (*head, *found.notes):
        logger.info("%s: %s", path, note)
    state = found.encoder_checkpoint()
    state["cfg"] = OmegaConf.create(state["cfg"])
    OmegaConf.set_struct(state["cfg"], True)
    return state
