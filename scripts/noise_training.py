"""fairseq's own trainer on noise, for benchmarks that time or profile updates in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.logging import metrics
from fairseq.trainer import Trainer

LANGUAGES = ("deu", "fra")
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß"
UNITS_A_SECOND = 10
SHORTEST, LONGEST = 3.0, 9.0
"""Seconds of an utterance."""

FINE_TUNING = [
    "--arch", "wav2vec_ctc", "--normalize", "--apply-mask", "--mask-prob", "0.75",
    "--feature-grad-mult", "0.0", "--activation-dropout", "0.1",
]  # fmt: skip
"""The model of the recipe ``finetune``, without layerdrop, which would leave out work at random,
and without masks of channels, which narrow models have no room for."""


def write_noise(folder: Path, n_batches: int, batch_seconds: float) -> None:
    """A training split of random audio and letters, about so many batches a language."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows, labels, languages = [str(folder.resolve())], [], []
    for language in LANGUAGES:
        left = n_batches * batch_seconds
        while left >= SHORTEST:
            seconds = min(rng.uniform(SHORTEST, LONGEST), left)
            left -= seconds
            name = f"{language}{len(labels)}.wav"
            audio = 0.1 * rng.standard_normal(int(16_000 * seconds))
            soundfile.write(folder / name, audio, 16_000)
            rows.append(f"{name}\t{len(audio)}")
            units = rng.choice(list(LETTERS), int(UNITS_A_SECOND * seconds))
            labels.append(" ".join(units) + " |")
            languages.append(language)
    for suffix, lines in (("tsv", rows), ("ltr", labels), ("lang", languages)):
        (folder / f"train.{suffix}").write_text("".join(f"{line}\n" for line in lines))
    (folder / "dict.ltr.txt").write_text("".join(f"{unit} 10\n" for unit in f"|{LETTERS}"))


def make_trainer(data: str, batch_seconds: float, words: list[str]) -> Trainer:
    """As `fairseq-train` makes it, with the training split loaded.

    Args:
        words: further arguments of `fairseq-train`, the model's among them.
    """
    parser = options.get_training_parser(default_task="language_grouped_audio_finetuning")
    parsed = options.parse_args_and_arch(
        parser,
        [
            data, "--task", "language_grouped_audio_finetuning", "--criterion", "group_dro_ctc",
            "--objective", "ctc_dro", "--labels", "ltr", "--post-process", "letter",
            "--zero-infinity", "--sentence-avg", "--optimizer", "adam", "--lr", "1e-4",
            "--lr-scheduler", "fixed", "--clip-norm", "5", "--max-update", "100000",
            "--batch-seconds", str(batch_seconds), *words,
        ],
    )  # fmt: skip
    cfg = convert_namespace_to_omegaconf(parsed)
    task: Any = tasks.setup_task(cfg.task)
    torch.manual_seed(1)
    model = task.build_model(cfg.model)
    task.load_dataset("train")
    trainer = Trainer(cfg, task, model, task.build_criterion(cfg.criterion))
    trainer.lr_step_begin_epoch(1)
    return trainer


def batches_of(trainer: Trainer) -> list[list[int]]:
    """Items of each batch of an epoch."""
    dataset = trainer.task.dataset("train")
    return trainer.task.get_batch_iterator(dataset, max_tokens=10**7, seed=1).frozen_batches


def update(trainer: Trainer, batch: list[int]) -> dict[str, Any]:
    """Read a batch and train on it; its sample."""
    dataset = trainer.task.dataset("train")
    sample = dataset.collater([dataset[item] for item in batch])
    with metrics.aggregate(new_root=True), metrics.aggregate("train_inner"):
        trainer.train_step([sample])
    return sample
