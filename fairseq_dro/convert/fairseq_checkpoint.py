"""A checkpoint in fairseq's layout that no training of fairseq's wrote."""

from __future__ import annotations

from typing import Any

import torch


def fairseq_checkpoint(
    cfg: dict[str, Any], weights: dict[str, torch.Tensor], task_state: dict[str, Any]
) -> dict[str, Any]:
    """With the keys that ``checkpoint_utils._upgrade_state_dict`` and the trainer ask for.

    Args:
        cfg: plain values; sections that are not there are the defaults of whoever loads it.
    """
    criterion = cfg["criterion"]
    history = {
        "criterion_name": criterion["_name"] if criterion else "wav2vec",
        "optimizer_name": "FairseqAdam", "lr_scheduler_state": {"best": None}, "num_updates": 0,
    }  # fmt: skip
    return {
        "args": None, "cfg": cfg, "model": weights, "optimizer_history": [history],
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}},
        "task_state": task_state,
    }  # fmt: skip
