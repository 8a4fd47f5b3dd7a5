"""``ema.store_ema=true`` copies a model whose positional convolution has a weight norm.

torch computes the normed weight as an attribute of the module, a tensor with a history, and refuses
to copy such (``Only Tensors created explicitly by the user``). fairseq's EMA starts with a copy of
the model (fairseq/models/ema/ema.py:79), so no wav2vec 2.0 could have one. The weight is computed
again from its parts before each forward pass, in the copy as well: so its history is left out.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator
from typing import Any

import torch


def needed() -> bool:
    try:
        copy.deepcopy(torch.zeros(1, requires_grad=True) + 0)
    except RuntimeError:
        return True
    return False


def apply() -> None:
    """Wrap ``EMA.__init__``."""
    from fairseq.models.ema.ema import EMA

    init = EMA.__init__

    @functools.wraps(init)
    def __init__(self: Any, model: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        with _without_history(model):
            init(self, model, *args, **kwargs)

    EMA.__init__ = __init__


@contextlib.contextmanager
def _without_history(model: torch.nn.Module) -> Iterator[None]:
    computed = [
        (module, name, value)
        for module in model.modules()
        for name, value in vars(module).items()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    ]
    for module, name, value in computed:
        setattr(module, name, value.detach())
    try:
        yield
    finally:
        for module, name, value in computed:
            setattr(module, name, value)
