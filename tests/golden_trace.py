"""Loss and q of a tiny run, update by update, as committed in ``tests/golden/``.

    python -m tests.golden_trace        # renews the file, after a change that is meant

What is traced must not depend on the processor, so the run computes in float64 and draws nothing
that a vector library computes: its weights are multiples of 2^-20 and its dropout compares uniform
numbers (``bernoulli_`` may ask MKL, whose kernels depend on the processor). What remains are the
roundings of sums and exponentials: kernels for other processors (ATEN_CPU_CAPABILITY, MKL_CBWR,
GLIBC_TUNABLES) moved these numbers by 1e-15 of themselves. The trace keeps 9 significant digits and
is compared exactly; with another version of torch than the file names, by ``TOLERANCE``.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests import run_preparations, training_trace
from tests.killed_commands import CommandServer
from tests.stock_commands import train_command
from tests.tiny_corpus import write_tiny_corpus

FILE = Path(__file__).parent / "golden" / "ctc_dro.jsonl"
DIGITS = 9
TOLERANCE = 1e-4
"""Relative, of losses and of q, with another version of torch."""

OPTIONS = {
    "optimization__max_update": 12,
    "optimization__update_freq": "[2]",
    "task__batch_seconds": 5,
    "task__length_noise": 0.05,
    "model__mask_channel_prob": 0.2,
    "model__mask_channel_length": 4,
    "model__freeze_finetune_updates": 3,
    "lr_scheduler__warmup_updates": 5,
    "criterion__step_size": 0.002,
    "checkpoint__no_save": "true",
}

PORTABLE = "tests.golden_trace:compute_alike_everywhere"


def compute_alike_everywhere() -> None:
    """A preparation of ``CommandServer.run``: exact weights, dropout from uniform numbers."""
    from fairseq.trainer import Trainer

    run_preparations.compute_in_float64()
    original = Trainer.__init__

    def init(trainer: Any, cfg: Any, task: Any, model: Any, *arguments: Any) -> None:
        _set_exact_weights(model)
        original(trainer, cfg, task, model, *arguments)

    def dropout(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False):
        return x * (torch.rand_like(x) >= p) / (1 - p) if training and p > 0 else x

    Trainer.__init__ = init
    torch.nn.functional.dropout = dropout


def _set_exact_weights(model: torch.nn.Module) -> None:
    rng = np.random.default_rng(5)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data.zero_()
        elif parameter.squeeze().dim() < 2 and not name.endswith("mask_emb"):
            parameter.data.fill_(1.0)  # norms
        else:
            fan_in = max(1, parameter.numel() // parameter.size(0))
            scale = 2.0 ** -math.floor(math.log2(fan_in) / 2)
            draws = rng.integers(-(2**20), 2**20, parameter.shape) * 2.0**-20 * scale
            parameter.data.copy_(torch.from_numpy(draws))


def trace_of_a_run(folder: Path, checkpoint: Path, server: CommandServer, **options: Any) -> list:
    """Train in ``folder`` and return its header and one line an update."""
    data = write_tiny_corpus(folder / "data", {"train": 12, "valid": 2}, seed=11)
    command = train_command(data, checkpoint, **OPTIONS | options)
    server.run(command, folder / "run", prepare=[PORTABLE, training_trace.WRITE])
    return [
        {"torch": _version(), "digits": DIGITS},
        *(golden_line(line) for line in training_trace.read(folder / "run")),
    ]


def golden_line(line: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a line of ``training_trace``; numbers as text, so that equal is equal."""
    q = [f"{weight:.{DIGITS}g}" for weight in line["q"]]
    return {
        "update": line["update"],
        "loss_nats": f"{line['loss_nats']:.{DIGITS}g}",
        "q_checksum": f"{zlib.crc32(' '.join(q).encode()):08x}",
        "q": q,
    }


def differences(golden: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[str]:
    """A sentence for each update that is not as committed; none if all are."""
    if len(golden) != len(found):
        return [f"{len(golden) - 1} updates are committed and {len(found) - 1} were made"]
    is_same = _equal if golden[0] == found[0] else _close
    return [
        f"update {then['update']}: loss {then['loss_nats']} nats and q {' '.join(then['q'])} are "
        f"committed, {now['loss_nats']} nats and {' '.join(now['q'])} came out"
        for then, now in zip(golden[1:], found[1:])
        if not is_same(then, now)
    ]


def _equal(then: dict[str, Any], now: dict[str, Any]) -> bool:
    return then == now


def _close(then: dict[str, Any], now: dict[str, Any]) -> bool:
    a, b = (np.array([line["loss_nats"], *line["q"]], dtype=float) for line in (then, now))
    return then["update"] == now["update"] and np.allclose(a, b, rtol=TOLERANCE, atol=0)


def read() -> list[dict[str, Any]]:
    """The committed trace: a header, then one line an update."""
    return [json.loads(line) for line in FILE.read_text().splitlines()]


def _version() -> str:
    return torch.__version__.split("+")[0]


def _renew() -> None:
    from fairseq_dro.demo.random_checkpoint import write_random_checkpoint
    from tests.conftest import TINY_SIZES

    server = CommandServer()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "xlsr2_tiny.pt"
        write_random_checkpoint(checkpoint, **TINY_SIZES)
        trace = trace_of_a_run(Path(folder), checkpoint, server)
    server.close()
    FILE.write_text("".join(json.dumps(line) + "\n" for line in trace))
    sys.stdout.write(f"{FILE}: {len(trace) - 1} updates with torch {_version()}\n")


if __name__ == "__main__":
    _renew()
