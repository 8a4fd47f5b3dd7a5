"""Tiny pre-trained files of every origin, spoilt copies of them, and the models made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

import fairseq_dro
from fairseq_dro import own_runs
from fairseq_dro.demo.random_checkpoint import ORIGINS, write_random_checkpoint


def write_pretrained_files(folder: Path) -> dict[str, Path]:
    """One file of each origin."""
    fairseq_dro.register()
    paths = {origin: folder / f"{origin}.pt" for origin in ORIGINS}
    for origin, path in paths.items():
        write_random_checkpoint(path, origin=origin)
    return paths


def write_changed(path: Path, good: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A copy of a good file whose content was changed."""
    state = torch.load(good)
    change(state)
    torch.save(state, path)


def build(path: Path, data: Path, **options: Any) -> torch.nn.Module:
    """The ``wav2vec_ctc`` model one of our fine-tuning runs starts from."""
    from fairseq import tasks

    task = {"_name": "audio_finetuning", "data": str(data), "labels": "ltr", "normalize": True}
    model = {"_name": "wav2vec_ctc", "w2v_path": str(path), "data": str(data), "normalize": True}
    with own_runs.own():
        return tasks.setup_task(OmegaConf.create(task)).build_model(
            OmegaConf.create({**model, "ddp_backend": "legacy_ddp", **options})
        )


def load(path: Path) -> torch.nn.Module:
    """The model of a checkpoint, as a command of ours loads it."""
    from fairseq import checkpoint_utils

    with own_runs.own():
        models, _, _ = checkpoint_utils.load_model_ensemble_and_task([str(path)])
    return models[0]
