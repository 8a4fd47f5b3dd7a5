"""Whisper's input: log-mel frames of 10 ms, in float32 whatever the model's precision.

The window and the filters are no buffers of a module, since ``model.half()`` would halve them.
As openai/whisper ``audio.py`` computes them, but the floor of 8 below the maximum belongs to each
utterance (as in Hugging Face's extractor), not to the batch.

Shapes: B utterances, S samples, F frames, M mel bins.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

SAMPLE_RATE = 16_000
N_FFT = 400
HOP = 160
MAX_SECONDS = 30
_FLOOR = 8.0  # log10 units below the loudest bin of the utterance


def n_frames(n_samples):
    """Frames of utterances at true length: those whose centre lies inside, ceil(S / 160)."""
    return (n_samples + HOP - 1) // HOP


def n_positions(n_samples):
    """Encoder positions at true length, ceil(F / 2).

    The second convolution has stride 2. Of an odd number of frames the last position is centred on
    the last frame and sees a zero behind it.
    """
    return (n_frames(n_samples) + 1) // 2


def log_mel(
    audio: torch.Tensor, n_samples: torch.Tensor, n_mels: int, pad_to_seconds: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-mel frames of a batch.

    Args:
        audio: [B, S] in -1 to 1, or int16; zeros behind the end of each utterance.
        n_samples: [B] length of each utterance.
        pad_to_seconds: 0 for the true length; else every utterance is padded with silence to that
            many seconds, and the silence is input like any other (openai's rule).

    Returns:
        [B, M, F] float32, and [B, F] whether a frame belongs to the utterance (others are 0); None
        where all do. At true length an utterance has the same frames alone and in any batch.
    """
    with torch.autocast(audio.device.type, enabled=False):
        if audio.dtype == torch.int16:
            audio = audio.float() / 32768
        audio = audio.float()
        if pad_to_seconds:
            total = pad_to_seconds * SAMPLE_RATE // HOP
            audio = F.pad(audio, (0, pad_to_seconds * SAMPLE_RATE - audio.size(1)))
            inside = None
        else:
            total = n_frames(audio.size(1))
            # zeros for the window of the last frame, where torch would mirror the end of the audio
            audio = F.pad(audio, (0, total * HOP + N_FFT - audio.size(1)))
            inside = _range_mask(n_frames(n_samples), total)
        spectrum = torch.stft(
            audio, N_FFT, HOP, window=_window(audio.device), center=True, pad_mode="reflect",
            return_complex=True,
        )  # fmt: skip
        power = spectrum[..., :total].abs() ** 2  # [B, N_FFT / 2 + 1, F]
        mel = (_filters(n_mels, audio.device) @ power).clamp(min=1e-10).log10()
        of_utterance = mel
        if inside is not None:
            of_utterance = mel.masked_fill(~inside.unsqueeze(1), -math.inf)
        loudest = of_utterance.amax((1, 2), keepdim=True)
        mel = (torch.maximum(mel, loudest - _FLOOR) + 4.0) / 4.0
        if inside is not None:
            mel = mel.masked_fill(~inside.unsqueeze(1), 0.0)
        return mel, inside


def _range_mask(lengths: torch.Tensor, total: int) -> torch.Tensor:
    """[B, total] True below each length."""
    return torch.arange(total, device=lengths.device) < lengths.unsqueeze(1)


@cache
def _window(device: torch.device) -> torch.Tensor:
    return torch.hann_window(N_FFT, device=device)  # periodic


@cache
def _filters(n_mels: int, device: torch.device) -> torch.Tensor:
    """[M, N_FFT / 2 + 1] triangles of equal area on Slaney's scale, 0 to 8 kHz."""
    hertz = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    edges = _hertz(np.linspace(0, _mel(SAMPLE_RATE / 2), n_mels + 2))
    rising = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    triangles *= 2.0 / (edges[2:] - edges[:-2])[:, None]
    return torch.from_numpy(triangles).float().to(device)


# Slaney's Auditory Toolbox: linear up to 1 kHz (3 mel for 200 Hz), then 27 mel for a factor 6.4
_LINEAR_HERTZ, _BREAK_MEL, _LOG_STEP = 200.0 / 3, 15.0, math.log(6.4) / 27


def _mel(hertz: float) -> float:
    if hertz < 1000:
        return hertz / _LINEAR_HERTZ
    return _BREAK_MEL + math.log(hertz / 1000) / _LOG_STEP


def _hertz(mel: np.ndarray) -> np.ndarray:
    above = 1000 * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HERTZ, above)
