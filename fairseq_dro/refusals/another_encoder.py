"""Refuse a checkpoint whose frozen encoder is not the one that the command names.

A checkpoint holds its encoder, and fairseq puts it over the one that was read from the typed file
(fairseq/trainer.py:567). Features are checked against the typed file: those of another encoder
would go to a head that has never seen them, or a run would continue with an encoder that the
command does not name. The checksum in the checkpoint's options tells the two apart in any
precision, where the weights themselves are rounded with ``common.fp16``.
"""

from __future__ import annotations

from typing import Any

from fairseq_dro.checkpoint_reading import when_read
from fairseq_dro.errors import UserError


def apply() -> None:
    """Of each checkpoint that a trainer reads."""
    when_read(require_same_encoder)


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
