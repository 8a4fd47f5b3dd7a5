"""SIGTERM: a checkpoint at the next update, without a validation, and nothing lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairseq_dro.runs.history import read_records
from fairseq_dro.survival.stop_requests import EXIT_STATUS
from tests.checkpoints import assert_same_training_state, load
from tests.killed_commands import Moment, at
from tests.stock_commands import BIN, environment, run, train_command

OPTIONS = {
    "optimization__max_update": 16,
    "task__batch_seconds": 20,
    "checkpoint__save_interval_updates": 3,
    "checkpoint__keep_interval_updates": 2,
    "dataset__disable_validation": "false",
    "criterion__step_size": 0.002,
}
TWO_WORKERS = {
    "distributed_training__distributed_world_size": 2,
    "distributed_training__distributed_backend": "gloo",
    "distributed_training__ddp_backend": "legacy_ddp",
}


@pytest.fixture(scope="module")
def command(tiny_data: Path, tiny_checkpoint: Path) -> list[str]:
    return train_command(tiny_data, tiny_checkpoint, **OPTIONS)


@pytest.fixture(scope="module")
def whole(command, command_server, tmp_path_factory) -> Path:
    """The run folder of the command when nobody stops it."""
    folder = tmp_path_factory.mktemp("not_stopped")
    command_server.run(command, folder)
    return folder


def updates_in(folder: Path) -> int:
    return load(folder / "checkpoints/checkpoint_last.pt")["optimizer_history"][-1]["num_updates"]


def assert_same_end(folder: Path, whole: Path) -> None:
    """Same files, states, validations and moves of q."""
    names = sorted(path.name for path in (whole / "checkpoints").iterdir())
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == names
    for name in names:
        assert_same_training_state(folder / "checkpoints" / name, whole / "checkpoints" / name)
    for file in ("history.jsonl", "group_weights.jsonl"):
        assert read_records(folder / file) == read_records(whole / file)


def test_sigterm_saves_at_the_next_update_and_the_same_command_resumes(
    command, whole, command_server, tmp_path
):
    """Stopped while it computes, validates, saves, at the end of an epoch and twice in a row."""
    epoch = load(whole / "checkpoints/checkpoint1.pt")["optimizer_history"][-1]["num_updates"]
    assert 4 < epoch < 8  # so that the moments below lie where they should
    sigterm = {"action": "SIGTERM"}
    for moment, stopped_at, validation_is_due in (
        (at("micro_batch_ends", 2, **sigterm), 2, False),
        (at("update_ends", 1, **sigterm), 3, True),
        (Moment("fairseq.trainer", "Trainer.valid_step", "before", 1, **sigterm), 3, True),
        (at("record_is_written", 10, **sigterm), 4, False),
        (at("update_ends", epoch - 4, **sigterm), epoch, True),
        (at("update_ends", 1, action="SIGUSR1"), epoch + 1, epoch + 1 in (6, 9)),
    ):
        done = command_server.run(command, tmp_path, die=moment)
        assert done.returncode == EXIT_STATUS == 143, done.stdout[-3000:]
        assert updates_in(tmp_path) == stopped_at, moment
        words = ", before its validation" if validation_is_due else ""
        told = f"stopped as asked at update {stopped_at}{words}; the same command resumes from here"
        assert told in done.stdout
    command_server.run(command, tmp_path)
    assert_same_end(tmp_path, whole)


def test_a_signal_at_the_last_update_leaves_only_its_validation_to_do(
    command, whole, command_server, tmp_path
):
    done = command_server.run(command, tmp_path, die=at("update_ends", 16, action="SIGTERM"))
    assert done.returncode == EXIT_STATUS and updates_in(tmp_path) == 16
    again = command_server.run(command, tmp_path)
    assert "validating at update 16, as was due" in again.stdout
    assert "nothing to do" in again.stdout
    assert_same_end(tmp_path, whole)


def test_one_worker_that_is_asked_stops_all_at_the_same_update(
    tiny_data, tiny_checkpoint, command_server, tmp_path
):
    command = train_command(
        tiny_data, tiny_checkpoint, **OPTIONS | TWO_WORKERS | {"optimization__max_update": 4}
    )
    command_server.run(command, tmp_path / "whole", workers=2)
    stopped = tmp_path / "stopped"
    asked = at("micro_batch_ends", 2, action="SIGTERM", worker=1)
    done = command_server.run(command, stopped, workers=2, die=asked)
    assert done.returncode == EXIT_STATUS, done.stdout[-3000:]
    assert updates_in(stopped) == 2
    validating = Moment(
        "fairseq.trainer", "Trainer.valid_step", "before", 1, action="SIGTERM", worker=1
    )
    done = command_server.run(command, stopped, workers=2, die=validating)
    assert done.returncode == EXIT_STATUS and updates_in(stopped) == 3
    command_server.run(command, stopped, workers=2)
    assert_same_end(stopped, tmp_path / "whole")


def test_loader_processes_outlive_a_signal_to_all_processes(
    tiny_data, tiny_checkpoint, command_server, tmp_path
):
    """It comes while update 1 is saved, and update 2 needs more batches than are read ahead."""
    options = {
        "optimization__update_freq": "[8]", "task__batch_seconds": 5,
        "checkpoint__save_interval_updates": 1, "dataset__disable_validation": "true",
        "dataset__num_workers": 1, "dataset__data_buffer_size": 1,
    }
    done = command_server.run(
        train_command(tiny_data, tiny_checkpoint, **OPTIONS | options), tmp_path, check=False,
        prepare=["tests.saving_hooks:sigterm_to_all_processes_in_the_first_saving"],
    )
    assert done.returncode == EXIT_STATUS, done.stdout[-3000:]
    assert updates_in(tmp_path) == 2


def test_the_process_that_only_waits_for_the_workers_passes_the_signal_on(
    command, command_server, tmp_path
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = command_server.run(
        [*command, f"distributed_training.distributed_init_method=tcp://127.0.0.1:{port}",
         "distributed_training.distributed_backend=gloo", "optimization.max_update=1000"],
        tmp_path, check=False, prepare=["tests.saving_hooks:one_pretended_gpu"],
    )
    assert done.returncode == EXIT_STATUS, done.stdout[-3000:]
    assert 0 < updates_in(tmp_path) < 1000


def test_torchrun_passes_sigterm_on_and_the_run_is_saved(tiny_data, tiny_checkpoint, tmp_path):
    """torchrun waits 30 s for its workers and then ends with status 1, whatever theirs is."""
    options = OPTIONS | TWO_WORKERS | {"optimization__max_update": 10_000}
    command = train_command(tiny_data, tiny_checkpoint, **options)
    launcher = [sys.executable, str(BIN / "torchrun"), "--standalone", "--nproc_per_node=2"]
    with open(tmp_path / "output", "w") as output:
        agent = subprocess.Popen(
            [*launcher, *command], cwd=tmp_path, env=environment(), stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "group_weights.jsonl").exists():
                assert agent.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(timeout=60) == 1
        finally:
            if agent.poll() is None:
                os.killpg(agent.pid, signal.SIGKILL)
    text = (tmp_path / "output").read_text()
    stopped_at = text.split("stopped as asked at update ")[1].split()[0].rstrip(",;")
    assert updates_in(tmp_path) == int(stopped_at)


def test_a_finished_run_ends_though_its_loader_processes_hear_no_signal(
    tiny_data, tiny_checkpoint, tmp_path
):
    """multiprocessing ends them at exit by SIGTERM, and waits until they are gone."""
    command = train_command(
        tiny_data, tiny_checkpoint, dataset__num_workers=2, optimization__max_update=2
    )
    done = run(command, tmp_path, timeout=60)
    assert "done training" in done.stdout
