"""What a training run of the tests needs to have changed in its process before it starts.

Each function is a preparation of ``killed_commands.CommandServer.run``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

NOISE = "tests.run_preparations:add_noise"
FLOAT64 = "tests.run_preparations:compute_in_float64"


def add_noise() -> None:
    """Noise on the audio from each of the three global generators, as an augmentation draws it."""
    from fairseq.models.wav2vec.wav2vec2_asr import Wav2VecEncoder

    from fairseq_dro.models.whisper.encoder import WhisperEncoder

    def noisy(original: Callable[..., Any]) -> Callable[..., Any]:
        def forward(encoder: Any, source: torch.Tensor, *arguments: Any, **options: Any) -> Any:
            if encoder.training:
                gain = random.uniform(0.9, 1.1)
                hum = torch.from_numpy(np.random.normal(0, 0.01, source.shape)).to(source)
                source = gain * source + hum + 0.01 * torch.randn_like(source)
            return original(encoder, source, *arguments, **options)

        return forward

    for kind in (Wav2VecEncoder, WhisperEncoder):
        kind.forward = noisy(kind.forward)


def compute_in_float64() -> None:
    """Model, audio and losses in float64, where fairseq 0.12.2 asks for float32 by name.

    ``Tensor.float`` is what it converts with (``raw_audio_dataset.py``, ``modules/gelu.py``,
    ``wav2vec2_asr.py:241``); ``utils.py:518``, ``:525`` and ``:385`` fix float32.
    """
    from fairseq import utils
    from fairseq.trainer import Trainer

    original = Trainer.__init__

    def init(trainer: Any, cfg: Any, task: Any, model: Any, *arguments: Any) -> None:
        original(trainer, cfg, task, model.double(), *arguments)  # mask_emb is a FloatTensor

    Trainer.__init__ = init

    def clip_grad_norm(parameters: Any, max_norm: float, *_: Any) -> torch.Tensor:
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm or float("inf"))

    utils.clip_grad_norm_ = clip_grad_norm
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    utils.log_softmax = lambda x, dim, onnx_trace=False: torch.log_softmax(x, dim)
    utils.softmax = lambda x, dim, onnx_trace=False: torch.softmax(x, dim)
