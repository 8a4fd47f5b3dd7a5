"""Let workers receive what rank 0 of the same run sends them.

When several workers resume, rank 0 alone reads the checkpoint and broadcasts the state, already
turned into omegaconf objects, through ``torch.save`` and ``torch.load``
(fairseq/distributed/utils.py:770). torch 2.6's safe loader refuses those objects. The bytes are
rank 0's own memory and the file behind them went through the safe loader there, so this one call
may unpickle anything; every other ``torch.load`` stays safe.
"""

from __future__ import annotations

import types
from typing import Any

import torch

from fairseq_dro.compat import safe_globals


def needed() -> bool:
    """True where ``torch.load`` is safe by default, from torch 2.6 on."""
    return safe_globals.needed()


def apply() -> None:
    """Give ``_broadcast_object_slow`` a ``torch`` of its own, whose ``load`` trusts its input."""
    from fairseq.distributed import utils

    original = utils._broadcast_object_slow
    if original.__globals__["torch"] is torch:
        utils._broadcast_object_slow = types.FunctionType(
            original.__code__,
            {**original.__globals__, "torch": _TrustingTorch("torch")},
            original.__name__,
            original.__defaults__,
            original.__closure__,
        )


class _TrustingTorch(types.ModuleType):
    """Everything torch has, with a ``load`` that unpickles whatever it is given."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def load(source: Any, **options: Any) -> Any:
        return torch.load(source, **{**options, "weights_only": False})
