"""Single files: openai's ``.pt`` and checkpoints that training with ``model=whisper`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.errors import UserError

SINUSOIDS = "encoder.positional_embedding"  # computed, not read


def read(file: Path) -> PretrainedWhisper:
    """Raises:
    UserError: the file is neither, or cut.
    """
    try:
        state = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # torch raises many kinds
        first = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(
            f"model.whisper_path={file} cannot be read ({first}): expected openai's .pt or a "
            "checkpoint of model=whisper, whole and as it was written."
        ) from None
    if isinstance(state, dict) and "model_state_dict" in state and "dims" in state:
        weights = {k: v.float() for k, v in state["model_state_dict"].items() if k != SINUSOIDS}
        return PretrainedWhisper(str(file), dict(state["dims"]), weights, None)
    model = (state.get("cfg") or {}).get("model") if isinstance(state, dict) else None
    if model and "dims" in model and model["dims"]:
        return _of_checkpoint(file, state, model["dims"])
    raise UserError(
        f"model.whisper_path={file} is no Whisper: expected openai's .pt (dims and "
        "model_state_dict) or a checkpoint of model=whisper."
    )


def _of_checkpoint(file: Path, state: dict[str, Any], dims: Any) -> PretrainedWhisper:
    saved = state["task_state"]["whisper"]
    return PretrainedWhisper(
        str(file), dict(dims), {k: v.float() for k, v in state["model"].items()},
        saved["tokenizer"], tuple(saved["suppress"]), tuple(saved["begin_suppress"]),
    )  # fmt: skip
