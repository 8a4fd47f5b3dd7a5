"""Decide once, on rank 0, what all workers must agree on before they touch the files of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fairseq_dro.errors import UserError

Result = TypeVar("Result")


def on_rank_zero(trainer: Any, work: Callable[[], Result]) -> Result:
    """What `work` returned on rank 0, on every rank; no rank continues before it is done.

    Args:
        trainer: fairseq's; it knows the workers.
        work: returns something made of numbers, strings, lists and None.

    Raises:
        UserError: on every rank, if `work` raised it; of any other error the other ranks get the
            last words as a RuntimeError.
    """
    if trainer.data_parallel_world_size == 1:
        return work()
    from fairseq.distributed import utils as distributed_utils

    outcome: tuple[Any, str, str] | None = None
    error: Exception | None = None
    if trainer.data_parallel_rank == 0:
        try:
            outcome = (work(), "", "")
        except UserError as mistake:
            outcome = (None, str(mistake), "")
        except Exception as other:
            error = other
            outcome = (None, "", repr(other))
    result, mistake, failure = distributed_utils.broadcast_object(
        outcome, src_rank=0, group=trainer.data_parallel_process_group, dist_device=trainer.device
    )
    if error is not None:
        raise error
    if mistake:
        raise UserError(mistake)
    if failure:
        raise RuntimeError(f"rank 0 failed: {failure}")
    return result
