"""Training commands, tasks and criterions on the tiny corpus with a small random Whisper."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from fairseq.criterions.label_smoothed_cross_entropy import (
    LabelSmoothedCrossEntropyCriterion as StockCrossEntropy,
)
from omegaconf import OmegaConf

from fairseq_dro.criterions.cross_entropy import (
    GroupDroCrossEntropyConfig,
    GroupDroCrossEntropyCriterion,
)
from fairseq_dro.models.whisper.model import WhisperModel
from fairseq_dro.tasks.language_grouped_whisper_finetuning import (
    LanguageGroupedWhisperFinetuningTask,
)
from fairseq_dro.tasks.whisper_options import LanguageGroupedWhisperFinetuningConfig
from tests.in_process import task_config
from tests.stock_commands import BIN, TINY_RUN
from tests.tiny_corpus import write_tiny_corpus
from tests.whisper_files import TINY, config, random_weights, write_ctranslate2

MINI = replace(
    TINY, n_audio_state=16, n_audio_head=2, n_audio_layer=1, n_text_state=16, n_text_head=2,
    n_text_layer=1,
)  # fmt: skip

WHISPER_RUN = {
    **{name: value for name, value in TINY_RUN.items() if not name.startswith("model.")},
    "task._name": "language_grouped_whisper_finetuning",
    "task.normalize": "false",
    "criterion._name": "group_dro_cross_entropy",
    "criterion.objective": "group_dro",
    "model._name": "whisper",
    "model.dropout": "0.1",
    "model.attention_dropout": "0.1",
    "model.activation_dropout": "0.1",
    "model.layerdrop": "0.1",
    "model.time_masks": "1",
    "model.frequency_masks": "1",
}
del WHISPER_RUN["criterion.zero_infinity"]


def with_texts(folder: Path) -> Path:
    """Write {split}.wrd: the label lines as words, capitalised and with a full stop."""
    for labels in folder.glob("*.ltr"):
        texts = [
            line.replace(" ", "").replace("|", " ").strip().capitalize() + "."
            for line in labels.read_text().splitlines()
        ]
        labels.with_suffix(".wrd").write_text("".join(f"{text}\n" for text in texts))
    return folder


def write_mini_whisper(folder: Path) -> Path:
    """A CTranslate2 folder of a few parameters and the whole vocabulary."""
    return write_ctranslate2(folder, *random_weights(MINI))


def whisper_command(data: Path, whisper: Path, **overrides: Any) -> list[str]:
    """``fairseq-hydra-train``; overrides name options with ``__`` for ``.``."""
    options = {
        **WHISPER_RUN, "task.data": str(data), "model.whisper_path": str(whisper),
        **{name.replace("__", "."): str(value) for name, value in overrides.items()},
    }
    arguments = [f"{key.removesuffix('._name')}={value}" for key, value in options.items()]
    return [str(BIN / "fairseq-hydra-train"), *arguments]


def copy_with_texts(data: Path, folder: Path) -> Path:
    """A copy that a test may change, with texts."""
    shutil.copytree(data, folder, dirs_exist_ok=True)
    return with_texts(folder)


def whisper_corpus(folder: Path, **letters: str) -> Path:
    """A tiny corpus of these languages, with texts."""
    return with_texts(
        write_tiny_corpus(folder, {"train": 6, "valid": 3, "test": 3}, letters, growth=1)
    )


def make_whisper_task(data: Path, **options: Any) -> LanguageGroupedWhisperFinetuningTask:
    options = {
        "normalize": False, "max_update": 0, "max_epoch": 0, **options,
    }  # fmt: skip
    return LanguageGroupedWhisperFinetuningTask(
        task_config(LanguageGroupedWhisperFinetuningConfig, data, **options)
    )


def make_whisper(
    task: LanguageGroupedWhisperFinetuningTask, whisper: Path, **options: Any
) -> WhisperModel:
    cfg = config(whisper_path=str(whisper), **options)
    cfg._name = "whisper"
    torch.manual_seed(5)
    return task.build_model(OmegaConf.structured(cfg))


def group_dro_cross_entropy(task: Any, **options: Any) -> GroupDroCrossEntropyCriterion:
    cfg = GroupDroCrossEntropyConfig(sentence_avg=options.pop("sentence_avg", True), **options)
    return GroupDroCrossEntropyCriterion(OmegaConf.structured(cfg), task)


def stock_cross_entropy(
    task: Any, sentence_avg: bool = True, label_smoothing: float = 0.0
) -> StockCrossEntropy:
    return StockCrossEntropy(task, sentence_avg, label_smoothing)
