"""Functions of ``fairseq_cli.train`` that are wrapped once a training process has it whole."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any


def wrap(name: str, wrapper: Callable[[Any], Any], *, mark: str) -> None:
    """Wrap ``tasks.setup_task``, which every training process calls, with the module whole.

    Args:
        name: of the function.
        wrapper: takes the function, and gives what takes its place, by ``functools.wraps``.
        mark: attribute of what is wrapped, also where something else wraps it again; it is not
            wrapped twice.
    """
    from fairseq import tasks

    original = tasks.setup_task

    @functools.wraps(original)
    def setup_task(*args: Any, **kwargs: Any) -> Any:
        command = sys.modules.get("fairseq_cli.train")
        if command is not None and not hasattr(getattr(command, name), mark):
            wrapped = wrapper(getattr(command, name))
            setattr(wrapped, mark, True)
            setattr(command, name, wrapped)
        return original(*args, **kwargs)

    tasks.setup_task = setup_task
