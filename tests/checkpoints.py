"""Read and compare the checkpoints of real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def load(path: Path) -> dict[str, Any]:
    """Everything in a checkpoint that the tests themselves have just written."""
    return torch.load(path, map_location="cpu", weights_only=False)


def assert_same_training_state(left: Path, right: Path) -> None:
    """Weights, optimizer, iterator and group state are equal, tolerance 0.

    Left aside: the wall clock and the length of ``optimizer_history``, which fairseq extends at
    every resume (``trainer.py:401, 585``).
    """
    a, b = load(left), load(right)
    assert a["model"].keys() == b["model"].keys()
    for name in a["model"]:
        assert torch.equal(a["model"][name], b["model"][name]), name
    assert_equal(a["last_optimizer_state"], b["last_optimizer_state"], "optimizer")
    assert_equal(a["optimizer_history"][-1], b["optimizer_history"][-1], "history")
    assert_equal(
        a["extra_state"]["train_iterator"], b["extra_state"]["train_iterator"], "iterator"
    )


def assert_equal(a: Any, b: Any, where: str) -> None:
    """Exact equality of nested containers of tensors."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b)):
            assert_equal(x, y, f"{where}[{i}]")
    elif torch.is_tensor(a):
        assert torch.equal(a, b), where
    else:
        assert a == b or (a != a and b != b), where
