"""Whisper's decoder: tokens and encoded audio to scores of the next token.

Shapes: B utterances, L tokens, T encoder positions, C channels, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from fairseq.models import FairseqIncrementalDecoder
from torch import nn
from torch.utils.checkpoint import checkpoint

from fairseq_dro.models.whisper.dims import WhisperDims
from fairseq_dro.models.whisper.layers import Block, Dropout


class WhisperDecoder(FairseqIncrementalDecoder):
    """The output layer is the token embedding.

    Args:
        dictionary: fairseq's, for code of fairseq's that asks for it; may be None.
    """

    def __init__(
        self,
        dims: WhisperDims,
        dictionary: Any = None,
        *,
        dropout: Dropout | None = None,
        layerdrop: float = 0.0,
        checkpoint_activations: bool = False,
    ) -> None:
        super().__init__(dictionary)
        width = dims.n_text_state
        dropout = dropout or Dropout()
        self.dropout = dropout
        self.layerdrop = layerdrop
        self.checkpoint_activations = checkpoint_activations
        self.token_embedding = nn.Embedding(dims.n_vocab, width)
        self.positional_embedding = nn.Parameter(torch.zeros(dims.n_text_ctx, width))
        self.blocks = nn.ModuleList(
            Block(width, dims.n_text_head, dropout, cross_attention=True)
            for _ in range(dims.n_text_layer)
        )
        self.ln = nn.LayerNorm(width)

    def forward(
        self,
        prev_output_tokens: torch.Tensor,
        encoder_out: dict[str, torch.Tensor | None],
        incremental_state: dict[str, Any] | None = None,
        **_unused: Any,
    ) -> tuple[torch.Tensor, None]:
        """Scores of the token behind each of these.

        Args:
            prev_output_tokens: [B, L]; with ``incremental_state`` the whole prefix, of which only
                the tokens that were not there at the last call are computed.
            incremental_state: a dictionary of the caller's, empty at first; holds the keys and
                values of the tokens so far.

        Returns:
            [B, L, V] logits (with ``incremental_state`` of the new tokens only), and None, as
            fairseq's decoders do.
        """
        caches, start = [None] * len(self.blocks), 0
        if incremental_state is not None:
            caches = incremental_state.setdefault("whisper", [{} for _ in self.blocks])
            start = caches[0]["own"].length if caches[0] else 0
        memory, outside = encoder_out["encoder_out"], encoder_out["encoder_padding_mask"]
        mask = None if outside is None else ~outside[:, None, None]
        tokens = prev_output_tokens[:, start:]
        x = self.token_embedding(tokens)
        x = x + self.positional_embedding[start : start + tokens.size(1)]
        x = F.dropout(x, self.dropout.residual, self.training)
        for block, cache in zip(self.blocks, caches):
            if self.training and self.layerdrop and torch.rand(()).item() < self.layerdrop:
                continue
            if self.checkpoint_activations and torch.is_grad_enabled():
                x = checkpoint(block.decode, x, memory, mask, use_reentrant=False)
            else:
                x = block.decode(x, memory, mask, cache)
        return F.linear(self.ln(x), self.token_embedding.weight), None

    def reorder_incremental_state(
        self, incremental_state: dict[str, Any], new_order: torch.Tensor
    ) -> None:
        """Keep these rows of the batch, in this order (also fewer than there were)."""
        for cache in incremental_state.get("whisper", ()):
            for key_values in cache.values():
                key_values.select(new_order)

    def max_positions(self) -> int:
        return len(self.positional_embedding)
