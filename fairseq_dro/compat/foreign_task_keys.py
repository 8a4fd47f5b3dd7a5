"""Load checkpoints whose task section has keys that fairseq 0.12.2 does not know.

``tasks.setup_task`` merges a checkpoint's task section into the installed dataclass
(fairseq/tasks/__init__.py:39) and rejects every unknown key, while ``models.build_model`` drops
those of the model section. So ``xlsr2_300m.pt``, XLSR-53 and everything written by fairseq's main
branch stop with ``ConfigKeyError: Key 'multiple_train_files' not in 'AudioPretrainingConfig'``.

Here the unknown keys leave the configuration as soon as a file is read, which serves
fine-tuning, resuming and decoding alike, and also keeps them out of ``cfg.model.w2v_args`` of
whatever is saved next. What is unknown is asked of the registered dataclass, never of a list.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator
from typing import Any

logger = logging.getLogger(__name__)

_told: set[str] = set()


def needed() -> bool:
    """True while fairseq's task set-up rejects a key that its dataclass does not have."""
    from fairseq.tasks import setup_task
    from omegaconf import OmegaConf
    from omegaconf.errors import ConfigKeyError

    probe = {"_name": "audio_pretraining", "data": "", "multiple_train_files": False}
    try:
        setup_task(OmegaConf.create(probe))
    except ConfigKeyError:
        return True
    return False


def apply() -> None:
    """Wrap ``checkpoint_utils.load_checkpoint_to_cpu``, through which every file is read."""
    from fairseq import checkpoint_utils

    original = checkpoint_utils.load_checkpoint_to_cpu

    @functools.wraps(original)
    def load_checkpoint_to_cpu(path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state = original(path, *args, **kwargs)
        left_out = drop_foreign_task_keys(state.get("cfg"))
        if left_out and os.path.abspath(path) not in _told:
            _told.add(os.path.abspath(path))
            logger.info(
                "%s: left out %d task settings that this fairseq does not know: %s",
                path,
                len(left_out),
                ", ".join(left_out),
                extra={"log_only": True},
            )
        return state

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu


def drop_foreign_task_keys(cfg: Any) -> list[str]:
    """Remove in place what the tasks of a checkpoint's *cfg* do not know; return the names.

    Looks at the file's own task and, in a fine-tuned checkpoint, at that of the pre-trained
    model inside it. A task that is not registered is left alone: fairseq names it later.
    """
    from fairseq.tasks import TASK_DATACLASS_REGISTRY
    from omegaconf import open_dict

    left_out: list[str] = []
    for task in _task_sections(cfg):
        dataclass = TASK_DATACLASS_REGISTRY.get(task._name if "_name" in task else None)
        if dataclass is None:
            continue
        foreign = [key for key in task.keys() if key not in dataclass.__dataclass_fields__]
        with open_dict(task):
            for key in foreign:
                del task[key]
        left_out += [key for key in foreign if key not in left_out]
    return left_out


def _task_sections(cfg: Any) -> Iterator[Any]:
    """Task sections of a configuration and of the pre-trained model's configuration within."""
    from omegaconf import DictConfig

    while isinstance(cfg, DictConfig):
        if "task" in cfg and isinstance(cfg.task, DictConfig):
            yield cfg.task
        model = cfg.model if "model" in cfg else None
        cfg = model.w2v_args if isinstance(model, DictConfig) and "w2v_args" in model else None
