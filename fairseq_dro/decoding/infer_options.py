"""Complete infer's options: from the checkpoint what was not typed, and paths made absolute."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import logging
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models import ARCH_MODEL_NAME_REGISTRY, MODEL_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY, TASK_REGISTRY
from hydra.utils import to_absolute_path
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.decoding import published, unlabelled
from fairseq_dro.decoding.results import require_same_split
from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import checkpoint_of

logger = logging.getLogger(__name__)

_PATHS = ("common_eval.path", "decoding.results_path", "decoding.lexicon", "decoding.lmpath")
DEFAULT_SAMPLES = 3_000_000
"""``dataset.max_tokens`` where nobody sets it, as fairseq's conf/infer.yaml: a bound on memory."""

CPU_SAMPLES = 1_000_000
"""Likewise on a CPU, which gains nothing from larger batches, unless one utterance is longer. The
first convolutions hold several bytes x channels for each padded sample: a model of 1 M weights
(96 channels) took 0.8 GB beyond its imports at 3,000,000 samples and 0.24 GB at 1,000,000.
"""

_MEMORY_BOUND_SAMPLES = 4_000_000  # as infer.py:389, where neither bound is given


def complete(cfg: DictConfig, typed: Collection[str]) -> dict[str, Any] | None:
    """Fill `cfg` in place and check what can be known before a model is built.

    Args:
        cfg: fairseq's ``InferConfig`` as hydra composed it, not yet resolved.
        typed: names of the options on the command line, such as ``task.data``.

    Returns:
        The checkpoint, already read, where this process will use it itself; else None.

    Raises:
        UserError: an option is missing, or points to what is not there or cannot be used.
    """
    _make_paths_absolute(cfg)
    if cfg.decoding.results_path is not None:
        require_same_split(Path(cfg.decoding.results_path), cfg.dataset.gen_subset)
    _choose_device(cfg)
    if cfg.dataset.max_tokens is None and cfg.dataset.batch_size is None:
        cfg.dataset.max_tokens = _MEMORY_BOUND_SAMPLES
    state = _read_checkpoint(cfg)
    saved = configuration_of(state, checkpoint_paths(cfg)[0])
    _adopt_task(cfg, saved, typed)
    _require_decoder(cfg)
    if "common_eval.post_process" not in typed:
        cfg.common_eval.post_process = post_process_of(saved)
    data = cfg.task.data
    logger.info(
        "%s: task %s, data %s, split %s, units become text by '%s'",
        cfg.common_eval.path, cfg.task._name, data, cfg.dataset.gen_subset,
        cfg.common_eval.post_process,
    )
    if unlabelled.is_unlabelled(cfg):
        unlabelled.make_up_labels(cfg, state)
    manifest = read_manifest(
        cfg.task.data, cfg.dataset.gen_subset, cfg.task.labels, languages_required=False
    )
    if cfg.common.cpu and cfg.dataset.max_tokens == DEFAULT_SAMPLES:
        cfg.dataset.max_tokens = max(CPU_SAMPLES, int(manifest.n_samples.max()))
    one_file = cfg.checkpoint.checkpoint_shard_count == 1 and not cfg.checkpoint.checkpoint_suffix
    return state if one_file and not _spawns(cfg) else None


def choose_beam(cfg: DictConfig) -> None:
    """Set ``decoding.beam`` where nobody has: 5 as in fairseq's infer.yaml, 1 without a search."""
    if OmegaConf.is_missing(cfg.decoding, "beam"):
        cfg.decoding.beam = 1 if str(cfg.decoding.type) == "viterbi" else 5


def post_process_of(saved: DictConfig) -> str:
    """How units became text in training; ``none`` for the criterion of a model that writes text."""
    criterion = saved.get("criterion") or {}
    if "post_process" in criterion:
        return criterion["post_process"] or "letter"
    return "none" if criterion else "letter"


def checkpoint_paths(cfg: DictConfig) -> list[str]:
    """``common_eval.path`` may name several files with a backslash between them (infer.py:180)."""
    return utils.split_paths(cfg.common_eval.path, separator="\\")


def _make_paths_absolute(cfg: DictConfig) -> None:
    """hydra may have entered another folder than the one the command was typed in."""
    if not cfg.common_eval.path:
        raise UserError(
            "common_eval.path is missing: type common_eval.path=FILE, the fine-tuned checkpoint "
            "to decode with."
        )
    for name in _PATHS:
        value = None if _is_missing(cfg, name) else OmegaConf.select(cfg, name)
        if value:
            parts = [_absolute(part) for part in str(value).split("\\")]
            if name == "common_eval.path":  # a run folder stands for its checkpoint
                parts = [str(checkpoint_of(Path(one))) if Path(one).is_dir() else one
                         for one in parts]  # fmt: skip
            OmegaConf.update(cfg, name, "\\".join(parts), merge=False)
    if cfg.task and "data" in cfg.task and not _is_missing(cfg, "task.data") and cfg.task.data:
        cfg.task.data = _absolute(cfg.task.data)


def _absolute(path: str) -> str:
    return os.path.normpath(to_absolute_path(path))


def _is_missing(cfg: DictConfig, name: str) -> bool:
    section, _, option = name.partition(".")
    return OmegaConf.is_missing(cfg[section], option)


def _require_decoder(cfg: DictConfig) -> None:
    kind = str(cfg.decoding.type)
    if kind != "viterbi" and hasattr(TASK_REGISTRY[cfg.task._name], "recognise"):
        raise UserError(
            f"decoding.type={kind} is for CTC models, and this one searches for its text itself: "
            "leave it out; decoding.beam=5 searches with a beam."
        )
    if kind != "viterbi" and importlib.util.find_spec("flashlight") is None:
        raise UserError(
            f"decoding.type={kind} needs the flashlight decoder, which is not installed: type "
            "`python -m pip install flashlight-text kenlm`, or use decoding.type=viterbi."
        )
    if cfg.decoding.beam < 1:
        raise UserError(
            f"decoding.beam={cfg.decoding.beam} is out of range: it is a number of texts, 1 or "
            "more; 1 is greedy."
        )


def _choose_device(cfg: DictConfig) -> None:
    if not cfg.common.cpu and not torch.cuda.is_available():
        logger.info("no CUDA device: decoding on the CPU (common.cpu=true)")
        cfg.common.cpu = True
    if cfg.common.cpu:
        cfg.common.fp16 = False  # half precision is slow, and partly missing, there
        cfg.distributed_training.distributed_backend = "gloo"


def _spawns(cfg: DictConfig) -> bool:
    """Whether fairseq starts the workers itself (several GPUs without torchrun)."""
    return cfg.distributed_training.distributed_world_size > 1 and "RANK" not in os.environ


def _read_checkpoint(cfg: DictConfig) -> dict[str, Any]:
    path = checkpoint_utils.get_maybe_sharded_checkpoint_filename(
        checkpoint_paths(cfg)[0], cfg.checkpoint.checkpoint_suffix, 0,
        cfg.checkpoint.checkpoint_shard_count,
    )
    if not os.path.exists(path):
        beside = sorted(Path(path).parent.glob("*.pt")) if Path(path).parent.is_dir() else []
        found = ", ".join(file.name for file in beside[:10]) or "no .pt file"
        raise UserError(
            f"common_eval.path={path} does not exist: its folder holds {found}; give the file of "
            "a fine-tuned model."
        )
    if os.path.isdir(path):
        return published.as_checkpoint(path)
    overrides = ast.literal_eval(cfg.common_eval.model_overrides)
    return checkpoint_utils.load_checkpoint_to_cpu(path, overrides)


def configuration_of(state: dict[str, Any], path: str) -> DictConfig:
    """What the model was trained with.

    Raises:
        UserError: its model is none that is known.
    """
    saved = state.get("cfg") or convert_namespace_to_omegaconf(state["args"])
    model = saved.get("model")
    name = None if model is None else getattr(model, "_name", None) or getattr(model, "arch", None)
    if name not in MODEL_REGISTRY and name not in ARCH_MODEL_NAME_REGISTRY:
        raise UserError(
            f"common_eval.path={path} holds a model that is not known here"
            f"{f' ({name})' if name else ''}: name the user dir that defines it, "
            "common.user_dir=FOLDER, or another checkpoint."
        )
    return saved


def _adopt_task(cfg: DictConfig, saved: DictConfig, typed: Collection[str]) -> None:
    """Replace ``cfg.task``: what was typed, else what the model was trained with, else defaults.

    Values that refer to sections infer does not have (``${optimization.update_freq}``) are left
    out where the checkpoint does not say them.
    """
    if saved.task.get("labels") is None and "task.labels" not in typed:
        raise UserError(
            f"common_eval.path={checkpoint_paths(cfg)[0]} is a pre-trained model, which has no "
            "output layer to decode with: fine-tune it first, with `fairseq-dro train`."
        )
    name = cfg.task._name if "task" in typed else saved.task._name
    if name not in TASK_DATACLASS_REGISTRY:
        known = ", ".join(task for task in sorted(TASK_DATACLASS_REGISTRY) if "audio" in task)
        raise UserError(f"the task {name} is not known here; tasks for speech: {known}.")
    options = {field.name for field in dataclasses.fields(TASK_DATACLASS_REGISTRY[name])}
    merged: dict[str, Any] = {"_name": name}
    for option in sorted(options - {"_name"}):
        if _typed(f"task.{option}", typed) or option not in saved.task:
            try:
                value = cfg.task[option]
                if OmegaConf.is_config(value):
                    value = OmegaConf.to_container(value, resolve=True)
            except (OmegaConfBaseException, KeyError, ValueError, TypeError):
                continue  # missing, or unresolvable: the task's own default stands
            merged[option] = value
        else:
            merged[option] = saved.task[option]
    stray = sorted(
        key for key in typed if key.startswith("task.") and key.split(".")[1] not in options
    )
    if stray:
        raise UserError(
            f"{stray[0]} is not an option of the task {name}, with which the checkpoint was "
            "trained: leave it out, or choose another task with task=NAME."
        )
    if "allow_unseen" in options and "task.allow_unseen" not in typed:
        merged["allow_unseen"] = True
    if "features" in options and "task.features" not in typed:
        merged["features"] = None  # those of training say nothing of another split
    if merged.get("data") is None:
        raise UserError("task.data is missing: type task.data=FOLDER, the data folder to decode.")
    with open_dict(cfg):
        del cfg["task"]  # a node of another task's type would be refused
        cfg["task"] = OmegaConf.create(merged)


def _typed(name: str, typed: Collection[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for key in typed)
