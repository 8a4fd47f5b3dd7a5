"""The kernels of batches long gone are not kept (``compat/primitive_cache.py``)."""

from __future__ import annotations

import os
import sys

import pytest
from fairseq.distributed import utils as distributed_utils
from omegaconf import OmegaConf

from fairseq_dro.compat import primitive_cache

CONVOLUTIONS = """
import torch
layer = torch.nn.Conv1d(4, 8, 3)
for _ in range(2):
    for n in range(100, 100 + {n_shapes}):
        layer(torch.zeros(2, 4, n))
"""


@pytest.mark.parametrize(
    ("task", "before", "after"),
    [
        ("language_grouped_audio_finetuning", {}, "64"),
        ("language_grouped_audio_finetuning", {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "7"}, "7"),
        ("language_grouped_audio_finetuning", {"DNNL_PRIMITIVE_CACHE_CAPACITY": "7"}, None),
        ("audio_finetuning", {}, None),
    ],
)
def test_our_runs_keep_few_kernels_where_nobody_said_how_many(monkeypatch, task, before, after):
    for name in primitive_cache.VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    cfg = OmegaConf.create(
        {
            "task": {"_name": task},
            "distributed_training": {
                "distributed_init_method": None, "distributed_world_size": 1,
                "pipeline_model_parallel": False, "distributed_port": -1,
            },
            "common": {"tpu": False},
        }
    )
    seen = []
    distributed_utils.call_main(cfg, lambda cfg: seen.append(dict(os.environ)))
    assert seen[0].get("ONEDNN_PRIMITIVE_CACHE_CAPACITY") == after


@pytest.mark.parametrize(("capacity", "is_kept"), [("1024", True), ("64", False)])
def test_the_variable_is_what_decides(tmp_path, capacity, is_kept, command_server):
    """Red when torch no longer keeps kernels, or by another rule."""
    code = CONVOLUTIONS.format(n_shapes=80)
    done = command_server.run(
        [sys.executable, "-c", code], tmp_path, ONEDNN_VERBOSE="profile_create",
        ONEDNN_PRIMITIVE_CACHE_CAPACITY=capacity,
    )
    made = [line for line in done.stdout.splitlines() if ",convolution," in line]
    n_misses = sum("cache_miss" in line for line in made)
    assert n_misses == 80 * (1 if is_kept else 2), done.stdout[-2000:]
