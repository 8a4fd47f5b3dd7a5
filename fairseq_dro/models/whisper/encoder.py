"""Whisper's encoder: raw audio to one vector for 20 ms.

Shapes: B utterances, S samples, F frames, T positions, C channels.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.models import FairseqEncoder
from torch import nn
from torch.utils.checkpoint import checkpoint

from fairseq_dro.errors import UserError
from fairseq_dro.models.whisper.dims import WhisperDims
from fairseq_dro.models.whisper.layers import Block, Dropout
from fairseq_dro.models.whisper.log_mel import MAX_SECONDS, SAMPLE_RATE, log_mel, n_frames
from fairseq_dro.models.whisper.spec_augment import SpecAugment


class WhisperEncoder(FairseqEncoder):
    """openai's encoder on audio of any length up to 30 s.

    Args:
        pad_to_seconds: 0: true length, 30: openai's function; see ``log_mel``.
        layerdrop: probability to leave out a block in training.
        checkpoint_activations: compute blocks again in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        dims: WhisperDims,
        *,
        pad_to_seconds: int = 0,
        dropout: Dropout | None = None,
        layerdrop: float = 0.0,
        spec_augment: SpecAugment | None = None,
        checkpoint_activations: bool = False,
    ) -> None:
        super().__init__(None)
        width = dims.n_audio_state
        dropout = dropout or Dropout()
        self.n_mels = dims.n_mels
        self.n_positions = dims.n_audio_ctx
        self.pad_to_seconds = pad_to_seconds
        self.dropout = dropout
        self.layerdrop = layerdrop
        self.spec_augment = spec_augment
        self.checkpoint_activations = checkpoint_activations
        self.conv1 = nn.Conv1d(dims.n_mels, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            Block(width, dims.n_audio_head, dropout, cross_attention=False)
            for _ in range(dims.n_audio_layer)
        )
        self.ln_post = nn.LayerNorm(width)

    def forward(
        self,
        source: torch.Tensor,
        padding_mask: torch.Tensor | None = None,
        hidden: list[torch.Tensor] | None = None,
        **_unused: Any,
    ) -> dict[str, torch.Tensor | None]:
        """Encode a batch.

        Args:
            source: [B, S] samples, float in -1 to 1 or int16, zeros behind each end.
            padding_mask: [B, S] True behind the end of an utterance.
            hidden: to it the input of each block and the output are appended, [B, T, C] each.

        Returns:
            ``encoder_out`` [B, T, C] and ``encoder_padding_mask`` [B, T], True behind the end; None
            where there is none, as always under ``pad_to_seconds``.

        Raises:
            UserError: the batch is longer than 30 s.
        """
        if source.size(1) > MAX_SECONDS * SAMPLE_RATE:
            raise UserError(
                f"an utterance of {source.size(1) / SAMPLE_RATE:.1f} s is longer than the "
                f"{MAX_SECONDS} s that Whisper takes: cut the recording or leave it out."
            )
        n_samples = torch.full((len(source),), source.size(1), device=source.device)
        if padding_mask is not None:
            n_samples = n_samples - padding_mask.sum(1)
        mel, inside = log_mel(source, n_samples, self.n_mels, self.pad_to_seconds)
        if self.training and self.spec_augment is not None:
            mel = self.spec_augment(mel, n_frames(n_samples))
        x = F.gelu(self.conv1(mel.to(self.conv1.weight.dtype)))
        outside = mask = None
        if inside is not None:
            # the next convolution would see what this one made of the zeros behind the end
            x = x * inside.unsqueeze(1)
            inside = inside[:, ::2]  # [B, T]: position t is centred on frame 2 t
            outside, mask = ~inside, inside[:, None, None]
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        x = x + sinusoids(self.n_positions, x.size(2), x.device)[: x.size(1)].to(x.dtype)
        x = F.dropout(x, self.dropout.residual, self.training)
        for block in self.blocks:
            if hidden is not None:
                hidden.append(x)
            if self.training and self.layerdrop and torch.rand(()).item() < self.layerdrop:
                continue
            if self.checkpoint_activations and torch.is_grad_enabled():
                x = checkpoint(block.encode, x, mask, use_reentrant=False)
            else:
                x = block.encode(x, mask)
        x = self.ln_post(x)
        if hidden is not None:
            hidden.append(x)
        return {"encoder_out": x, "encoder_padding_mask": outside}

    def reorder_encoder_out(
        self, encoder_out: dict[str, torch.Tensor | None], new_order: torch.Tensor
    ) -> dict[str, torch.Tensor | None]:
        """The chosen rows of the batch, in that order."""
        return {
            name: None if value is None else value.index_select(0, new_order)
            for name, value in encoder_out.items()
        }

    def max_positions(self) -> int:
        """In samples of audio."""
        return MAX_SECONDS * SAMPLE_RATE


@cache
def sinusoids(length: int, width: int, device: torch.device) -> torch.Tensor:
    """[T, C] float32 positions, sines then cosines (openai's ``sinusoids``).

    Computed, not read: files in half precision hold them with errors of 3e-4.
    """
    half = width // 2
    inverse = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half))
    angles = torch.arange(length).unsqueeze(1) * inverse
    return torch.cat([angles.sin(), angles.cos()], dim=1).to(device)
