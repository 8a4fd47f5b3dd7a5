"""A wav2vec 2.0 as its files hold it, whichever they are, and as a checkpoint of fairseq."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from fairseq_dro.convert.fairseq_checkpoint import fairseq_checkpoint
from fairseq_dro.errors import UserError

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
"""The first units of a dictionary of fairseq's; ``<s>`` is the blank of CTC."""

NEVER = -1e4
"""Bias of a unit that the model does not have: its probability is 0, in half precision, too."""

ENCODER = "w2v_encoder.w2v_model."
OUTPUT = "w2v_encoder.proj."


@dataclass(frozen=True)
class CtcOutput:
    """The output layer of a CTC model.

    Attributes:
        units: V names, the first four those of ``SPECIAL``.
        weight, bias: [V, C] and [V].
    """

    units: tuple[str, ...]
    weight: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True)
class PretrainedWav2Vec2:
    """The parts of a published model.

    Attributes:
        path: the file or folder it was read from.
        options: section ``model`` of a pre-training configuration of fairseq's.
        weights: by the parameter names of fairseq's ``Wav2Vec2Model``.
        normalize: whether audio is scaled to zero mean and unit variance.
        output: of a CTC model.
        notes: what was left out or added, a phrase each.
    """

    path: str
    options: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    normalize: bool
    output: CtcOutput | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def kind(self) -> str:
        return "CTC model" if self.output else "encoder"

    def as_checkpoint(self) -> dict[str, Any]:
        """What fairseq would have written: after fine-tuning where there is an output layer."""
        if self.output is None:
            return self.encoder_checkpoint()
        from fairseq.data import Dictionary

        dictionary = Dictionary()
        for unit in self.output.units[len(SPECIAL) :]:
            dictionary.add_symbol(unit)
        if tuple(dictionary.symbols) != self.output.units:
            raise UserError(f"{self.path} has one unit twice: use the vocab.json as published.")
        model = {
            "_name": "wav2vec_ctc", "w2v_path": "", "normalize": self.normalize, "data": "",
            "apply_mask": False, "w2v_args": self._pretraining(),
        }  # fmt: skip
        task = {
            "_name": "language_grouped_audio_finetuning", "data": "", "labels": "ltr",
            "normalize": self.normalize,
        }  # fmt: skip
        weights = {f"{ENCODER}{name}": weight for name, weight in self.weights.items()}
        weights = {n: w for n, w in weights.items() if not _is_of_pretraining(n)}
        weights |= {f"{OUTPUT}weight": self.output.weight, f"{OUTPUT}bias": self.output.bias}
        cfg = {
            "model": model, "task": task, "criterion": {"_name": "ctc", "post_process": "letter"}
        }  # fmt: skip
        return fairseq_checkpoint(cfg, weights, {"target_dictionary": dictionary})

    def encoder_checkpoint(self) -> dict[str, Any]:
        """What fairseq would have written after pre-training, without any output layer."""
        return fairseq_checkpoint(self._pretraining(), dict(self.weights), {})

    def _pretraining(self) -> dict[str, Any]:
        task = {"_name": "audio_pretraining", "data": "", "normalize": self.normalize}
        return {
            "model": {"_name": "wav2vec2", **self.options}, "task": task,
            "criterion": None, "lr_scheduler": None,
        }  # fmt: skip


def _is_of_pretraining(name: str) -> bool:
    """Modules that fairseq removes before fine-tuning (wav2vec2.py:807)."""
    return name.removeprefix(ENCODER).startswith(("quantizer.", "project_q.", "final_proj."))


def draw_mask(weights: dict[str, torch.Tensor], width: int) -> list[str]:
    """Give an encoder the vector of masked frames, where its file has none.

    Returns:
        a note that says so, or nothing.
    """
    if "mask_emb" in weights:
        return []
    generator = torch.Generator().manual_seed(1)
    weights["mask_emb"] = torch.rand(width, generator=generator)  # as fairseq: uniform
    return ["the vector of masked frames drawn at random, for the file has none"]
