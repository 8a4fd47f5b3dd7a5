"""Read and compare the checkpoints of real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def load(path: Path) -> dict[str, Any]:
    """Everything in a checkpoint that the tests themselves have just written."""
    return torch.load(path, map_location="cpu", weights_only=False)


def assert_same_training_state(left: Path, right: Path) -> None:
    """Everything in two checkpoints is equal, tolerance 0.

    Left aside: buffers that fairseq never fills (``_float_tensor``), the wall clock (and numbers
    made of it), the log of the updates since the process began (``metrics``), and the length of
    ``optimizer_history``, which fairseq extends at every resume (``trainer.py:401, 585``).
    """
    a, b = load(left), load(right)
    assert a["model"].keys() == b["model"].keys()
    for name in a["model"]:
        same = torch.equal(a["model"][name], b["model"][name])
        assert same or name.endswith("._float_tensor"), name
    assert_equal(a["last_optimizer_state"], b["last_optimizer_state"], "optimizer")
    assert_equal(a["optimizer_history"][-1], b["optimizer_history"][-1], "history")
    of_the_process = {"metrics", "previous_training_time"}
    assert_equal(
        {key: value for key, value in a["extra_state"].items() if key not in of_the_process},
        {key: value for key, value in b["extra_state"].items() if key not in of_the_process},
        "extra_state",
    )
    assert a["task_state"].keys() == b["task_state"].keys()
    assert a["cfg"].keys() == b["cfg"].keys() and a.keys() == b.keys()


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
