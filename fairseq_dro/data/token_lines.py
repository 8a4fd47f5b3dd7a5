"""Token ids of many texts in one array."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

_CHUNK = 10_000  # texts that are tokenised at a time


class TokenLines:
    """N sequences of token ids, in four bytes a token.

    Args:
        texts: N texts; made when asked for, and not kept.
        encode_all: the tokenizer, for many texts at a time.
    """

    def __init__(
        self, texts: Sequence[str], encode_all: Callable[[list[str]], list[list[int]]]
    ) -> None:
        parts, lengths = [], []
        for first in range(0, len(texts), _CHUNK):
            lines = [texts[row] for row in range(first, min(first + _CHUNK, len(texts)))]
            for tokens in encode_all(lines):
                parts.append(np.array(tokens, dtype=np.int32))
                lengths.append(len(tokens))
        self._tokens = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        """[L] int32."""
        return self._tokens[self._starts[row] : self._starts[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """[N] int64, tokens of each text."""
        return np.diff(self._starts)
