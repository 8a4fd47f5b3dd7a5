"""What a run says at its start: six lines, the first two at once, the others before it trains.

    run folder   /abs/path/runs/demo/erm (new)        log: hydra_train.log
    recipe       demo, changed: criterion.objective=erm
    data         data/try: 7 languages, 2,188 utterances, 49.5 min
    model        random.pt, 1.0 M weights, all trained; CPU, float32
    training     erm; 300 updates of about 24 s of audio (2.4 epochs); validates every 50, ...
    watch        fairseq-dro watch runs/demo/erm      Ctrl-C is safe: the same command resumes
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairseq_dro.group_by import BY_LANGUAGE
from fairseq_dro.models.family import family_of
from fairseq_dro.runs.durations import in_one_unit

_SAID_ELSEWHERE = ("hydra.", "task.data=", "model.w2v_path=", "model.whisper_path=")


def line(name: str, text: str, beside: str = "") -> str:
    """One line of the block."""
    return f"{name:<12} {text}" + (f"        {beside}" if beside else "")


def of_command(
    folder: Path, log_file: str | None, recipe: str | None, overrides: Sequence[str], *, new: bool
) -> list[str]:
    """What is known before anything is loaded.

    Args:
        overrides: as they were typed.
        new: whether the folder holds no checkpoint to resume from.
    """
    log = f"log: {log_file}" if log_file else ""
    lines = [line("run folder", f"{folder} ({'new' if new else 'resumes'})", log)]
    changed = [one for one in overrides if not one.lstrip("+").startswith(_SAID_ELSEWHERE)]
    if recipe is not None:
        how = f", changed: {shlex.join(changed)}" if changed else ", unchanged"
        lines.append(line("recipe", recipe + how))
    return lines


def of_run(
    cfg: Any, task: Any, trainer: Any, epoch_itr: Any, *, data: str, run: str, repeated: int
) -> list[str]:
    """What is known once the checkpoint is loaded.

    Args:
        data, run: the data folder and the run folder as the user names them.
        repeated: updates that were made after the checkpoint and are made again.
    """
    done = trainer.get_num_updates()
    lines = [line("data", _data(cfg, task, data)), line("model", _model(cfg, trainer))]
    lines.append(line("training", _training(cfg, task, epoch_itr)))
    if done:
        lines.append(line("resumes", f"after update {done:,}{_again(done, repeated)}"))
    watch = f"fairseq-dro watch {shlex.quote(run)}"
    lines.append(line("watch", watch, "Ctrl-C is safe: the same command resumes"))
    return lines


def _again(done: int, repeated: int) -> str:
    if repeated == 0:
        return ""
    if repeated == 1:
        return f"; update {done + 1:,} was not saved and is made again"
    return f"; updates {done + 1:,} to {done + repeated:,} were not saved and are made again"


def _data(cfg: Any, task: Any, data: str) -> str:
    dataset = task.dataset(cfg.dataset.train_subset)
    seconds = float(np.asarray(dataset.sizes).sum()) / task.cfg.sample_rate
    kind = f"{task.group_by.noun}s"
    if task.group_by != BY_LANGUAGE:
        kind += f" by {task.group_by}"
    return f"{data}: {len(task.groups)} {kind}, {len(dataset):,} utterances, {in_one_unit(seconds)}"


def _model(cfg: Any, trainer: Any) -> str:
    model = trainer.get_model()
    weights = list(model.parameters())
    total = sum(weight.numel() for weight in weights)
    family = family_of(model)
    frozen = {id(weight) for weight in (family.frozen_parameters() if family else ())}
    trained = sum(w.numel() for w in weights if w.requires_grad and id(w) not in frozen)
    pretrained = [_option(cfg.model, name) for name in ("w2v_path", "whisper_path")]
    parts = [Path(str(path)).name for path in pretrained if path]
    parts.append(f"{_millions(total)} weights")
    if trained == total:
        parts.append("all trained")
    else:
        updates = ("freeze_finetune_updates", "freeze_encoder_updates")  # wav2vec2, Whisper
        until = max(int(_option(cfg.model, name) or 0) for name in updates)
        for_now = f" until update {until:,}" if until > trainer.get_num_updates() else ""
        parts.append(f"{_millions(trained)} trained{for_now}")
    return f"{', '.join(parts)}; {_device(trainer)}, {_precision(cfg.common)}"


def _option(section: Any, name: str) -> Any:
    """None where the model has no such option: a typed section refuses to be asked for it."""
    return section[name] if name in section else None


def _training(cfg: Any, task: Any, epoch_itr: Any) -> str:
    objective = cfg.criterion.get("objective") or cfg.criterion.get("_name")
    update_freq = cfg.optimization.update_freq
    micro = update_freq[min(max(epoch_itr.epoch, 1), len(update_freq)) - 1]
    per_epoch = max(1, -(-len(epoch_itr) // micro))
    dataset = task.dataset(cfg.dataset.train_subset)
    batches = [np.asarray(batch, dtype=np.int64) for batch in epoch_itr.frozen_batches]
    items = np.concatenate(batches)
    seconds = float(np.asarray(dataset.sizes)[items].sum()) / task.cfg.sample_rate / per_epoch
    updates, epochs = cfg.optimization.max_update, cfg.optimization.max_epoch
    each = f"about {in_one_unit(seconds)} of audio"
    if updates:
        length = f"{updates:,} updates of {each} ({updates / per_epoch:.1f} epochs)"
    elif epochs:
        length = f"{epochs:,} epochs of {per_epoch:,} updates, each of {each}"
    else:
        length = f"updates of {each} without an end"
    n_epochs = min(updates / per_epoch if updates else math.inf, epochs or math.inf)
    by_updates, saved = cfg.dataset.validate_interval_updates, cfg.checkpoint.save_interval_updates
    times = []
    if by_updates > 0 or cfg.dataset.validate_interval <= n_epochs:
        times.append(_every(by_updates, cfg.dataset.validate_interval))
    if saved > 0 and (by_updates <= 0 or saved % by_updates):
        times.append("with each save")  # fairseq_cli/train.py:404
    validates = f"validates {' and '.join(times) or 'at its end'}"
    if cfg.dataset.disable_validation:
        validates = "no validation"
    elif cfg.dataset.validate_after_updates:
        validates += f" from update {cfg.dataset.validate_after_updates:,} on"
    saves = f"saves {_every(saved, cfg.checkpoint.save_interval)}"
    if cfg.checkpoint.no_save:
        saves = "saves nothing"
    return f"{objective}; {length}; {validates}, {saves}"


def _every(updates: int, epochs: int) -> str:
    if updates > 0:
        return f"every {updates:,}"
    return "each epoch" if epochs == 1 else f"every {epochs:,} epochs"


def _device(trainer: Any) -> str:
    n_workers = trainer.data_parallel_world_size
    if trainer.device.type == "cuda":
        name = torch.cuda.get_device_name(trainer.device)
        return f"{n_workers} x {name}" if n_workers > 1 else name
    name = "CPU" if trainer.device.type == "cpu" else trainer.device.type
    return f"{n_workers} workers on the {name}" if n_workers > 1 else name


def _precision(common: Any) -> str:
    if common.amp:
        return "automatic mixed precision"
    return "float16" if common.fp16 else "bfloat16" if common.bf16 else "float32"


def _millions(count: int) -> str:
    if count < 1e6:
        return f"{count:,}"
    millions = count / 1e6
    return f"{millions:,.0f} M" if millions >= 10 else f"{millions:.1f} M"
