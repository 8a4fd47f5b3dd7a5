"""Published Whisper weights, to be decoded as if they were a checkpoint."""

from __future__ import annotations

import logging
from typing import Any

from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import OmegaConf

from fairseq_dro.convert.whisper import read_whisper
from fairseq_dro.models.whisper.options import WhisperConfig
from fairseq_dro.models.whisper.vocabulary import WhisperVocabulary

logger = logging.getLogger(__name__)
TASK = "language_grouped_whisper_finetuning"


def as_checkpoint(path: str) -> dict[str, Any]:
    """What ``checkpoint_utils.load_checkpoint_to_cpu`` gives of a fine-tuned model.

    Audio is padded to 30 s: weights that were never fine-tuned at true length miss the end of the
    text there, and loop.

    Args:
        path: a Hugging Face or a CTranslate2 folder.

    Raises:
        UserError: it is neither, or cannot be used.
    """
    whisper = read_whisper(path)
    logger.info("%s was never fine-tuned at true length: audio is padded to 30 s", path)
    model = {
        name: field.default
        for name, field in WhisperConfig.__dataclass_fields__.items()
        if name != "normalize"
    }
    model |= {
        "_name": "whisper", "normalize": False, "pad_to_seconds": 30, "dims": dict(whisper.dims)
    }
    task = {
        "_name": TASK,
        "labels": TASK_DATACLASS_REGISTRY[TASK].labels,
        "normalize": False,
    }
    return {
        "cfg": OmegaConf.create({"model": model, "task": task, "criterion": {"_name": "none"}}),
        "model": dict(whisper.weights),
        "task_state": {"whisper": WhisperVocabulary.of_pretrained(whisper).as_state()},
        "optimizer_history": [],
    }
