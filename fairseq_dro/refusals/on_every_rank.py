"""What rank 0 refuses while it reads a checkpoint is refused by every rank.

Rank 0 reads it and broadcasts the state (fairseq/trainer.py:468-500), and the others wait for that.
A refusal in between would leave them waiting until somebody ends the job. It goes to them in the
place of the state.
"""

from __future__ import annotations

import contextvars
import functools
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError

_is_sent: contextvars.ContextVar[bool] = contextvars.ContextVar("_is_sent", default=False)
REFUSED = "fairseq_dro_refused"


def apply() -> None:
    """Wrap ``Trainer.load_checkpoint``, what it reads with, and what it sends the state with."""
    from fairseq import checkpoint_utils
    from fairseq.distributed import utils as distributed_utils
    from fairseq.trainer import Trainer

    load_checkpoint = Trainer.load_checkpoint
    load = checkpoint_utils.load_checkpoint_to_cpu
    broadcast = distributed_utils.broadcast_object

    @functools.wraps(load_checkpoint)
    def load_checkpoint_on_every_rank(self: Any, *args: Any, **kwargs: Any) -> Any:
        has_others = own_runs.has_own_part(self) and self.data_parallel_world_size > 1
        token = _is_sent.set(has_others)
        try:
            return load_checkpoint(self, *args, **kwargs)
        finally:
            _is_sent.reset(token)

    @functools.wraps(load)
    def load_checkpoint_to_cpu(path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        is_sent = _is_sent.get() and kwargs.get("load_on_all_ranks") is False
        try:
            return load(path, *args, **kwargs)
        except UserError as error:
            if not is_sent:
                raise
            return {REFUSED: str(error)}

    @functools.wraps(broadcast)
    def broadcast_object(*args: Any, **kwargs: Any) -> Any:
        state = broadcast(*args, **kwargs)
        if isinstance(state, dict) and REFUSED in state:
            raise UserError(state[REFUSED])
        return state

    Trainer.load_checkpoint = load_checkpoint_on_every_rank
    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu
    distributed_utils.broadcast_object = broadcast_object
