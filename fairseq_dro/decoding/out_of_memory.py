"""Recognise the errors by which torch says that memory ran out."""

from __future__ import annotations

import torch

_SAYINGS = (
    "out of memory",  # CUDA, also where a library raises a plain RuntimeError
    "can't allocate memory",  # torch's allocator on the CPU
    "STATUS_ALLOC_FAILED",  # cuBLAS and cuDNN
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less work at once may succeed where this error was raised."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in _SAYINGS)
