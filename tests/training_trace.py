"""One line of ``trace.jsonl`` an update, with all that the next update depends on.

``write`` is a preparation of ``killed_commands.CommandServer.run``; ``read`` is for the test.
"""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairseq_dro.dro.sums import total_group_sums

WRITE = "tests.training_trace:write"
FILE = "trace.jsonl"


def write() -> None:
    """After each successful update, append a line for this worker; a later kill loses none."""
    from fairseq.trainer import Trainer

    original = Trainer._reduce_and_log_stats

    def reduce_and_log_stats(trainer: Any, logging_outputs: Any, *rest: Any) -> Any:
        result = original(trainer, logging_outputs, *rest)
        if rest[-1] is not None and trainer.criterion.training:
            with open(FILE, "a") as stream:
                stream.write(json.dumps(_line(trainer, logging_outputs, rest[-1])) + "\n")
        return result

    Trainer._reduce_and_log_stats = reduce_and_log_stats


def _line(trainer: Any, logging_outputs: list[dict[str, Any]], gradient_norm: Any) -> dict:
    state = trainer.task.group_state
    weights = [parameter.detach().numpy().tobytes() for parameter in trainer.model.parameters()]
    return {
        "worker": trainer.data_parallel_rank,
        "update": trainer.get_num_updates(),
        "loss_nats": float(sum(log["loss"] for log in logging_outputs)),
        "n_sentences": int(sum(log["nsentences"] for log in logging_outputs)),
        "group_sums": total_group_sums(logging_outputs).tolist(),
        "gradient_norm": float(gradient_norm),
        "lr": trainer.get_lr(),
        "q": state.q.tolist(),
        "pending_loss": state.pending_loss.tolist(),
        "pending_count": state.pending_count.tolist(),
        "n_moves": state.n_moves,
        "weights": zlib.crc32(b"".join(weights)),
        "python_generator": zlib.crc32(repr(random.getstate()).encode()),
        "numpy_generator": zlib.crc32(repr(np.random.get_state(legacy=False)).encode()),
        "torch_generator": zlib.crc32(torch.get_rng_state().numpy().tobytes()),
    }


def read(folder: Path) -> list[dict[str, Any]]:
    """All lines, in the order of writing; an update that was made twice is there twice."""
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
