"""A Whisper as its files hold it, whichever they are, and as a checkpoint of fairseq."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from fairseq_dro.convert.fairseq_checkpoint import fairseq_checkpoint
from fairseq_dro.errors import UserError

LEARNED = ("pad_to_seconds", "language_codes", "tokens_per_second")
"""The rule of lengths, and what ``WhisperVocabulary`` keeps by language."""


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
        learned: what a training of this package knew beside the weights (`LEARNED`).
    """

    path: str
    dims: Mapping[str, int]
    weights: Mapping[str, torch.Tensor]
    tokenizer: str | None
    suppress: tuple[int, ...] | None = None
    begin_suppress: tuple[int, ...] | None = None
    kind = "Whisper"
    notes: tuple[str, ...] = ()
    learned: Mapping[str, Any] = field(default_factory=dict)

    def require_tokenizer(self, named: str | None = None) -> None:
        """Refuse weights without their tokenizer.

        Args:
            named: the file that was named for it.

        Raises:
            UserError: there is none.
        """
        if self.tokenizer is None:
            raise UserError(
                f"{named or 'tokenizer.json'} cannot be read, and the weights in {self.path} need "
                "their tokenizer: put the tokenizer.json of the same model there (any Hugging Face "
                "or faster-whisper folder of it holds one), or set model.tokenizer_path=FILE."
            )

    def as_checkpoint(self) -> dict[str, Any]:
        """What ``checkpoint_utils.load_checkpoint_to_cpu`` gives of a fine-tuned model.

        Audio is padded to 30 s unless a training of this package did otherwise: weights that were
        never fine-tuned at true length miss the end of the text there, and loop.

        Raises:
            UserError: it has no tokenizer.
        """
        self.require_tokenizer()
        model = {
            "_name": "whisper", "normalize": False, "dims": dict(self.dims),
            "pad_to_seconds": self.learned.get("pad_to_seconds", 30),
        }  # fmt: skip
        task = {
            "_name": "language_grouped_whisper_finetuning", "data": "", "labels": "wrd",
            "normalize": False,
        }  # fmt: skip
        vocabulary = {
            "tokenizer": self.tokenizer, "n_vocab": self.dims["n_vocab"],
            "suppress": self.suppress, "begin_suppress": self.begin_suppress,
        }  # fmt: skip
        return fairseq_checkpoint(
            {"model": model, "task": task, "criterion": {"_name": "none"}},
            dict(self.weights), {"whisper": vocabulary},
        )  # fmt: skip

    def with_vocabulary(
        self, weights: Mapping[str, torch.Tensor], n_vocab: int
    ) -> PretrainedWhisper:
        """The same with weights of another number of tokens."""
        return replace(self, weights=weights, dims={**self.dims, "n_vocab": n_vocab})
