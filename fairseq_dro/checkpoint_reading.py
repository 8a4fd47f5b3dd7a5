"""What is done with each checkpoint that the trainer of an own run reads.

It is done where the file is read: on rank 0, before the state goes to the other workers
(fairseq/trainer.py:468-500).
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from typing import Any

from fairseq_dro import own_runs

Act = Callable[[dict[str, Any], str, Any], None]
"""Of the state, which may be changed in place, its path and the trainer."""


def when_read(act: Act, *, of: Callable[[Any, str], bool] = lambda trainer, path: True) -> None:
    """Wrap ``Trainer.load_checkpoint`` and ``checkpoint_utils.load_checkpoint_to_cpu``.

    Args:
        of: whether a trainer's checkpoint of this path is meant.
    """
    from fairseq import checkpoint_utils
    from fairseq.trainer import Trainer

    load_checkpoint = Trainer.load_checkpoint
    load = checkpoint_utils.load_checkpoint_to_cpu
    reading: contextvars.ContextVar[Any] = contextvars.ContextVar("reading", default=None)

    @functools.wraps(load_checkpoint)
    def load_checkpoint_and_act(self: Any, filename: str, *args: Any, **kwargs: Any) -> Any:
        is_meant = own_runs.has_own_part(self) and of(self, filename)
        token = reading.set(self if is_meant else None)
        try:
            return load_checkpoint(self, filename, *args, **kwargs)
        finally:
            reading.reset(token)

    @functools.wraps(load)
    def load_checkpoint_to_cpu(path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state, trainer = load(path, *args, **kwargs), reading.get()
        if trainer is not None:
            act(state, path, trainer)
        return state

    Trainer.load_checkpoint = load_checkpoint_and_act
    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu
