"""wav2vec 2.0, XLS-R and MMS as fairseq has them: what this package has to know of the family.

What their pre-trained files must hold is in ``checkpoint_checks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fairseq_dro.conv_layers import Layers
from fairseq_dro.errors import UserError

if TYPE_CHECKING:  # the doctor, which has no model, reads this file at its start
    import torch

MODELS = ("wav2vec_ctc", "wav2vec_seq2seq")
"""Names of fairseq's models with the options of ``Wav2Vec2AsrConfig``."""

LAYERS: Layers = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)
"""(channels, kernel, stride) of the extractor of all published files (conv_feature_layers)."""


class Wav2Vec2:
    """The answers of ``models.family.ModelFamily`` for a ``wav2vec_ctc`` or ``wav2vec_seq2seq``."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder  # Wav2VecEncoder, wav2vec2_asr.py:363
        self.wav2vec2 = encoder.w2v_model

    @classmethod
    def of(cls, model: Any) -> Wav2Vec2 | None:
        """None where the model has no such encoder."""
        encoder = getattr(model, "w2v_encoder", None) or getattr(model, "encoder", None)
        wav2vec2 = getattr(encoder, "w2v_model", None)
        return cls(encoder) if hasattr(wav2vec2, "_get_feat_extract_output_lengths") else None

    def frames_of(self, n_samples: np.ndarray) -> np.ndarray:
        import torch

        lengths = self.wav2vec2._get_feat_extract_output_lengths(torch.from_numpy(n_samples))
        return lengths.numpy()

    def frozen_parameters(self) -> list[torch.nn.Parameter]:
        """The whole encoder before ``freeze_finetune_updates`` (wav2vec2_asr.py:481), then the
        convolutional extractor under ``feature_grad_mult=0`` (wav2vec2.py:593)."""
        if self.encoder.num_updates < self.encoder.freeze_finetune_updates:
            return list(self.wav2vec2.parameters())
        if self.wav2vec2.feature_grad_mult == 0:
            return list(self.wav2vec2.feature_extractor.parameters())
        return []

    def require_options(self, cfg: Mapping[str, Any]) -> None:
        require_drawable_masks(cfg, len(self.wav2vec2.mask_emb))


def frames_of(n_samples: np.ndarray, layers: Layers = LAYERS) -> np.ndarray:
    """[N] frames of [N] samples, without a model (as ``_get_feat_extract_output_lengths`` of
    fairseq's ``wav2vec2.py``)."""
    frames = np.asarray(n_samples)
    for _, kernel, stride in layers:
        frames = (frames - kernel) // stride + 1
    return np.maximum(frames, 0)


def require_drawable_masks(model: Mapping[str, Any], width: int) -> None:
    """Refuse options with which training would stop in the middle, in drawing a mask.

    fairseq 0.12.2 (``data_utils.py:compute_mask_indices``) draws two masks of frames at least
    (``wav2vec2.py:451``), and they fit any length. Masks of channels have no such least number,
    and where none is drawn line 467 writes into an empty array.
    The number of masks is ``mask_channel_prob * width / mask_channel_length``, rounded up or down
    at random, so below 1 it is sometimes 0.

    Args:
        model: the section ``model`` of a fine-tuning configuration.
        width: channels of the encoder, C.

    Raises:
        UserError: naming the options and values that work.
    """
    if not model["apply_mask"]:
        return
    share, length = model["mask_channel_prob"], model["mask_channel_length"]
    if 0 < share * width < length:
        longest = int(share * width)
        shorter = f"model.mask_channel_length={longest} or less, or " if longest else ""
        raise UserError(
            f"model.mask_channel_prob={share:g} of the pre-trained model's {width} channels is "
            f"less than one span of model.mask_channel_length={length}, and fairseq stops with an "
            f"IndexError when it draws no span: set {shorter}model.mask_channel_prob=0."
        )
    for part, option in (("mask", "no_mask_overlap"), ("mask_channel", "no_mask_channel_overlap")):
        if model[f"{part}_prob"] > 0 and model[option] and not hasattr(np, "int"):
            raise UserError(
                f"model.{option}=true uses numpy.int in fairseq 0.12.2, which numpy "
                f"{np.__version__} no longer has: leave it false."
            )
