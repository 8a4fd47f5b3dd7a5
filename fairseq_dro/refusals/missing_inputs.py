"""A run without a recipe, data or a pre-trained model is refused before it has a folder.

hydra makes the run folder and fairseq starts up, and then ends in a page of omegaconf's
(``MissingMandatoryValue: Missing mandatory value: model``, ``full_key: data``) or in
``FileNotFoundError: ... 'nowhere/dict.ltr.txt'`` (fairseq/data/dictionary.py:220).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError
from fairseq_dro.input_paths import INPUTS, missing, require_path
from fairseq_dro.recipes import find_recipe


def apply() -> None:
    """Wrap ``run_job``, which makes the folder, where hydra and its own launcher call it."""
    from hydra._internal import hydra as of_one_run
    from hydra._internal.core_plugins import basic_launcher
    from hydra.core import utils

    original = utils.run_job

    @functools.wraps(original)
    def run_checked(config: Any, task_function: Any, *args: Any, **kwargs: Any) -> Any:
        if task_function.__module__ == "fairseq_cli.hydra_train":
            require_recipe()
            if _is_none_of_fairseqs_own(config):
                require_inputs(config)
        return original(config, task_function, *args, **kwargs)

    for module in (utils, of_one_run, basic_launcher):
        module.run_job = run_checked


def _is_none_of_fairseqs_own(cfg: Any) -> bool:
    """Whether the task is one of this package, or not chosen yet."""
    from omegaconf import OmegaConf

    is_chosen = not OmegaConf.is_missing(cfg, "task") and cfg.get("task") is not None
    return not is_chosen or own_runs.names_own_part(cfg)


def require_recipe() -> None:
    """Refuse a recipe that is not there, which hydra takes for fairseq's bare options.

    fairseq registers these under the name that was typed (fairseq/dataclass/initialize.py:17).

    Raises:
        UserError: ``--config-dir`` holds no such file.
    """
    from hydra._internal.utils import get_args

    args = get_args()
    if args.config_dir and args.config_name:
        find_recipe(args.config_name, Path(args.config_dir))


def require_inputs(cfg: Any) -> None:
    """Refuse a configuration that cannot start, in the folder where the command was typed.

    Raises:
        UserError: no task or no model is chosen, or an input is missing or is not there.
    """
    from omegaconf import DictConfig, OmegaConf

    for section in ("task", "model"):
        is_missing = OmegaConf.is_missing(cfg, section)
        if is_missing or cfg.get(section) is None:
            raise UserError(
                f"no {section} is chosen: start with a recipe, as in `fairseq-dro train demo "
                "task.data=FOLDER model.w2v_path=FILE`; `fairseq-dro train --help` says more."
            )
    for name in INPUTS:
        section, _, option = name.partition(".")
        part = cfg.get(section)
        if not isinstance(part, DictConfig):
            continue
        if OmegaConf.is_missing(part, option):
            raise missing(name)
        if option not in part:
            continue
        if own_runs.is_own_task(cfg.task.get("_name")) and isinstance(part[option], str):
            require_path(name, part[option])
