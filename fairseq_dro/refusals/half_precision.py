"""fp16 without a GPU is refused in a sentence.

fairseq's optimizer of fp16 weights asks CUDA for its device (fairseq/optim/fp16_optimizer.py:38):
``AssertionError: Torch not compiled with CUDA enabled``, or ``RuntimeError: Found no NVIDIA
driver``. The recipes set ``common.fp16``, so it is the first thing that somebody without a GPU
sees. With bf16 the weights are not flattened (fp16_optimizer.py:294), and nothing is asked.
"""

from __future__ import annotations

import functools
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError


def apply() -> None:
    """Wrap ``FP16Optimizer.build_optimizer``, which is a class method."""
    from fairseq.optim.fp16_optimizer import FP16Optimizer

    original = FP16Optimizer.build_optimizer.__func__

    @functools.wraps(original)
    def build_optimizer(cls: Any, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        import torch

        if own_runs.current() and cfg.common.fp16 and not torch.cuda.is_available():
            raise UserError(
                "common.fp16=true needs a GPU, and torch finds none here: to train on a CPU type "
                "common.cpu=true common.fp16=false."
            )
        return original(cls, cfg, *args, **kwargs)

    FP16Optimizer.build_optimizer = classmethod(build_optimizer)
