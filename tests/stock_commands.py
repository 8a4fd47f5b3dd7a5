"""Run fairseq's own commands as a user would: as processes, with files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).resolve().parent.parent

TINY_MODEL = {
    "model._name": "wav2vec_ctc",
    "model.apply_mask": "true",
    "model.mask_prob": "0.3",
    "model.mask_length": "4",
    "model.layerdrop": "0.1",
    "model.dropout": "0.1",
    "model.feature_grad_mult": "0.0",
    "model.freeze_finetune_updates": "0",
}

TINY_RUN = {
    "common.cpu": "true",
    "common.no_progress_bar": "true",
    "common.log_format": "json",
    "common.log_interval": "1",
    "common.seed": "1",
    "task._name": "language_grouped_audio_finetuning",
    "task.normalize": "true",
    "task.batch_seconds": "10",
    "criterion._name": "group_dro_ctc",
    "criterion.zero_infinity": "true",
    "criterion.objective": "ctc_dro",
    "dataset.num_workers": "0",
    "dataset.max_tokens": "640000",
    "dataset.disable_validation": "true",
    "optimization.lr": "[0.001]",
    "optimization.sentence_avg": "true",
    "optimization.max_update": "6",
    "optimizer._name": "adam",
    "lr_scheduler._name": "fixed",
    "lr_scheduler.warmup_updates": "0",
    "hydra.run.dir": ".",
    "hydra.output_subdir": "null",
    **TINY_MODEL,
}


def train_command(data: Path, checkpoint: Path, **overrides: str) -> list[str]:
    """``fairseq-hydra-train`` on the tiny corpus; overrides name options with ``__`` for ``.``."""
    options = {
        **TINY_RUN,
        "task.data": str(data),
        "model.w2v_path": str(checkpoint),
        **{name.replace("__", "."): str(value) for name, value in overrides.items()},
    }
    # `task._name=x` is hydra's `task=x`: config groups are chosen, not set
    arguments = [f"{key.removesuffix('._name')}={value}" for key, value in options.items()]
    return [str(BIN / "fairseq-hydra-train"), *arguments]


def stock_train_command(data: Path, checkpoint: Path, **overrides: str) -> list[str]:
    """The training command with fairseq's own task and criterion."""
    stock = {"task___name": "audio_finetuning", "criterion___name": "ctc", "task__labels": "ltr"}
    ours = ("task.batch_seconds=", "criterion.objective=")
    command = train_command(data, checkpoint, **stock, **overrides)
    return [argument for argument in command if not argument.startswith(ours)]


def environment(**variables: str) -> dict[str, str]:
    """The caller's environment with one thread per process."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **variables}


def run(
    command: list[str], cwd: Path, *, check: bool = True, timeout: float = 300, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run to the end; with ``check``, a failure shows the command's whole output."""
    cwd.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command, cwd=cwd, env=environment(**variables), text=True, timeout=timeout,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}")
    return done
