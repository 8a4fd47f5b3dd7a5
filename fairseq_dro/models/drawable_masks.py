"""Masks that fairseq 0.12.2 cannot draw (``data_utils.py:compute_mask_indices``).

Masks of frames are at least two (``wav2vec2.py:451``) and fit any length. Masks of channels have no
such least number, and where none is drawn line 467 writes into an empty array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairseq_dro.errors import UserError


def require_drawable_masks(model: Mapping[str, Any], width: int) -> None:
    """Refuse options with which training would stop in the middle, in drawing a mask.

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
