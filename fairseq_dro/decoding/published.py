"""Published models, to be decoded or given away as if they were checkpoints of this package."""

from __future__ import annotations

import logging
from typing import Any

from omegaconf import OmegaConf

from fairseq_dro.convert.formats import read_pretrained
from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.convert.source import Source
from fairseq_dro.models.whisper.vocabulary import WhisperVocabulary

logger = logging.getLogger(__name__)


def as_checkpoint(path: str) -> dict[str, Any]:
    """What ``checkpoint_utils.load_checkpoint_to_cpu`` gives of a fine-tuned model.

    Args:
        path: a folder or file that ``convert.formats`` knows.

    Raises:
        UserError: it does not, or the model cannot be used.
    """
    found = read_pretrained(Source(path))
    state = found.as_checkpoint()
    if isinstance(found, PretrainedWhisper):
        if "pad_to_seconds" not in found.learned:
            logger.info("%s was never fine-tuned at true length: audio is padded to 30 s", path)
        vocabulary = WhisperVocabulary.of_pretrained(found)
        of_languages = {
            name: found.learned[name]
            for name in ("language_codes", "tokens_per_second") if name in found.learned
        }  # fmt: skip
        state["task_state"]["whisper"] = {**vocabulary.as_state(), **of_languages}
    for note in found.notes:
        logger.info("%s: %s", path, note)
    state["cfg"] = OmegaConf.create(state["cfg"])
    return state
