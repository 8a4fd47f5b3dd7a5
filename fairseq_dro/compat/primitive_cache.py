"""On a CPU, memory does not grow with the shapes of batches that were met.

oneDNN, with which torch computes convolutions, keeps the compiled kernels of the last 1,024 shapes.
Batches of speech have a new shape nearly every time, so hardly one is used again, and between them
glibc cannot return what the batches took: fairseq's own task with a model of 1 M weights went from
287 MB at the first update to 779 MB at the 240th, while the number of Python's objects did not
change. With room for the kernels of two batches the same model takes 393 MB after 1,000 updates and
396 MB after 2,000, at the same speed (``scripts/benchmark_memory.py``).

oneDNN reads its variable when the first kernel is made, which is after this.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from fairseq_dro import own_runs

VARIABLES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY")
"""The second is what older versions call it."""
CAPACITY = 64
"""A batch of wav2vec 2.0 needs about 25: eight convolutions, each forward and twice backward."""


def needed() -> bool:
    """Whether this torch computes with oneDNN."""
    import torch

    return torch.backends.mkldnn.is_available()


def apply() -> None:
    """Wrap ``distributed_utils.call_main``; whoever set the variable keeps it."""
    from fairseq.distributed import utils as distributed_utils

    original = distributed_utils.call_main

    @functools.wraps(original)
    def call_main(cfg: Any, main: Any, **kwargs: Any) -> Any:
        is_own = own_runs.current() or own_runs.names_own_part(cfg)
        if is_own and not any(name in os.environ for name in VARIABLES):
            os.environ[VARIABLES[0]] = str(CAPACITY)
        return original(cfg, main, **kwargs)

    distributed_utils.call_main = call_main
