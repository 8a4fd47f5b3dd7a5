"""What fairseq alone does to the files of a run: red where a module of ``compat`` can go."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fairseq_dro.survival.checkpoint_files import damage_of
from tests.killed_commands import CommandServer, Moment, at
from tests.stock_commands import train_command

OPTIONS = {
    "optimization__max_update": 3,
    "checkpoint__save_interval_updates": 1,
    "checkpoint__no_epoch_checkpoints": "true",
}
OFF = (
    "atomic_saving", "damaged_checkpoints", "missing_restore_file", "crash_checkpoint",
    "preemption", "one_writer",
)


@pytest.fixture(scope="module")
def stock_server() -> Iterator[CommandServer]:
    """As ``command_server``, with fairseq's own handling of its files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRSEQ_DRO_COMPAT", ",".join(f"-{reason}" for reason in OFF))
        server = CommandServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def command(tiny_data: Path, tiny_checkpoint: Path) -> list[str]:
    return train_command(tiny_data, tiny_checkpoint, **OPTIONS)


def test_stock_fairseq_leaves_half_a_copy_and_cannot_resume(command, stock_server, tmp_path):
    copying = Moment("os", "sendfile", "before")
    assert stock_server.run(command, tmp_path, die=copying).returncode == -signal.SIGKILL
    last = tmp_path / "checkpoints/checkpoint_last.pt"
    assert last.stat().st_size == 0 and damage_of(str(last)) == "it is empty"
    again = stock_server.run(command, tmp_path, check=False)
    assert again.returncode != 0 and "is not a complete torch checkpoint" in again.stdout


def test_stock_fairseq_renames_what_a_passing_error_has_spoilt(command, stock_server, tmp_path):
    done = stock_server.run(command, tmp_path, die=at("record_is_written", 50, action="EIO"))
    assert done.returncode == 0
    spoilt = tmp_path / "checkpoints/checkpoint_1_1.pt"
    assert damage_of(str(spoilt)) is not None
    with pytest.raises(RuntimeError):
        torch.load(spoilt)
    assert damage_of(str(tmp_path / "checkpoints/checkpoint_1_2.pt")) is None


def test_stock_fairseq_does_not_sync_what_it_saves(command, stock_server, tmp_path):
    done = stock_server.run(command, tmp_path, die=Moment("os", "fsync", "before"))
    assert done.returncode == 0  # never called


def test_stock_fairseq_passes_over_a_newer_file_than_last(command, stock_server, tmp_path):
    copying = Moment("shutil", "copyfile", "before", argument="checkpoint_last", count=2)
    assert stock_server.run(command, tmp_path, die=copying).returncode == -signal.SIGKILL
    assert (tmp_path / "checkpoints/checkpoint_1_2.pt").exists()
    assert "@ 1 updates)" in stock_server.run(command, tmp_path).stdout


def test_stock_fairseq_starts_afresh_without_the_file_it_was_told_to_restore(
    command, stock_server, tmp_path
):
    asked = [*command, "checkpoint.restore_file=nowhere.pt", "optimization.max_update=1"]
    assert "No existing checkpoint found nowhere.pt" in stock_server.run(asked, tmp_path).stdout


def test_stock_fairseq_resumes_from_crash_pt_at_the_first_epoch(command, stock_server, tmp_path):
    failed = stock_server.run(
        command, tmp_path, die=at("micro_batch_ends", 2, action="EIO"), check=False
    )
    assert failed.returncode == 1
    assert (tmp_path / "checkpoints/crash.pt").exists()
    asked = [*command, f"checkpoint.restore_file={tmp_path}/checkpoints/crash.pt"]
    output = stock_server.run(asked, tmp_path).stdout
    assert "Loaded checkpoint" in output and "(epoch 0 @ 1 updates)" in output


def test_stock_fairseq_dies_of_sigterm_with_nothing_saved(command, stock_server, tmp_path):
    asked = [*command, "checkpoint.save_interval_updates=100"]
    done = stock_server.run(asked, tmp_path, die=at("update_ends", 2, action="SIGTERM"))
    assert done.returncode == -signal.SIGTERM
    assert not os.listdir(tmp_path / "checkpoints")
