"""A kill, a full disk or a hiccup of the disk while saving leaves the older file as it was.

- ``checkpoint_last.pt`` and ``checkpoint_best.pt`` are made by ``shutil.copyfile`` onto the old one
  (fairseq/file_io.py:76, called at checkpoint_utils.py:125): a kill leaves a part of a file.
- ``torch_persistent_save`` (checkpoint_utils.py:549) renames a temporary file, but syncs neither it
  nor the folder, and its three attempts (:570) write one after the other into one open file: after
  a passing error an unreadable file is renamed over the good one.
- ``checkpoint.write_checkpoints_asynchronously`` writes without a temporary file (:551).

Here each file is written as ``survival/durable_file.py`` does, each attempt into a new temporary
file, and what cannot be written after three attempts stops the run with a sentence: training on
would cost everything since the last good file at the next kill. Copies stay copies, as in fairseq:
two names of one inode would save disk, but one damaged block or one ``cp`` onto a name would
spoil both.
"""

from __future__ import annotations

import functools
import logging
import os
import shutil
import time
from collections.abc import Callable
from typing import Any

import torch

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError
from fairseq_dro.survival.durable_file import copy_durably, write_durably

logger = logging.getLogger(__name__)

PAUSES_S = (1.0, 5.0)
"""Seconds before the second and the third attempt."""


def apply() -> None:
    """Replace ``checkpoint_utils.torch_persistent_save`` and ``PathManager.copy``."""
    from fairseq import checkpoint_utils
    from fairseq.distributed import utils as distributed_utils
    from fairseq.file_io import PathManager

    save, copy, call_main = (
        checkpoint_utils.torch_persistent_save, PathManager.copy, distributed_utils.call_main,
    )

    @functools.wraps(save)
    def torch_persistent_save(obj: Any, filename: str, async_write: bool = False) -> None:
        if not own_runs.current():
            save(obj, filename, async_write)
            return
        if async_write:
            raise UserError(_ASYNCHRONOUS)
        if not PathManager.supports_rename(filename):  # a remote store with its own rules
            save(obj, filename)
            return
        try:
            _insist(filename, lambda: write_durably(filename, functools.partial(torch.save, obj)))
        except UserError as error:
            if os.path.basename(filename) != "crash.pt":
                raise
            logger.error("%s", error)  # the error that crash.pt is about is the one to show

    @functools.wraps(copy)
    def copy_whole(src_path: str, dst_path: str, overwrite: bool = False) -> Any:
        paths = (src_path, dst_path)
        is_remote = any(PathManager.path_requires_pathmanager(path) for path in paths)
        if is_remote or not own_runs.current():
            return copy(src_path, dst_path, overwrite)
        _insist(dst_path, lambda: copy_durably(src_path, dst_path))
        return dst_path

    @functools.wraps(call_main)
    def call_main_without_asynchronous_writes(cfg: Any, main: Any, **kwargs: Any) -> Any:
        checkpoint = getattr(cfg, "checkpoint", None)  # without iopath fairseq would just end
        asynchronously = getattr(checkpoint, "write_checkpoints_asynchronously", False)
        if asynchronously and own_runs.names_own_part(cfg):
            raise UserError(_ASYNCHRONOUS)
        return call_main(cfg, main, **kwargs)

    checkpoint_utils.torch_persistent_save = torch_persistent_save
    PathManager.copy = staticmethod(copy_whole)
    distributed_utils.call_main = call_main_without_asynchronous_writes


_ASYNCHRONOUS = (
    "checkpoint.write_checkpoints_asynchronously=true is refused: such a file is written in "
    "place, so that a kill leaves half of it; leave the option out."
)


def _insist(path: str, write: Callable[[], None]) -> None:
    """Write at most three times.

    Raises:
        UserError: the disk refused each time; errors that are not the disk's come as they are.
    """
    for attempt, pause in enumerate((*PAUSES_S, None), start=1):
        try:
            write()
            return
        except Exception as error:
            refusal = disk_error(error)
            if refusal is None:
                raise
            if pause is None:
                raise UserError(_cannot_be_written(path, refusal)) from error
            logger.warning(
                "attempt %d to write %s failed (%s); the next one in %g s",
                attempt, path, refusal.strerror or refusal, pause,
            )
            time.sleep(pause)


def disk_error(error: BaseException | None) -> OSError | None:
    """The system's error among `error` and those it was raised after.

    torch's writer ends a failed ``torch.save`` with a RuntimeError about positions in the file.
    """
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _cannot_be_written(path: str, error: OSError) -> str:
    folder = os.path.dirname(os.path.abspath(path))
    free = shutil.disk_usage(folder).free if os.path.isdir(folder) else 0
    return (
        f"{os.path.abspath(path)} cannot be written: {error.strerror or error} ({free:,} bytes are "
        f"free there); the files before it are whole: free some space or fix the disk, keep "
        f"fewer files (checkpoint.keep_interval_updates, checkpoint.keep_last_epochs), and run "
        f"the same command again to resume from the newest of them."
    )
