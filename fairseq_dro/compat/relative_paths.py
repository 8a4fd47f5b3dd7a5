"""A relative path on the command line means a place under the folder where it was typed.

hydra 1.0 enters the run folder before it starts the program (hydra/core/utils.py:117; hydra 1.2
has ``hydra.job.chdir`` against that), and fairseq opens paths as they are. So the command
``fairseq-hydra-train ... task.data=data model.w2v_path=xlsr2_300m.pt`` looks for the data in
``runs/finetune/ctc_dro/data``: ``FileNotFoundError: ... 'data/dict.ltr.txt'``.

Here the options in `PATH_OPTIONS` become absolute before any process is spawned, where, and only
where, the path exists under the folder the command was typed in. Everything else stays as it is:
absolute paths, paths that are meant to lie under the run folder (``checkpoint.save_dir``), and
commands that do not go through hydra.
"""

from __future__ import annotations

import os
from typing import Any

from fairseq_dro import own_runs

PATH_OPTIONS = (
    ("task", "data"),
    ("model", "data"),  # fairseq copies task.data there (wav2vec2_asr.py:161)
    ("task", "features"),
    ("model", "w2v_path"),
    ("model", "whisper_path"),
    ("model", "tokenizer_path"),
    ("criterion", "baseline"),
    ("checkpoint", "finetune_from_model"),
    ("checkpoint", "restore_file"),
    ("common", "user_dir"),
    ("common_eval", "path"),
)


def needed() -> bool:
    """True while hydra changes the working directory without asking (before 1.2)."""
    import hydra

    return tuple(int(part) for part in hydra.__version__.split(".")[:2]) < (1, 2)


def apply() -> None:
    """Wrap ``distributed_utils.call_main``, which every hydra program of fairseq goes through.

    A user dir is imported when that call is under way already (fairseq_cli/train.py:48): then the
    paths are set as the next thing the program does, which is to set up its task (train.py:87).
    """
    from fairseq import tasks
    from fairseq.distributed import utils as distributed_utils
    from hydra.core.hydra_config import HydraConfig

    if HydraConfig.initialized():
        set_up = tasks.setup_task

        def setup_task(cfg: Any, **kwargs: Any) -> Any:
            tasks.setup_task = set_up  # once: later calls have the configuration of a checkpoint
            if own_runs.names_own_part(cfg._get_root()):
                make_absolute(cfg._get_root())
            return set_up(cfg, **kwargs)

        tasks.setup_task = setup_task
        return

    original = distributed_utils.call_main

    def call_main(cfg: Any, main: Any, **kwargs: Any) -> Any:
        if own_runs.names_own_part(cfg):
            make_absolute(cfg)
        return original(cfg, main, **kwargs)

    distributed_utils.call_main = call_main


def make_absolute(cfg: Any) -> None:
    """Replace the path options of a whole fairseq configuration in place; see `absolute`."""
    from omegaconf import DictConfig, OmegaConf

    if not isinstance(cfg, DictConfig):
        return
    for group, option in PATH_OPTIONS:
        section = cfg[group] if group in cfg else None  # infer has no model section
        if not isinstance(section, DictConfig) or option not in section:
            continue
        if OmegaConf.is_missing(section, option):
            continue
        path = section[option]
        if isinstance(path, str):
            section[option] = absolute(path)


def absolute(path: str) -> str:
    """`path` under the folder where the command was typed if it exists there, else unchanged.

    ``checkpoint.restore_file=checkpoint_last.pt`` is fairseq's name for the newest file of the run
    (checkpoint_utils.py:212) and no path.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.utils import get_original_cwd

    if not path or path == "checkpoint_last.pt" or not HydraConfig.initialized():
        return path
    typed = os.path.join(get_original_cwd(), path)  # an absolute path stays what it is
    return os.path.normpath(typed) if os.path.exists(typed) else path
