"""A Whisper as its files hold it, whichever they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class PretrainedWhisper:
    """The parts of a published or fine-tuned model.

    Attributes:
        path: the file or folder it was read from.
        dims: openai's ten sizes.
        weights: by openai's parameter names, without the sinusoids, which are computed.
        tokenizer: content of ``tokenizer.json``; None where the files hold none.
        suppress, begin_suppress: tokens that decoding never writes, and never writes first; None
            where the files do not say.
    """

    path: str
    dims: Mapping[str, int]
    weights: Mapping[str, torch.Tensor]
    tokenizer: str | None
    suppress: tuple[int, ...] | None = None
    begin_suppress: tuple[int, ...] | None = None

    def with_vocabulary(
        self, weights: Mapping[str, torch.Tensor], n_vocab: int
    ) -> PretrainedWhisper:
        """The same with weights of another number of tokens."""
        return replace(self, weights=weights, dims={**self.dims, "n_vocab": n_vocab})
