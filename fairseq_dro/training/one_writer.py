"""A training run takes its folder before anything is written there, and holds it to its end.

hydra writes its log and its record of the options before fairseq starts
(hydra/core/utils.py:117), so under hydra the folder is taken around that. Without it
(``fairseq-train``) around fairseq's ``call_main``, and where only ``common.user_dir`` names the
plugin, before the checkpoint is loaded. Only the process of global rank 0, or the one that starts
it, takes the folder. The others write neither options nor log before they have met it, which
happens after it has taken the folder (``torch.distributed``'s rendezvous).

Only runs of this package's tasks are concerned.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from fairseq_dro import compat, own_runs
from fairseq_dro.errors import UserError, sentence_of
from fairseq_dro.runs.history import GROUP_WEIGHTS_FILE, HISTORY_FILE
from fairseq_dro.runs.progress import PROGRESS_FILE, read_progress
from fairseq_dro.runs.provenance import RUN_FILE
from fairseq_dro.survival import folder_lock
from fairseq_dro.survival.checkpoint_files import LAST
from fairseq_dro.survival.failed_start import Start
from fairseq_dro.survival.rank_zero import on_rank_zero
from fairseq_dro.training import display, start_block, terminal

LASTING = (PROGRESS_FILE, HISTORY_FILE, GROUP_WEIGHTS_FILE)
_HELD_ABOVE = "FAIRSEQ_DRO_RUN_FOLDER"
"""Variable by which a process that fairseq spawned knows that its parent holds the folder."""

_held: dict[str, folder_lock.FolderLock] = {}


def apply() -> None:
    """Wrap hydra's ``run_job``, fairseq's ``call_main`` and ``load_checkpoint``, once."""
    if compat.is_off("one_writer"):
        return
    import hydra.core.utils
    from fairseq import checkpoint_utils
    from fairseq.distributed import utils as distributed_utils

    if hasattr(hydra.core.utils.run_job, "takes_the_folder"):
        return
    run_job = _taking_the_job_folder(hydra.core.utils.run_job)
    for name in ("core.utils", "_internal.hydra", "_internal.core_plugins.basic_launcher"):
        module = sys.modules.get(f"hydra.{name}")
        if hasattr(module, "run_job"):
            module.run_job = run_job
    distributed_utils.call_main = _taking_the_folders(distributed_utils.call_main)
    checkpoint_utils.load_checkpoint = _taking_what_is_left(checkpoint_utils.load_checkpoint)


def trains_here(cfg: Any) -> bool:
    """Whether a composed configuration is that of a training run with a task of this package."""
    task = cfg.get("task")
    name = task.get("_name") if isinstance(task, DictConfig) else task
    return own_runs.is_own_task(name) and "optimization" in cfg and "decoding" not in cfg


def leads(distributed: Any, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is the worker of global rank 0 or will start it.

    As ``fairseq/distributed/utils.py:58`` finds the rank.
    """
    if distributed.get("distributed_init_method") is None:
        if all(n in environment for n in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK")):
            return int(environment["RANK"]) == 0
        if (distributed.get("distributed_port") or 0) > 0:
            return int(environment.get("SLURM_PROCID", "0")) == 0
    return not distributed.get("distributed_rank")


@contextlib.contextmanager
def holding(folder: str | Path, option: str) -> Iterator[None]:
    """Hold a folder unless this process does already.

    Args:
        option: what to type to name another folder.

    Raises:
        UserError: somebody else holds it, or it cannot be written to.
    """
    key = os.path.realpath(folder)
    if key in _held:
        yield
        return
    _take(key, option)
    try:
        yield
    finally:
        _held.pop(key).release()
        if not _held:
            os.environ.pop(_HELD_ABOVE, None)


@contextlib.contextmanager
def results_folder(cfg: Any) -> Iterator[None]:
    """Hold ``decoding.results_path``, if there is one; after an error, leave no empty folder.

    Raises:
        UserError: see ``holding``.
    """
    from hydra.utils import to_absolute_path

    folder = cfg.decoding.get("results_path")
    if not folder or not leads(cfg.distributed_training):
        yield
        return
    folder = Path(to_absolute_path(str(folder)))
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with holding(folder, "decoding.results_path"):
            yield
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def as_typed(folder: str | Path) -> str:
    """Relative to where the command was typed, if it lies below."""
    from hydra.core.hydra_config import HydraConfig

    typed_in = HydraConfig.get().runtime.cwd if HydraConfig.initialized() else os.getcwd()
    relative = os.path.relpath(os.path.realpath(folder), os.path.realpath(typed_in))
    return str(folder) if relative.startswith(os.pardir) or relative == os.curdir else relative


def _take(folder: str, option: str) -> None:
    def update() -> str:
        progress = read_progress(folder)
        return "" if progress is None else f"update {progress.update:,}"

    named = as_typed(folder)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        _held[folder] = folder_lock.take(
            folder, named=named, instead=f"name another folder: {option}=...", doing=update,
            say=lambda text: sys.stderr.write(f"{text}\n"),
        )  # fmt: skip
    except OSError as error:
        raise UserError(
            f"{option}={named} cannot be written to ({error.strerror}): name a folder in which you "
            "may create files."
        ) from None
    os.environ[_HELD_ABOVE] = folder


def _taking_the_job_folder(run_job: Any) -> Any:
    @functools.wraps(run_job)
    def run_job_as_one_writer(
        config: Any,
        task_function: Any,
        job_dir_key: str,
        job_subdir_key: str | None,
        *args: Any,
        **kw: Any,
    ) -> Any:
        rest = (task_function, job_dir_key, job_subdir_key, *args)
        if not trains_here(config):
            return run_job(config, *rest, **kw)
        if not leads(config.get("distributed_training") or {}):
            return run_job(_following(config), *rest, **kw)
        parts = [OmegaConf.select(config, key) for key in (job_dir_key, job_subdir_key) if key]
        folder = Path(os.path.abspath(os.path.join(*map(str, parts))))
        option = "hydra.sweep.dir" if job_subdir_key else "hydra.run.dir"
        try:
            start = Start(folder, *_written(config), LASTING)
        except OSError as error:
            raise UserError(
                f"{option}={as_typed(folder)} cannot be written to ({error.strerror}): name a "
                "folder in which you may create files."
            ) from None
        try:
            with holding(folder, option):
                try:
                    return run_job(_speaking(config, folder), *rest, **kw)
                except BaseException as error:
                    explained = isinstance(error, (SystemExit, KeyboardInterrupt))
                    explained |= sentence_of(error) is not None
                    start.undo(keep=None if explained else _log_file(config))
                    raise
        except BaseException:
            start.remove_folders()
            raise

    run_job_as_one_writer.takes_the_folder = True
    return run_job_as_one_writer


def _following(config: Any) -> Any:
    """The configuration for a worker that does not lead: the leader writes and speaks for it."""
    config = copy.deepcopy(config)
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.output_subdir = None
        for handler in (config.hydra.job_logging.get("handlers") or {}).values():
            if "filename" in handler:
                handler.delay = True  # opened at its first line
        config.hydra.job_logging.root.level = "WARNING"  # as fairseq sets it later
        if terminal.shows_lines_for_people(config.get("common")):
            terminal.put_in_place(config.hydra, leads=False)
    return config


def _speaking(config: Any, folder: Path) -> Any:
    """The configuration for the worker that leads; says what it begins."""
    if not terminal.shows_lines_for_people(config.get("common")):
        return config
    config = copy.deepcopy(config)
    with read_write(config.hydra), open_dict(config.hydra):
        terminal.put_in_place(config.hydra, leads=True)
    save_dir = folder / str(OmegaConf.select(config, "checkpoint.save_dir") or "checkpoints")
    lines = start_block.of_command(
        folder, _log_file(config), OmegaConf.select(config, "hydra.job.config_name"),
        list(config.hydra.overrides.task), new=not (save_dir / LAST).exists(),
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return config


def _written(config: Any) -> tuple[list[str], str | None]:
    """What a start writes before its first update, and the name of hydra's folder of options."""
    names = [RUN_FILE, terminal.WARNINGS_FILE]
    log = _log_file(config)
    names += [log] if log else []
    for section, option in (("checkpoint", "save_dir"), ("common", "tensorboard_logdir")):
        name = (config.get(section) or {}).get(option)
        names += [str(name)] if name else []
    options = config.hydra.output_subdir
    return names, None if options is None else str(options)


def _log_file(config: Any) -> str | None:
    handlers = OmegaConf.select(config, "hydra.job_logging.handlers") or {}
    name = (handlers.get("file") or {}).get("filename")
    return None if name is None else str(name)


def _taking_the_folders(call_main: Any) -> Any:
    @functools.wraps(call_main)
    def call_main_as_one_writer(cfg: Any, main: Any, **kwargs: Any) -> Any:
        is_training = main is getattr(sys.modules.get("fairseq_cli.train"), "main", None)
        if not is_training or not trains_here(cfg) or not leads(cfg.distributed_training):
            return call_main(cfg, main, **kwargs)
        with contextlib.ExitStack() as stack:
            for folder, option in _folders_of(cfg):
                stack.enter_context(holding(folder, option))
            return call_main(cfg, main, **kwargs)

    return call_main_as_one_writer


def _taking_what_is_left(load_checkpoint: Any) -> Any:
    @functools.wraps(load_checkpoint)
    def load_checkpoint_as_one_writer(cfg: Any, trainer: Any, **kwargs: Any) -> Any:
        if trains_here(trainer.cfg):
            on_rank_zero(trainer, lambda: _take_to_the_end(trainer.cfg))
            command = sys.modules.get("fairseq_cli.train")
            if command is not None:
                display.attach(command, as_typed)
        return load_checkpoint(cfg, trainer, **kwargs)

    return load_checkpoint_as_one_writer


def _take_to_the_end(cfg: Any) -> None:
    """Hold the folders until the process ends, unless it or its parent does already."""
    if _HELD_ABOVE in os.environ:
        return
    stack = contextlib.ExitStack()
    for folder, option in _folders_of(cfg):
        stack.enter_context(holding(folder, option))
    atexit.register(stack.close)


def _folders_of(cfg: Any) -> list[tuple[str, str]]:
    """(folder, option that names another) of what a run writes into, the outermost only."""
    found: list[tuple[str, str]] = []
    for folder, option in (
        (cfg.task.get("history_dir") or ".", "hydra.run.dir"),
        (cfg.checkpoint.save_dir, "checkpoint.save_dir"),
    ):
        real = os.path.realpath(folder)
        if not any(real == other or real.startswith(f"{other}{os.sep}") for other, _ in found):
            found.append((real, option))
    return found
