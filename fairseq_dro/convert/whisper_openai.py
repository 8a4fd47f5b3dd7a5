"""Single files: openai's ``.pt`` and checkpoints that training with ``model=whisper`` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.convert.source import Source
from fairseq_dro.errors import UserError

SINUSOIDS = "encoder.positional_embedding"  # computed, not read


def recognises(source: Source) -> bool:
    """Whether it is openai's file."""
    return {"model_state_dict", "dims"} <= set(source.state)


def read(source: Source) -> PretrainedWhisper:
    """Raises:
    UserError: the file is neither, or cut.
    """
    state = source.state
    if not state:
        raise source.why_unreadable("openai's .pt or a checkpoint of model=whisper")
    if recognises(source):
        weights = {k: v.float() for k, v in state["model_state_dict"].items() if k != SINUSOIDS}
        return PretrainedWhisper(
            str(source.place), dict(state["dims"]), weights, source.tokenizer
        )
    model = (state.get("cfg") or {}).get("model")
    if model and "dims" in model and model["dims"]:
        return _of_checkpoint(source, state, model["dims"])
    raise UserError(
        f"{source} is not a Whisper: expected openai's .pt (dims and model_state_dict) or a "
        "checkpoint of model=whisper."
    )


def _of_checkpoint(source: Source, state: Mapping[str, Any], dims: Any) -> PretrainedWhisper:
    saved = (state.get("task_state") or {}).get("whisper")
    if saved is None:
        raise UserError(
            f"{source} lacks the tokenizer (task_state) that training with model=whisper writes: "
            "name the checkpoint as it was written."
        )
    return PretrainedWhisper(
        str(source.place), dict(dims), {k: v.float() for k, v in state["model"].items()},
        saved["tokenizer"], tuple(saved["suppress"]), tuple(saved["begin_suppress"]),
    )  # fmt: skip
