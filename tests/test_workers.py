"""Law 3: workers x micro-batches alone decide what an update sees, by real gloo processes."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fairseq_dro.report.history import read_records
from tests.checkpoints import load
from tests.stock_commands import BIN, run, train_command
from tests.tiny_corpus import write_tiny_corpus

OPTIONS = {
    "optimization__max_update": 8,
    "model__layerdrop": 0.0,
    "model__dropout": 0.0,
    "criterion__step_size": 0.002,
    "checkpoint__save_interval_updates": 8,
    "distributed_training__ddp_backend": "legacy_ddp",
    "distributed_training__distributed_backend": "gloo",
}


def torchrun(workers: int, command: list[str]) -> list[str]:
    """The same command under torchrun, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = [sys.executable, str(BIN / "torchrun"), f"--nproc_per_node={workers}"]
    return [
        *launcher, f"--master_port={port}", *command,
        f"distributed_training.distributed_world_size={workers}",
    ]


@pytest.fixture(scope="module")
def uneven_data(tmp_path_factory) -> Path:
    """A number of batches that no worker count divides, one language in one batch only."""
    return write_tiny_corpus(
        tmp_path_factory.mktemp("uneven"), {"train": 23, "valid": 2},
        {"deu": "abcd", "ell": "αβγδ", "fra": "abcé", "rus": "где"}, seed=4,
    )


@pytest.fixture(scope="module")
def runs(uneven_data, tiny_checkpoint, tmp_path_factory) -> dict[tuple[int, int], Path]:
    """1 x 4, 2 x 2 and 4 x 1 of the same training."""
    folders = {}
    for workers, micro_batches in ((1, 4), (2, 2), (4, 1)):
        folder = tmp_path_factory.mktemp(f"{workers}x{micro_batches}")
        options = OPTIONS | {"optimization__update_freq": f"[{micro_batches}]"}
        command = train_command(uneven_data, tiny_checkpoint, **options)
        done = run(torchrun(workers, command) if workers > 1 else command, folder)
        (folder / "output.log").write_text(done.stdout)
        folders[workers, micro_batches] = folder
    return folders


@pytest.mark.parametrize("other", [(2, 2), (4, 1)])
def test_the_same_utterances_give_the_same_group_sums_and_q(runs, other):
    one, many = (
        read_records(runs[key] / "group_weights.jsonl") for key in ((1, 4), other)
    )
    assert [r["update"] for r in one] == [r["update"] for r in many] and len(one) >= 3
    first = [list(records[0]["group_loss_nats"].values()) for records in (one, many)]
    assert first[0] == pytest.approx(first[1], rel=1e-5)
    for a, b in zip(one, many):
        # float32 models drift apart as gradients are added in another order
        assert list(a["q"].values()) == pytest.approx(list(b["q"].values()), rel=2e-3)


@pytest.mark.parametrize("other", [(2, 2), (4, 1)])
def test_the_model_moves_the_same_way(runs, other):
    last = "checkpoints/checkpoint_last.pt"
    one, many = (load(runs[key] / last)["model"] for key in ((1, 4), other))
    assert one.keys() == many.keys()
    torch.testing.assert_close(one, many, rtol=0.05, atol=2e-3)


def logged(folder: Path, name: str) -> list[float]:
    """A metric of every update, as fairseq logged it on the first worker."""
    return [
        float(line.split(f'"{name}": "')[1].split('"')[0])
        for line in (folder / "output.log").read_text().splitlines()
        if "[train_inner]" in line and f'"{name}"' in line
    ]


@pytest.mark.parametrize("other", [(2, 2), (4, 1)])
def test_the_gradient_has_the_same_size(runs, other):
    """Adam would hide a gradient that is a constant too large; its norm does not."""
    one, many = (logged(runs[key], "gnorm")[0] for key in ((1, 4), other))
    assert one == pytest.approx(many, rel=1e-3)


@pytest.mark.parametrize("reduction", ["batch_mean", "batch_sum"])
def test_the_papers_reductions_do_not_depend_on_the_workers(
    uneven_data, tiny_checkpoint, tmp_path, reduction
):
    norms = []
    for workers, micro_batches in ((1, 2), (2, 1)):
        options = OPTIONS | {
            "optimization__update_freq": f"[{micro_batches}]",
            "optimization__max_update": 1,
            "criterion__loss_reduction": reduction,
        }
        command = train_command(uneven_data, tiny_checkpoint, **options)
        folder = tmp_path / f"{workers}x{micro_batches}"
        done = run(torchrun(workers, command) if workers > 1 else command, folder)
        (folder / "output.log").write_text(done.stdout)
        norms += logged(folder, "gnorm")
    assert norms[0] == pytest.approx(norms[1], rel=1e-3) and len(norms) == 2


def test_no_worker_needed_a_dummy_batch(runs, uneven_data):
    """Every update logs the sentences of four batches; a dummy would zero a worker's share."""
    n_sentences = {}
    for key, folder in runs.items():
        n_sentences[key] = logged(folder, "nsentences")
    assert n_sentences[1, 4] == n_sentences[2, 2] == n_sentences[4, 1]
    n_utterances = len((uneven_data / "train.lang").read_text().split())
    epochs = np.cumsum(n_sentences[1, 4])
    assert n_utterances in epochs, "an epoch ends exactly when every utterance was seen once"


def test_two_workers_resume_with_the_q_they_had(uneven_data, tiny_checkpoint, tmp_path):
    options = OPTIONS | {"optimization__update_freq": "[2]", "checkpoint__save_interval_updates": 3}
    whole = train_command(uneven_data, tiny_checkpoint, **options)
    part = train_command(uneven_data, tiny_checkpoint, **options | {"optimization__max_update": 5})
    run(torchrun(2, whole), tmp_path / "whole")
    run(torchrun(2, part), tmp_path / "resumed")
    run(torchrun(2, whole), tmp_path / "resumed")
    q = [
        [(r["update"], r["q"]) for r in read_records(tmp_path / name / "group_weights.jsonl")]
        for name in ("whole", "resumed")
    ]
    assert q[0] == q[1] and q[0][-1][0] > 5
