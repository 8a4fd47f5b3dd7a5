"""An update never makes the host wait for the device more often than stock ``ctc`` does.

Without a GPU: every call of torch's Python interface is watched, all tensors count as lying on a
device until they are copied to the host, and each call that needs a value on the host counts. What
waits inside of an operator (``ctc_loss`` reads its lengths) both criterions have in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.logging import metrics
from fairseq.tasks.audio_finetuning import AudioFinetuningTask
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from tests.in_process import batch_of, group_dro_ctc, make_model, make_task, stock_ctc

WAITING = {
    "item", "tolist", "numpy", "cpu", "nonzero", "masked_select", "unique", "unique_consecutive",
    "repeat_interleave", "equal", "allclose", "is_nonzero", "bincount", "__bool__", "__int__",
    "__float__", "__index__", "__array__", "__contains__", "__format__", "__repr__",
}
"""Calls that end only when the device has caught up."""


class Waits(TorchFunctionMode):
    """Names of the calls that waited, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self._on_host: dict[int, torch.Tensor] = {}  # kept, so that no address is used again

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        of_host = bool(given) and all(_address(tensor) in self._on_host for tensor in given)
        if given and not of_host and (name in WAITING or _selects_by_mask(name, args)):
            self.names.append(name)
        result = func(*args, **kwargs)
        if name == "cpu" or of_host:
            for leaf in tree_leaves(result):
                if isinstance(leaf, torch.Tensor):
                    self._on_host[_address(leaf)] = leaf
        return result


def _address(tensor: torch.Tensor) -> int:
    with torch._C.DisableTorchFunction():
        return tensor.untyped_storage().data_ptr()


def _selects_by_mask(name: str, args: tuple[Any, ...]) -> bool:
    """``x[mask]`` and ``x[mask] = y`` look for the true elements on the host."""
    if name not in ("__getitem__", "__setitem__"):
        return False
    return any(
        isinstance(leaf, torch.Tensor) and leaf.dtype == torch.bool for leaf in tree_leaves(args[1])
    )


class Optimizer:
    """As much of fairseq's as a step needs."""

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def step(self) -> None:
        """Nothing: what it costs does not depend on the criterion."""


@pytest.fixture(scope="module")
def task(tiny_data, tmp_path_factory):
    task = make_task(tiny_data, history_dir=str(tmp_path_factory.mktemp("history")))
    task.load_dataset("train")
    return task


@pytest.fixture(scope="module")
def samples(task):
    return [batch_of(task, "train", np.arange(4 * i, 4 * i + 4)) for i in range(4)]


@pytest.fixture(scope="module")
def model(task, tiny_checkpoint):
    return make_model(task, tiny_checkpoint, feature_grad_mult=0.0).train()


def waits_of_an_update(step_class, task, model, criterion, samples) -> list[str]:
    """Of the micro-batches, the optimizer step and the metrics, as fairseq's trainer calls them."""
    with metrics.aggregate(new_root=True), Waits() as waits:
        outputs = [
            step_class.train_step(task, sample, model, criterion, Optimizer(), 7)[2]
            for sample in samples
        ]
        step_class.optimizer_step(task, Optimizer(), model, 7)
        step_class.reduce_metrics(task, outputs, criterion)
    return waits.names


@pytest.mark.parametrize(
    ("objective", "micro_batches"), [("erm", 1), ("ctc_dro", 1), ("group_dro", 4), ("ctc_dro", 4)]
)
def test_an_update_waits_no_more_often_than_stock_ctc(
    task, model, samples, objective, micro_batches
):
    samples = samples[:micro_batches]
    stock = waits_of_an_update(AudioFinetuningTask, task, model, stock_ctc(task).train(), samples)
    ours = group_dro_ctc(task, objective=objective, update_when="every_update").train()
    waits = waits_of_an_update(type(task), task, model, ours, samples)
    assert ours.state.n_moves == 1, "the move of q is part of it"
    assert len(waits) <= len(stock)
    assert Counter(stock) - Counter(waits) == {"item": micro_batches}, "the loss of each batch"
    assert Counter(waits) - Counter(stock) == {"cpu": 1}, "all sums of the update at once"


PLANTED: dict[str, Callable[[torch.Tensor], Any]] = {
    "item": lambda losses: losses.max().item(),
    "__bool__": lambda losses: bool((losses > 1e9).any()),
    "__float__": lambda losses: float(losses[0]),
    "cpu": lambda losses: losses.cpu(),
    "tolist": lambda losses: losses.tolist(),
    "__getitem__": lambda losses: losses[losses > 0],
}


@pytest.fixture(scope="module")
def honest_waits(task, model, samples) -> Counter[str]:
    criterion = group_dro_ctc(task).train()
    return Counter(waits_of_an_update(type(task), task, model, criterion, samples[:1]))


@pytest.mark.parametrize("name", PLANTED)
def test_a_wait_that_is_planted_into_the_criterion_is_seen(
    task, model, samples, honest_waits, name, monkeypatch
):
    criterion = group_dro_ctc(task).train()
    honest = criterion.engine._loss_weights

    def waiting(losses: torch.Tensor) -> torch.Tensor:
        PLANTED[name](losses.detach().clone())
        return honest(losses)

    monkeypatch.setattr(criterion.engine, "_loss_weights", waiting)
    planted = waits_of_an_update(type(task), task, model, criterion, samples[:1])
    assert Counter(planted) - honest_waits == {name: 1}
