"""Several workers on CPUs talk by gloo, which is the only backend there.

fairseq's default is nccl (fairseq/dataclass/configs.py:272), for GPUs, whatever ``common.cpu``
says: ``torchrun`` on CPUs ends with ``RuntimeError: Distributed package doesn't have NCCL built
in``, or waits for a GPU.
"""

from __future__ import annotations

import functools
from typing import Any

from fairseq_dro import own_runs


def needed() -> bool:
    """Always: fairseq 0.12.2 is the last release."""
    return True


def apply() -> None:
    """Wrap ``call_main``, which sets up the workers."""
    from fairseq.distributed import utils as distributed_utils

    original = distributed_utils.call_main

    @functools.wraps(original)
    def call_main(cfg: Any, main: Any, **kwargs: Any) -> Any:
        if own_runs.names_own_part(cfg):
            choose(cfg)
        return original(cfg, main, **kwargs)

    distributed_utils.call_main = call_main


def choose(cfg: Any) -> None:
    """Replace nccl where there is no GPU to use."""
    import torch

    workers = getattr(cfg, "distributed_training", None)
    on_cpu = cfg.common.cpu or not torch.cuda.is_available()
    if on_cpu and getattr(workers, "distributed_backend", None) == "nccl":
        workers.distributed_backend = "gloo"
