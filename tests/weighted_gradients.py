"""The law of weights that the criterions share: at any q a gradient is the hand-weighted sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.in_process import batch_of


def gradients(model, loss: torch.Tensor) -> list[torch.Tensor]:
    """Of each parameter that has one."""
    model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def assert_gradient_is_hand_weighted(
    task: Any, model: Any, criterion: Any, stock: Any, indices: np.ndarray, seed: int
) -> None:
    """At a random q over three groups, one utterance at a time by the stock criterion."""
    sample = batch_of(task, "train", indices)
    criterion.state.q = np.random.default_rng(seed).dirichlet(np.ones(3))
    expected = None
    for index, group in zip(indices, sample["group"].tolist()):
        loss, _, _ = stock(model, batch_of(task, "train", [index]))
        own = [criterion.state.q[group] * 3 * g for g in gradients(model, loss)]
        expected = own if expected is None else [a + b for a, b in zip(expected, own)]
    loss, size, _ = criterion(model, sample)
    assert size == len(indices)
    for ours, by_hand in zip(gradients(model, loss), expected, strict=True):
        # one padded batch against eight unpadded ones: float32 noise, not a factor
        noise = 2e-3 * by_hand.abs().max().item() + 1e-5
        torch.testing.assert_close(ours, by_hand, rtol=2e-3, atol=noise)
