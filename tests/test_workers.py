"""Law 3: workers x micro-batches alone decide what an update sees, by real gloo processes."""

from __future__ import annotations

import random
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fairseq_dro.dro.sums import column
from tests import run_preparations, training_trace
from tests.checkpoints import assert_same_training_state, load
from tests.in_process import make_task
from tests.stock_commands import BIN, run, train_command
from tests.tiny_corpus import write_tiny_corpus
from tests.whisper_runs import whisper_command, with_texts, write_mini_whisper

LAST = "checkpoints/checkpoint_last.pt"
LAYOUTS = ((1, 4), (2, 2), (4, 1))
"""Workers, micro-batches."""

OPTIONS = {
    "optimization__max_update": 10,
    "model__layerdrop": 0.0,
    "criterion__step_size": 0.002,
    "task__batch_seconds": 4,
    "distributed_training__ddp_backend": "legacy_ddp",
    "distributed_training__distributed_backend": "gloo",
}
"""Masks and dropout are on: they too must be the same on whichever worker a batch lies."""


@pytest.fixture(scope="module")
def uneven_data(tmp_path_factory) -> Path:
    """A number of batches that no worker count divides, one language in one batch only."""
    return with_texts(
        write_tiny_corpus(
            tmp_path_factory.mktemp("uneven"), {"train": 3, "valid": 2},
            {"deu": "abcd", "ell": "αβγδ", "fra": "abcé", "rus": "где"}, seed=4, growth=10,
        )
    )


def command_of(
    data: Path, checkpoint: Path, layout: tuple[int, int], kind: str = "ctc", **options: Any
) -> list[str]:
    workers, micro_batches = layout
    make = train_command if kind == "ctc" else whisper_command
    return make(
        data, checkpoint, **OPTIONS | options,
        optimization__update_freq=f"[{micro_batches}]",
        distributed_training__distributed_world_size=workers,
    )


@pytest.fixture(scope="module", params=["ctc", "cross_entropy"])
def float64_runs(
    request, uneven_data, tiny_checkpoint, tmp_path_factory, command_server
) -> dict[tuple[int, int], Path]:
    """1 x 4, 2 x 2 and 4 x 1 of the same training, in float64."""
    checkpoint, kind, options = tiny_checkpoint, request.param, {}
    if kind == "cross_entropy":  # an update of Whisper's vocabulary costs more
        checkpoint = write_mini_whisper(tmp_path_factory.mktemp("mini_whisper"))
        options = {"optimization__max_update": 7, "criterion__update_when": "every_update"}
    folders = {}
    for layout in LAYOUTS:
        folders[layout] = tmp_path_factory.mktemp("{}x{}".format(*layout))
        command_server.run(
            command_of(uneven_data, checkpoint, layout, kind, **options), folders[layout],
            workers=layout[0], prepare=[run_preparations.FLOAT64, training_trace.WRITE],
        )
    return folders


def of_first_worker(folder: Path) -> list[dict[str, Any]]:
    return [line for line in training_trace.read(folder) if line["worker"] == 0]


OF_CTC = pytest.mark.parametrize("float64_runs", ["ctc"], indirect=True)
"""For what has nothing to do with the loss."""


@pytest.mark.parametrize("other", LAYOUTS[1:])
def test_the_same_batches_give_the_same_group_sums_and_q(float64_runs, other):
    """At 1e-12, over more than an epoch and several moves of q."""
    one, many = (of_first_worker(float64_runs[layout]) for layout in ((1, 4), other))
    assert len(one) == len(many) >= 5
    assert one[-1]["n_moves"] >= 2
    for a, b in zip(one, many):
        np.testing.assert_allclose(a["group_sums"], b["group_sums"], rtol=1e-12)
        np.testing.assert_allclose(a["q"], b["q"], rtol=1e-12)
        np.testing.assert_allclose(a["pending_loss"], b["pending_loss"], rtol=1e-12)
        assert a["n_moves"] == b["n_moves"]


@pytest.mark.parametrize("other", LAYOUTS[1:])
def test_the_gradient_and_the_model_are_the_same(float64_runs, other):
    """Adam would hide a gradient that is a constant too large; its norm (float32) does not."""
    one, many = (of_first_worker(float64_runs[layout]) for layout in ((1, 4), other))
    for a, b in zip(one, many):
        assert a["gradient_norm"] == pytest.approx(b["gradient_norm"], rel=1e-6)
    one, many = (load(float64_runs[layout] / LAST)["model"] for layout in ((1, 4), other))
    assert one.keys() == many.keys()
    assert all(weight.dtype == torch.float64 for weight in one.values())
    torch.testing.assert_close(one, many, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_all_workers_have_the_same_q(float64_runs, layout):
    lines = training_trace.read(float64_runs[layout])
    for update in range(1, lines[-1]["update"] + 1):
        of_update = [line for line in lines if line["update"] == update]
        assert len(of_update) == layout[0]
        assert len({str(line["q"] + line["pending_loss"]) for line in of_update}) == 1
        assert len({line["weights"] for line in of_update}) == 1


@OF_CTC
def test_no_worker_needed_a_dummy_batch(float64_runs, uneven_data):
    """Every update counts the sentences of four batches; a dummy would zero a worker's share."""
    n_sentences = {
        layout: [line["n_sentences"] for line in of_first_worker(folder)]
        for layout, folder in float64_runs.items()
    }
    assert n_sentences[1, 4] == n_sentences[2, 2] == n_sentences[4, 1]
    n_utterances = len((uneven_data / "train.lang").read_text().split())
    epochs = np.cumsum(n_sentences[1, 4])
    assert n_utterances in epochs, "an epoch ends exactly when every utterance was seen once"
    task = make_task(uneven_data, batch_seconds=OPTIONS["task__batch_seconds"])
    task.load_dataset("train")
    assert len(task.get_batch_iterator(task.dataset("train"))) % 2 == 1, "as one worker plans it"


@OF_CTC
def test_a_language_that_one_worker_alone_sees_counts_like_any_other(float64_runs):
    """deu has one batch an epoch, which in 4 x 1 and 2 x 2 lies with one worker."""
    lines = of_first_worker(float64_runs[4, 1])
    n_batches = [column(np.array(line["group_sums"]), "n_batches") for line in lines]
    assert n_batches[0].sum() == 4
    in_first_epoch = np.sum(n_batches[: len(n_batches) // 2], axis=0)
    assert in_first_epoch[0] == 1 < in_first_epoch[1]


@pytest.fixture(scope="module")
def float32_runs(
    uneven_data, tiny_checkpoint, tmp_path_factory, command_server
) -> dict[tuple[int, int], Path]:
    folders = {}
    for layout in LAYOUTS:
        folders[layout] = tmp_path_factory.mktemp("{}x{}".format(*layout))
        command = command_of(uneven_data, tiny_checkpoint, layout, optimization__max_update=2)
        command_server.run(
            command, folders[layout], workers=layout[0], prepare=[training_trace.WRITE]
        )
    return folders


@pytest.mark.parametrize("other", LAYOUTS[1:])
def test_in_float32_the_first_updates_sums_are_the_same(float32_runs, other):
    one, many = (of_first_worker(float32_runs[layout])[0] for layout in ((1, 4), other))
    np.testing.assert_allclose(one["group_sums"], many["group_sums"], rtol=1e-12)


def test_torchrun_does_what_the_forked_workers_of_these_tests_do(
    uneven_data, tiny_checkpoint, tmp_path, float32_runs
):
    """To the last bit of the checkpoint."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = [sys.executable, str(BIN / "torchrun"), "--nproc_per_node=2"]
    command = command_of(uneven_data, tiny_checkpoint, (2, 2), optimization__max_update=2)
    run([*launcher, f"--master_port={port}", *command], tmp_path)
    assert_same_training_state(tmp_path / LAST, float32_runs[2, 2] / LAST)


@pytest.mark.parametrize("reduction", ["batch_mean", "batch_sum"])
def test_the_papers_reductions_do_not_depend_on_the_workers(
    uneven_data, tiny_checkpoint, tmp_path, command_server, reduction
):
    norms = []
    for layout in ((1, 2), (2, 1)):
        command = command_of(
            uneven_data, tiny_checkpoint, layout, optimization__max_update=1,
            criterion__loss_reduction=reduction,
        )
        folder = tmp_path / "{}x{}".format(*layout)
        command_server.run(command, folder, workers=layout[0], prepare=[training_trace.WRITE])
        norms.append(of_first_worker(folder)[0]["gradient_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


def test_a_step_draws_by_seed_update_and_first_utterance_alone(uneven_data):
    """From numpy's, torch's and Python's generators, whatever was drawn before."""
    tasks = {seed: make_task(uneven_data, seed=seed) for seed in (1, 2)}
    model = SimpleNamespace(train=lambda: None, set_num_updates=lambda update: None)
    optimizer = SimpleNamespace(backward=lambda loss: None)

    def draws(seed: int, update: int, first: int) -> tuple[float, ...]:
        drawn = []

        def criterion(model, sample):
            drawn.extend([np.random.rand(), torch.rand(()).item(), random.random()])
            return torch.zeros(()), 1, {}

        sample = {"seed_id": first}
        tasks[seed].train_step(sample, model, criterion, optimizer, update)
        return tuple(drawn)

    keys = [(1, 5, 7), (2, 5, 7), (1, 6, 7), (1, 5, 8), (1, 7, 5)]
    first_time = [draws(*key) for key in keys]
    np.random.rand(), torch.rand(()), random.random()
    assert [draws(*key) for key in reversed(keys)] == first_time[::-1]
    assert all(len(set(column)) == len(keys) for column in zip(*first_time))


# --- stock fairseq ---


def test_stock_fairseq_loses_sentences_to_dummy_batches(
    tiny_checkpoint, tmp_path, command_server
):
    """Three batches of four: 12 sentences as 1 x 4 and 8 as 2 x 2, with 1.5 times the gradient.

    The second worker's last micro-batch is a dummy, and ``trainer.py:873`` and ``:895`` zero all
    that this worker counted. Why the planner makes a multiple of workers; red once stock is right.
    """
    data = write_tiny_corpus(tmp_path / "data", {"train": 12, "valid": 2}, {"deu": "abcd"})
    logged = {}
    for layout in ((1, 4), (2, 2)):
        command = command_of(
            data, tiny_checkpoint, layout, task___name="audio_finetuning", criterion___name="ctc",
            task__labels="ltr", dataset__batch_size=4, dataset__required_batch_size_multiple=1,
            optimization__max_update=1, model__dropout=0.0, model__apply_mask="false",
        )
        own = ("task.batch_seconds", "criterion.objective", "criterion.step_size")
        command = [argument for argument in command if not argument.startswith(own)]
        folder = tmp_path / "{}x{}".format(*layout)
        output = command_server.run(command, folder, workers=layout[0]).stdout
        line = next(line for line in output.splitlines() if "[train_inner]" in line)
        logged[layout] = {
            name: float(line.split(f'"{name}": "')[1].split('"')[0])
            for name in ("nsentences", "gnorm")
        }
    assert logged[1, 4]["nsentences"] == 12
    assert logged[2, 2]["nsentences"] == 8
    assert logged[2, 2]["gnorm"] == pytest.approx(1.5 * logged[1, 4]["gnorm"], rel=1e-3)
