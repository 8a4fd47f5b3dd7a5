"""The block of Whisper's encoder and decoder, by openai's parameter names.

Shapes: B utterances, T positions asked for, K positions attended to, C channels, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Dropout:
    """Probabilities in training; openai trained without dropout."""

    residual: float = 0.0  # of what a block adds
    attention: float = 0.0
    activation: float = 0.0  # between the two linear layers


class KeyValues:
    """Keys and values of one attention, [B, H, K, C / H] each; room grows by doubling."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._keys, self._values = keys, values
        self.length = keys.size(2)

    def get(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

    def append(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        needed = self.length + keys.size(2)
        if needed > self._keys.size(2):
            room = (0, 0, 0, 2 * needed - self._keys.size(2))
            self._keys, self._values = F.pad(self._keys, room), F.pad(self._values, room)
        self._keys[:, :, self.length : needed] = keys
        self._values[:, :, self.length : needed] = values
        self.length = needed

    def select(self, rows: torch.Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        self._keys, self._values = self._keys[rows], self._values[rows]


class BiasFree(nn.Module):
    """A linear layer without a bias: to fairseq, biases that are None are one shared parameter."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, width))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)  # as nn.Linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight)


class Attention(nn.Module):
    """Multi-head attention; the key has no bias."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = BiasFree(width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def keys_and_values(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the attended [B, K, C]: [B, H, K, C / H] each."""
        return self._heads(self.key(x)), self._heads(self.value(x))

    def forward(
        self,
        x: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        causal: bool = False,
    ) -> torch.Tensor:
        """[B, T, C] of [B, T, C]; ``mask`` is True where a key may be attended to."""
        attended = F.scaled_dot_product_attention(
            self._heads(self.query(x)), keys, values, attn_mask=mask, is_causal=causal,
            dropout_p=self.dropout if self.training else 0.0,
        )  # fmt: skip
        return self.out(attended.transpose(1, 2).flatten(2))

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm: self-attention, in the decoder attention to the encoder, feed-forward part."""

    def __init__(self, width: int, n_heads: int, dropout: Dropout, cross_attention: bool) -> None:
        super().__init__()
        self.dropout = dropout
        self.attn = Attention(width, n_heads, dropout.attention)
        self.attn_ln = nn.LayerNorm(width)
        if cross_attention:
            self.cross_attn = Attention(width, n_heads, dropout.attention)
            self.cross_attn_ln = nn.LayerNorm(width)
        wide = 4 * width
        self.mlp = nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width))
        self.mlp_ln = nn.LayerNorm(width)

    def encode(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """A block of the encoder: [B, T, C] of [B, T, C]."""
        normed = self.attn_ln(x)
        x = x + self._drop(self.attn(normed, *self.attn.keys_and_values(normed), mask))
        return x + self._drop(self._feed_forward(x))

    def decode(
        self,
        x: torch.Tensor,
        memory: torch.Tensor,
        memory_mask: torch.Tensor | None,
        cache: dict[str, KeyValues] | None = None,
    ) -> torch.Tensor:
        """A block of the decoder: [B, T, C] of [B, T, C] and the encoder's [B, K, C].

        Args:
            cache: keys and values of the positions before these, to which those of these are
                added; empty at the first call.
        """
        normed = self.attn_ln(x)
        keys, values = self.attn.keys_and_values(normed)
        mask, causal = None, x.size(1) > 1
        if cache is not None:
            if "own" in cache:
                cache["own"].append(keys, values)
                keys, values = cache["own"].get()
                mask, causal = _causal_mask(x.size(1), keys.size(2), x.device), False
            else:
                cache["own"] = KeyValues(keys, values)
        x = x + self._drop(self.attn(normed, keys, values, mask, causal))
        if cache is None:
            keys, values = self.cross_attn.keys_and_values(memory)
        else:
            if "memory" not in cache:
                cache["memory"] = KeyValues(*self.cross_attn.keys_and_values(memory))
            keys, values = cache["memory"].get()
        normed = self.cross_attn_ln(x)
        x = x + self._drop(self.cross_attn(normed, keys, values, memory_mask))
        return x + self._drop(self._feed_forward(x))

    def _feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        first, activation, second = self.mlp
        hidden = activation(first(self.mlp_ln(x)))
        return second(F.dropout(hidden, self.dropout.activation, self.training))

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.dropout.residual, self.training)


def _causal_mask(n_queries: int, n_keys: int, device: torch.device) -> torch.Tensor | None:
    """[T, K] for queries that are the last positions; None for a single one, which sees all."""
    if n_queries == 1:
        return None
    everything = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return everything.tril(n_keys - n_queries)
