"""Audio with text that a decoder writes behind a prompt.

fairseq's ``AddTargetDataset`` puts the same symbol at both ends of a target and leaves the inputs
of the decoder a list (fairseq issue 4902).

Shapes: N items; B utterances of a batch; P tokens of a prompt; L tokens the decoder sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, FairseqDataset, data_utils

from fairseq_dro.data.token_lines import TokenLines


class Recognised(IntEnum):
    """In which validations an utterance is decoded."""

    NEVER = 0
    AT_THE_END = 1  # in the last one of a run alone
    ALWAYS = 2


def evenly_spread(n_items: int, n_always: int, n_at_the_end: int) -> np.ndarray:
    """[n_items] of `Recognised`: as many as wanted, spread evenly; below 0: all of them.

    Those of every validation are among those of the last one.
    """
    of_each = np.full(n_items, Recognised.NEVER)
    chosen = np.arange(n_items)
    for kind, wanted in ((Recognised.AT_THE_END, n_at_the_end), (Recognised.ALWAYS, n_always)):
        if 0 <= wanted < len(chosen):
            places = np.linspace(0, len(chosen) - 1, wanted).round().astype(np.int64)
            chosen = chosen[places]
        of_each[chosen] = kind
    return of_each


class PromptedTextDataset(BaseWrapperDataset):
    """Adds ``target`` and ``prev_output_tokens`` to batches of audio.

    With prompt p1 .. pP and text t1 .. tn the decoder sees p1 .. pP t1 .. tn, and its target is
    P - 1 times padding, then t1 .. tn and the end: the prompt is given, not learned.

    Args:
        audio: of N items.
        texts: of the manifest's lines.
        labels: the same as text, for decoding.
        rows: [N] lines of the manifest that are items.
        prompts: [K, P] the different prompts.
        prompt_of: [N] which of them an item has.
        recognised: [N] int, a ``Recognised``: in which validations an item is decoded.
        pad, end: token ids.
    """

    def __init__(
        self,
        audio: FairseqDataset,
        texts: TokenLines,
        labels: Sequence[str],
        rows: np.ndarray,
        *,
        prompts: np.ndarray,
        prompt_of: np.ndarray,
        recognised: np.ndarray,
        pad: int,
        end: int,
    ) -> None:
        super().__init__(audio)
        self.texts = texts
        self.labels = labels
        self.rows = rows
        self.prompts = torch.from_numpy(prompts)
        self.prompt_of = prompt_of
        self.recognised = recognised
        self.pad = pad
        self.end = end

    def get_label(self, index: int) -> str:
        """The text as it stands in the file."""
        return self.labels[int(self.rows[index])]

    def size(self, index: int) -> tuple[int, int]:
        """Samples, and tokens of the text."""
        row = int(self.rows[index])
        return self.dataset.size(index), int(len(self.texts[row]))

    def filter_indices_by_size(self, indices, max_sizes):
        """As ``AddTargetDataset`` does."""
        return data_utils._filter_by_size_dynamic(indices, self.size, max_sizes)

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """``target`` [B, L], ``target_lengths`` [B] and ``ntokens``, each without the prompt;
        ``net_input.prev_output_tokens`` [B, L]; ``recognised`` [B].
        """
        batch = self.dataset.collater(samples)
        if not batch:
            return batch
        ids = batch["id"].tolist()
        tokens = (self.texts[int(self.rows[item])] for item in ids)
        texts = [torch.from_numpy(of_one.astype(np.int64)) for of_one in tokens]
        lengths = torch.tensor([len(text) for text in texts])
        n_prompt = self.prompts.size(1)
        width = n_prompt + int(lengths.max())
        inputs = torch.full((len(ids), width), self.pad)
        target = torch.full((len(ids), width), self.pad)
        for row, (item, text) in enumerate(zip(ids, texts)):
            end = n_prompt + len(text)
            inputs[row, :n_prompt] = self.prompts[self.prompt_of[item]]
            inputs[row, n_prompt:end] = text
            target[row, n_prompt - 1 : end - 1] = text
            target[row, end - 1] = self.end
        batch["target"] = target
        batch["target_lengths"] = lengths + 1
        batch["ntokens"] = int(lengths.sum()) + len(ids)
        batch["recognised"] = torch.from_numpy(self.recognised[ids])
        batch["net_input"]["prev_output_tokens"] = inputs
        return batch
