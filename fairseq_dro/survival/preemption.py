"""SIGTERM and SIGUSR1 save a checkpoint at the next update, without a validation, and stop.

fairseq handles no signal: it dies where it stands, and the updates since the last save are lost.

- ``checkpoint_last.pt`` is written at the end of the update that is at work, and the run ends with
  status 143 (`stop_requests.EXIT_STATUS`). A validation is broken off; a checkpoint
  that is being written is finished first.
- All workers stop after the same update: how many were asked travels in the all-reduce of numbers
  that fairseq makes anyway (fairseq/trainer.py:894 and :1148; 8 bytes more), and nobody leaves
  before rank 0 has written.
- The same command resumes. A validation that was due at that update is made first, with the
  saving and the choice of the best file that belong to it.
- Where fairseq starts the workers itself (distributed/utils.py:344), the process that only waits
  for them passes the signal on.

Until training begins the signals kill, as they always did. Ctrl-C (SIGINT) ends a run at once, with
one sentence and status 130 in the place of a traceback.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import sys
from typing import Any

import torch
import torch.multiprocessing

from fairseq_dro import own_runs
from fairseq_dro.survival import stop_requests
from fairseq_dro.survival.checkpoint_files import LAST, updates_of
from fairseq_dro.survival.saved_position import SavedPosition

logger = logging.getLogger(__name__)

DUE = "validation_due"
"""Key in the saved state of the epoch iterator: the update was saved without its validation."""


class ValidationBrokenOffError(Exception):
    """A validation was due or at work when the run was asked to stop."""


def apply() -> None:
    """Wrap ``load_checkpoint``, after which training begins, and the steps of ``Trainer``."""
    from fairseq import checkpoint_utils
    from fairseq.distributed import utils as distributed_utils
    from fairseq.trainer import Trainer

    load, call_main = checkpoint_utils.load_checkpoint, distributed_utils.call_main
    aggregate, valid_step = Trainer._aggregate_logging_outputs, Trainer.valid_step

    @functools.wraps(load)
    def load_checkpoint(cfg: Any, trainer: Any, **kwargs: Any) -> Any:
        command = sys.modules.get("fairseq_cli.train")
        if command is None or not own_runs.has_own_part(trainer):  # or a program of its own
            return load(cfg, trainer, **kwargs)
        if not hasattr(command.validate_and_save, "stops_on_request"):
            command.train = _saying_where_it_resumes(command.train)
            command.validate = _validate_unless_stopping(command.validate)
            command.validate_and_save = _save_and_stop_on_request(command.validate_and_save)
        stop_requests.listen()
        extra_state, epoch_itr = load(cfg, trainer, **kwargs)
        position = (extra_state or {}).get("train_iterator") or {}
        if position.get(DUE) and trainer.get_num_updates() > 0:
            _validate_at_last(command, trainer, position)
        return extra_state, epoch_itr

    @functools.wraps(aggregate)
    def _aggregate_logging_outputs(
        self: Any, logging_outputs: list[dict[str, Any]], *sums: Any, **kwargs: Any
    ) -> Any:
        if not own_runs.has_own_part(self):
            return aggregate(self, logging_outputs, *sums, **kwargs)
        asked = float(stop_requests.requested())
        logs, (*sums, n_asked) = aggregate(self, logging_outputs, *sums, asked, **kwargs)
        self.n_asked_to_stop = _on_cpu(n_asked)
        return logs, sums

    @functools.wraps(valid_step)
    def valid_step_unless_stopping(self: Any, *args: Any, **kwargs: Any) -> Any:
        logging_output = valid_step(self, *args, **kwargs)
        if _all_stop(self):
            raise ValidationBrokenOffError
        return logging_output

    @functools.wraps(call_main)
    def call_main_passing_signals_on(cfg: Any, main: Any, **kwargs: Any) -> Any:
        is_training = main is getattr(sys.modules.get("fairseq_cli.train"), "main", None)
        if not is_training or not own_runs.names_own_part(cfg):
            return call_main(cfg, main, **kwargs)
        spawn = torch.multiprocessing.spawn
        torch.multiprocessing.spawn = _spawn_and_pass_signals_on
        try:
            return call_main(cfg, main, **kwargs)
        except KeyboardInterrupt:  # before training, or in the parent of the workers
            sys.stderr.write("\ninterrupted: the same command resumes from what was saved.\n")
            sys.exit(stop_requests.INTERRUPTED_STATUS)
        finally:
            torch.multiprocessing.spawn = spawn

    checkpoint_utils.load_checkpoint = load_checkpoint
    distributed_utils.call_main = call_main_passing_signals_on
    Trainer._aggregate_logging_outputs = _aggregate_logging_outputs
    Trainer.valid_step = valid_step_unless_stopping


def _on_cpu(number: Any) -> Any:
    """A sum on its way from the GPU; it is there once fairseq has read its own of the same step."""
    if not torch.is_tensor(number) or not number.is_cuda:
        return number
    arriving = torch.empty(number.shape, dtype=number.dtype, pin_memory=True)
    return arriving.copy_(number, non_blocking=True)


def _all_stop(trainer: Any) -> bool:
    """Whether the run is to stop now; the same on all workers."""
    if not own_runs.has_own_part(trainer):
        return False
    if trainer.data_parallel_world_size == 1:
        return stop_requests.requested()
    return bool(getattr(trainer, "n_asked_to_stop", 0) > 0)


def _validate_unless_stopping(validate: Any) -> Any:
    @functools.wraps(validate)
    def validate_unless_stopping(cfg: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
        if _all_stop(trainer):
            raise ValidationBrokenOffError
        return validate(cfg, trainer, *args, **kwargs)

    return validate_unless_stopping


def _save_and_stop_on_request(validate_and_save: Any) -> Any:
    @functools.wraps(validate_and_save)
    def save_and_stop_on_request(
        cfg: Any, trainer: Any, task: Any, epoch_itr: Any, *args: Any, **kwargs: Any
    ) -> Any:
        try:
            stopping = _all_stop(trainer)
            result = validate_and_save(cfg, trainer, task, epoch_itr, *args, **kwargs)
            if not stopping or result[1]:  # result[1]: this was the last update anyway
                return result
            _save_and_stop(cfg, trainer, epoch_itr, validation_due=False)
        except ValidationBrokenOffError:
            _save_and_stop(cfg, trainer, epoch_itr, validation_due=True)

    save_and_stop_on_request.stops_on_request = True
    return save_and_stop_on_request


def _save_and_stop(cfg: Any, trainer: Any, epoch_itr: Any, *, validation_due: bool) -> None:
    from fairseq import checkpoint_utils
    from fairseq.distributed import utils as distributed_utils

    state = {**epoch_itr.state_dict(), **({DUE: True} if validation_due else {})}
    if cfg.checkpoint.no_last_checkpoints:
        cfg.checkpoint.no_last_checkpoints = False  # or there would be nothing to resume from
    checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, SavedPosition(state), None)
    if torch.distributed.is_initialized():  # whoever left early would have the others killed
        torch.distributed.barrier(distributed_utils.get_global_group())
    logger.warning(
        "stopped as asked at update %d%s; %s",
        trainer.get_num_updates(), ", before its validation" if validation_due else "",
        _how_to_resume(cfg.checkpoint),
    )
    sys.exit(stop_requests.EXIT_STATUS)


def _how_to_resume(checkpoint: Any) -> str:
    if checkpoint.no_save:
        return "nothing was saved, for checkpoint.no_save=true"
    if checkpoint.restore_file != LAST:
        return (
            "the same command without checkpoint.restore_file, which would go back to "
            f"{checkpoint.restore_file}, resumes from here"
        )
    return "the same command resumes from here"


def _saying_where_it_resumes(train: Any) -> Any:
    @functools.wraps(train)
    def train_until_interrupted(cfg: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return train(cfg, trainer, *args, **kwargs)
        except KeyboardInterrupt:
            if not own_runs.has_own_part(trainer):
                raise
            if trainer.data_parallel_rank == 0:
                sys.stderr.write(f"\n{_interrupted(cfg.checkpoint, trainer.get_num_updates())}\n")
            sys.exit(stop_requests.INTERRUPTED_STATUS)

    return train_until_interrupted


def _interrupted(checkpoint: Any, update: int) -> str:
    done = f"interrupted at update {update}"
    path = os.path.join(checkpoint.save_dir, LAST)
    if checkpoint.no_save or not os.path.exists(path):
        return f"{done}, and nothing is saved yet: the same command starts over."
    saved = updates_of(path)
    where = f"update {saved}" if saved < math.inf else "the last whole checkpoint"
    if checkpoint.restore_file != LAST:
        return f"{done}: the same command without checkpoint.restore_file resumes from {where}."
    return f"{done}: the same command resumes from {where} (`kill -TERM` saves before it stops)."


def _validate_at_last(command: Any, trainer: Any, position: dict[str, Any]) -> None:
    """Make the validation that was due when the run stopped, and what belongs to it."""
    logger.info("validating at update %d, as was due", trainer.get_num_updates())
    state = {key: value for key, value in position.items() if key != DUE}
    saved = SavedPosition(state)
    cfg = trainer.cfg
    trainer.task.resume_at(trainer.get_num_updates(), saved.epoch)
    command.validate_and_save(
        cfg, trainer, trainer.task, saved, cfg.dataset.valid_subset.split(","),
        saved.end_of_epoch(),
    )


def _spawn_and_pass_signals_on(fn: Any, args: Any, nprocs: int, join: bool = True) -> None:
    """``torch.multiprocessing.spawn`` as fairseq calls it."""
    processes = torch.multiprocessing.start_processes(fn, args, nprocs, join=False)

    def forward(number: int) -> None:
        for pid in processes.pids():
            with contextlib.suppress(ProcessLookupError):  # it is done
                os.kill(pid, number)

    stop_requests.listen(forward)
    try:
        while not processes.join():
            pass
    except torch.multiprocessing.ProcessExitedException as ended:
        if ended.exit_code != stop_requests.EXIT_STATUS:
            raise
        sys.exit(stop_requests.EXIT_STATUS)
