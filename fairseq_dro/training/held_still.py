"""Frozen weights stay bit for bit what they were, whatever the optimizer does with zeros.

fairseq freezes by not computing gradients: the convolutional extractor under
``feature_grad_mult=0`` (wav2vec2.py:593) and the whole encoder before ``freeze_finetune_updates``
(wav2vec2_asr.py:481). But a missing gradient does not stay missing: ``legacy_ddp`` turns it into
zeros (legacy_distributed_data_parallel.py:138), as fp16 and bf16 do with one worker too
(fp16_optimizer.py:125), and with zeros Adam applies weight decay and counts a step
(adam.py:212, 229). So "frozen" weights shrink, and the first real steps are scaled as if
thousands had been made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def held_still(optimizer: Any, frozen: list[torch.nn.Parameter]) -> Iterator[None]:
    """An optimizer step inside leaves ``frozen`` and, where it can, their state alone.

    Without a gradient Adam skips a parameter. fairseq's flat fp16 optimizer holds all weights in
    one tensor with one step count: there the weights are put back (one more copy of the frozen
    ones for the moment, and only under weight decay), and the step count is shared.
    """
    for parameter in frozen:
        parameter.grad = None
    copies = getattr(optimizer, "fp32_params", None)
    if not frozen or copies is None:
        yield
        return
    chosen = {id(parameter) for parameter in frozen}
    if isinstance(copies, list):
        for half, single in zip(optimizer.fp16_params, copies):
            if id(half) in chosen:
                single.grad = None
        yield
        return
    saved = []
    if any(group.get("weight_decay", 0) for group in optimizer.param_groups):
        saved = [
            (half, single, single.clone())
            for half, single in _segments(optimizer)
            if id(half) in chosen
        ]
    yield
    for half, single, before in saved:
        single.copy_(before)
        half.data.copy_(before.view_as(half))


def _segments(optimizer: Any) -> Iterator[tuple[torch.nn.Parameter, torch.Tensor]]:
    """Each half-precision parameter with its part of the flat float32 tensor of its device."""
    offsets: dict[int | None, int] = defaultdict(int)
    for half in optimizer.fp16_params:
        device = half.device.index  # fairseq's key, fp16_optimizer.py:116
        start = offsets[device]
        offsets[device] = start + half.numel()
        yield half, optimizer.fp32_params[device].data[start : start + half.numel()]
