"""What is trained on top of a frozen encoder: the sum of its layers, and a small transformer.

Shapes: B utterances, L hidden layers, T frames, C channels, W channels of the transformer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from fairseq_dro.models.whisper.encoder import sinusoids
from fairseq_dro.models.whisper.layers import Block, Dropout


class LayerSum(nn.Module):
    """One learned weight a layer (SUPERB, Yang et al. 2021, arXiv 2105.01051, section 3).

    Args:
        n_layers: L.
        normalize: give each frame of each layer mean 0 and variance 1 first, so that no layer
            counts more for its scale (s3prl's option of that name).
    """

    def __init__(self, n_layers: int, normalize: bool) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(n_layers))
        self.normalize = normalize

    @property
    def weights(self) -> torch.Tensor:
        """[L] float32, positive, of sum 1."""
        return self.scores.float().softmax(0)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[B, T, C] float32 of [B, L, T, C] in any precision.

        Layer by layer: a third of the time on a CPU, whose allocator gives small blocks again.
        """
        total = torch.zeros((), device=hidden.device)
        for weight, layer in zip(self.weights, hidden.unbind(1)):
            layer = layer.float()
            if self.normalize:
                layer = F.layer_norm(layer, layer.shape[-1:])
            total = total + weight * layer
        return total


class TransformerHead(nn.Module):
    """Convolutional subsampling and pre-norm blocks, as ML-SUPERB puts on a frozen encoder.

    Its convolution is one along time; ESPnet's recipe has two over time and channels.

    Args:
        width_in: C.
        width: W; the feed-forward parts are four times as wide.
        subsampling: 1 or 2, the stride of the convolution.
    """

    def __init__(
        self,
        width_in: int,
        width: int,
        n_layers: int,
        n_heads: int,
        dropout: float,
        subsampling: int,
    ) -> None:
        super().__init__()
        self.subsampling = subsampling
        self.dropout = dropout
        self.conv = nn.Conv1d(width_in, width, 3, stride=subsampling, padding=1)
        self.blocks = nn.ModuleList(
            Block(width, n_heads, Dropout(dropout, dropout, dropout), cross_attention=False)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: torch.Tensor, padding_mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """[B, T', W] of [B, T, C], and whether a frame lies behind the end, [B, T'] of [B, T].

        An utterance has the same output alone and in any batch.
        """
        mask = None
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(2), 0.0)  # as the convolution pads
            padding_mask = padding_mask[:, :: self.subsampling]  # frame t is centred on 2 t
            mask = ~padding_mask[:, None, None]
        x = F.gelu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        room = -(-x.size(1) // 1000) * 1000  # few lengths, for each is kept
        x = x + sinusoids(room, x.size(2), x.device)[: x.size(1)].to(x.dtype)
        x = F.dropout(x, self.dropout, self.training)
        for block in self.blocks:
            x = block.encode(x, mask)
        return self.norm(x), padding_mask
