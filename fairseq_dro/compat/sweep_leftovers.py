"""The second job of a ``--multirun`` does not write into the TensorBoard files of the first.

hydra's own launcher runs all jobs of a sweep in one process, and fairseq keeps its writers for the
life of that process (``_tensorboard_writers``, fairseq/logging/progress_bar.py:406): the second
job of a recipe with ``common.tensorboard_logdir: tb`` ends in ``FileNotFoundError:
b'tb/train/events.out.tfevents...'``, looked for in its own folder.
"""

from __future__ import annotations

import functools
from typing import Any


def needed() -> bool:
    """Always: fairseq 0.12.2 is the last release, and has it."""
    return True


def apply() -> None:
    """Wrap ``run_job`` where hydra and its own launcher call it."""
    from fairseq.logging import progress_bar
    from hydra._internal import hydra as of_one_run
    from hydra._internal.core_plugins import basic_launcher
    from hydra.core import utils

    original = utils.run_job

    @functools.wraps(original)
    def run_and_close(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        finally:
            for writer in progress_bar._tensorboard_writers.values():
                writer.close()
            progress_bar._tensorboard_writers.clear()

    for module in (utils, of_one_run, basic_launcher):
        module.run_job = run_and_close
