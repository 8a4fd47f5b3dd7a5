"""What several workers must have in common, and how they stop when they cannot.

q is computed on every worker from the same all-reduced sums, so it is the same everywhere as long
as nothing skips an update on one worker alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from fairseq.distributed import utils as distributed_utils

from fairseq_dro.errors import UserError

DDP_BACKENDS = ("legacy_ddp", "no_c10d", "pytorch_ddp", "c10d")
"""Those that sum whole gradients; the second of each pair is fairseq's older name."""


def require_ddp_backend(
    backend: str, *, use_bmuf: bool = False, find_unused_parameters: bool
) -> None:
    """Refuse the back ends under which a sum over workers is not what an update sees.

    ``use_bmuf`` sums once in many updates only (``trainer.py:1351``), and q would differ.
    ``slowmo`` averages weights of updates that differ between workers; ``fully_sharded`` hides
    the parameters that ``training.held_still`` has to know; both need fairscale.
    ``pytorch_ddp`` waits for the gradient of every parameter, and frozen parts, dropped layers and
    batches without a mask leave some without.

    Raises:
        UserError: with several workers only.
    """
    if n_workers() == 1:
        return
    if use_bmuf:
        raise UserError(
            "optimization.use_bmuf=true lets workers make updates of their own, so that q would "
            "differ between them: leave it out."
        )
    if backend not in DDP_BACKENDS:
        raise UserError(
            f"distributed_training.ddp_backend={backend} does not work with group_dro_ctc: use "
            "legacy_ddp, or pytorch_ddp with distributed_training.find_unused_parameters=true."
        )
    if backend in ("pytorch_ddp", "c10d") and not find_unused_parameters:
        raise UserError(
            f"distributed_training.ddp_backend={backend} would stop at the first parameter without "
            "a gradient (frozen, or in a dropped layer): add "
            "distributed_training.find_unused_parameters=true, or use legacy_ddp."
        )


@contextmanager
def stopping_when_out_of_memory(update: int, describe: Callable[[], str]) -> Iterator[None]:
    """With several workers, running out of memory in a step ends the run by name.

    fairseq continues (``trainer.py:824``): it drops this worker's gradients and keeps the losses
    and sizes it has counted, so gradient, q and log would all be wrong. With one worker it drops
    the whole update, which is clean, and so nothing is done here.

    Args:
        update: number of the update, from 1.
        describe: the batch in words, called only when memory ran out.

    Raises:
        UserError: it is no RuntimeError, which fairseq would catch.
    """
    try:
        yield
    except RuntimeError as error:
        if "out of memory" not in str(error) or n_workers() == 1:
            raise
        rank = distributed_utils.get_data_parallel_rank()
        raise UserError(
            f"worker {rank} of {n_workers()} ran out of memory in update {update} "
            f"({describe()}), and continuing would spoil the sums of all: lower dataset.max_tokens "
            "or task.batch_seconds, and run the same command again to resume from the last "
            "checkpoint."
        ) from error


def require_equal_on_all_workers(checksum: int) -> None:
    """One collective of two int64 numbers, at each validation split.

    Raises:
        UserError: on every worker, when one worker's number is another.
    """
    if n_workers() == 1:
        return
    bounds = torch.tensor([checksum, -checksum], dtype=torch.int64, device=_device())
    group = distributed_utils.get_data_parallel_group()
    distributed_utils.all_reduce(bounds, group=group, op="max")
    largest, smallest = int(bounds[0]), -int(bounds[1])
    if largest != smallest:
        raise UserError(
            "the workers no longer agree on q (checksums between "
            f"{smallest:08x} and {largest:08x}; {checksum:08x} on worker "
            f"{distributed_utils.get_data_parallel_rank()}): start again from a checkpoint that "
            "was saved before, and report this with the log of every worker."
        )


def n_workers() -> int:
    """Processes that share an update; 1 without torch.distributed."""
    return distributed_utils.get_data_parallel_world_size()


def _device() -> torch.device:
    on_gpu = torch.distributed.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
