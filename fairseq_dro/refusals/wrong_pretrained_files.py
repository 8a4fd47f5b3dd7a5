"""Say what is wrong with ``model.w2v_path`` before training starts.

``Wav2VecEncoder`` builds a model from whatever configuration the file holds
(fairseq/models/wav2vec/wav2vec2_asr.py:376-414): a fine-tuned file ends in ``AttributeError:
'Wav2VecCtc' object has no attribute 'remove_pretraining_modules'``, a file with other weights in
a page of torch's. Resuming and decoding take the configuration from the checkpoint
(``w2v_args``) and load the weights afterwards, so nothing is checked or read there.
"""

from __future__ import annotations

import contextvars
import functools
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError
from fairseq_dro.models import checkpoint_checks

_encoder_cfg: contextvars.ContextVar[Any] = contextvars.ContextVar("_encoder_cfg", default=None)


def apply() -> None:
    """Wrap ``Wav2VecEncoder`` and ``checkpoint_utils.load_checkpoint_to_cpu``."""
    from fairseq import checkpoint_utils
    from fairseq.models.wav2vec.wav2vec2_asr import Wav2VecEncoder

    build = Wav2VecEncoder.__init__
    load_weights = Wav2VecEncoder.load_model_weights
    load = checkpoint_utils.load_checkpoint_to_cpu

    @functools.wraps(build)
    def __init__(self: Any, cfg: Any, *args: Any, **kwargs: Any) -> None:
        is_checked = own_runs.current() and cfg.w2v_args is None
        token = _encoder_cfg.set(cfg if is_checked else None)
        try:
            build(self, cfg, *args, **kwargs)
        finally:
            _encoder_cfg.reset(token)

    @functools.wraps(load)
    def load_checkpoint_to_cpu(path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        cfg = _encoder_cfg.get()
        if cfg is None:
            return load(path, *args, **kwargs)
        try:
            state = load(path, *args, **kwargs)
            checkpoint_checks.require_pretrained(state, path)
            checkpoint_checks.require_same_normalization(state, path, cfg.normalize)
        except UserError as error:
            raise UserError(f"model.w2v_path: {error}") from error
        return state

    @functools.wraps(load_weights)
    def load_model_weights(self: Any, state: dict[str, Any], model: Any, cfg: Any) -> None:
        if not own_runs.current():
            return load_weights(self, state, model, cfg)
        state["model"].pop("_ema", None)
        checkpoint_checks.require_finite_weights(
            state["model"], f"model.w2v_path: {cfg.w2v_path}"
        )
        if cfg.ddp_backend != "fully_sharded":  # there a worker holds a part of the weights only
            checkpoint_checks.require_same_weights(
                state["model"], model.state_dict(), cfg.w2v_path
            )
        checkpoint_checks.require_finite_weights(state["model"], cfg.w2v_path)
        load_weights(self, state, model, cfg)

    Wav2VecEncoder.__init__ = __init__
    Wav2VecEncoder.load_model_weights = load_model_weights
    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu
