"""Refuse a checkpoint whose frozen encoder is not the one that the command names.

A checkpoint holds its encoder, and fairseq puts it over the one that was read from the typed file
(fairseq/trainer.py:567). Features are checked against the typed file: those of another encoder
would go to a head that has never seen them, or a run would continue with an encoder that the
command does not name. The checksum in the checkpoint's options tells the two apart in any
precision, where the weights themselves are rounded with ``common.fp16``.
"""

from __future__ import annotations

import contextvars
import functools
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError

_trainer: contextvars.ContextVar[Any] = contextvars.ContextVar("_trainer", default=None)


def apply() -> None:
    """Wrap ``Trainer.load_checkpoint`` and ``checkpoint_utils.load_checkpoint_to_cpu``."""
    from fairseq import checkpoint_utils
    from fairseq.trainer import Trainer

    load_checkpoint = Trainer.load_checkpoint
    load = checkpoint_utils.load_checkpoint_to_cpu

    @functools.wraps(load_checkpoint)
    def load_checkpoint_of_one_encoder(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _trainer.set(self if own_runs.has_own_part(self) else None)
        try:
            return load_checkpoint(self, *args, **kwargs)
        finally:
            _trainer.reset(token)

    @functools.wraps(load)
    def load_checkpoint_to_cpu(path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state, trainer = load(path, *args, **kwargs), _trainer.get()
        if trainer is not None:
            require_same_encoder(state, path, trainer)
        return state

    Trainer.load_checkpoint = load_checkpoint_of_one_encoder
    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu


def require_same_encoder(state: dict[str, Any], path: str, trainer: Any) -> None:
    """Compare the checksums of two frozen encoders; other models have none.

    Raises:
        UserError: they differ.
    """
    now = getattr(trainer.get_model(), "checksum", None)
    saved = (state.get("cfg") or {}).get("model")
    if now is None or not saved or "encoder_checksum" not in saved:
        return
    then = saved["encoder_checksum"]
    if then == now:
        return
    raise UserError(
        f"{path} was trained on the frozen encoder {_file(saved)} (its weights have the checksum "
        f"{then}), and this command names {_file(trainer.cfg.model)} ({now}): name the encoder it "
        "was trained on, or another hydra.run.dir to start over."
    )


def _file(model: Any) -> str:
    return str(model.get("whisper_path") or model.get("w2v_path"))
