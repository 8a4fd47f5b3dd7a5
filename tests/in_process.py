"""Build task, model and criterion in this process, without a trainer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.criterions.ctc import CtcCriterion, CtcCriterionConfig
from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig
from omegaconf import OmegaConf

from fairseq_dro.criterions.ctc import GroupDroCtcConfig, GroupDroCtcCriterion
from fairseq_dro.tasks.language_grouped_audio_finetuning import (
    LanguageGroupedAudioFinetuningConfig,
    LanguageGroupedAudioFinetuningTask,
)


def task_config(kind: type, data: Path, **options: Any) -> Any:
    """Options of one of our tasks, with what it takes from other sections of a configuration."""
    return OmegaConf.structured(
        kind(
            **{
                "data": str(data), "normalize": True, "seed": 1, "train_subset": "train",
                "fp16": False, "bf16": False,
                "update_freq": [1], "tensorboard_logdir": None, "tpu": False,
                "ddp_backend": "legacy_ddp", "find_unused_parameters": False,
                "valid_subset": "valid", "max_tokens_valid": None, "skip_too_long_valid": False,
                "required_batch_size_multiple": 8, "curriculum": 0, "grouped_shuffling": False,
                "combine_valid_subsets": None, "use_bmuf": False,
                "history_dir": tempfile.mkdtemp(), **options,
            }
        )
    )


def make_task(data: Path, **options: Any) -> LanguageGroupedAudioFinetuningTask:
    return LanguageGroupedAudioFinetuningTask(
        task_config(LanguageGroupedAudioFinetuningConfig, data, **options)
    )


def make_model(task: LanguageGroupedAudioFinetuningTask, checkpoint: Path, **options: Any):
    """A ``wav2vec_ctc`` without dropout, masks and layerdrop: a function of its input alone."""
    config = OmegaConf.structured(
        Wav2Vec2CtcConfig(
            _name="wav2vec_ctc",
            w2v_path=str(checkpoint), normalize=True, data=str(task.cfg.data),
            layerdrop=0.0, ddp_backend="legacy_ddp", **{"apply_mask": False, **options},
        )
    )
    torch.manual_seed(5)
    return task.build_model(config)


def group_dro_ctc(task, **options: Any) -> GroupDroCtcCriterion:
    config = GroupDroCtcConfig(sentence_avg=options.pop("sentence_avg", True), **options)
    return GroupDroCtcCriterion(OmegaConf.structured(config), task)


def stock_ctc(task, **options: Any) -> CtcCriterion:
    config = CtcCriterionConfig(sentence_avg=options.pop("sentence_avg", True), **options)
    return CtcCriterion(OmegaConf.structured(config), task)


def batch_of(task, split: str, indices: np.ndarray) -> dict[str, Any]:
    dataset = task.dataset(split)
    return dataset.collater([dataset[int(i)] for i in indices])
