"""A disk that refuses: the older files stay whole, one sentence says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairseq_dro.errors import UserError
from fairseq_dro.runs.history import append_record
from tests.checkpoints import assert_same_training_state
from tests.killed_commands import at
from tests.stock_commands import train_command

OPTIONS = {
    "optimization__max_update": 4,
    "checkpoint__save_interval_updates": 2,
    "checkpoint__no_epoch_checkpoints": "true",
}
LAST = "checkpoint_last.pt"


@pytest.fixture(scope="module")
def command(tiny_data: Path, tiny_checkpoint: Path) -> list[str]:
    return train_command(tiny_data, tiny_checkpoint, **OPTIONS)


@pytest.fixture(scope="module")
def whole(command, command_server, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("enough_space")
    command_server.run(command, folder)
    return folder / "checkpoints"


@pytest.fixture
def checkpoints(whole: Path, tmp_path: Path) -> Path:
    """The checkpoints of a run folder that was interrupted after update 2."""
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("checkpoint_1_2.pt", LAST):
        (folder / name).write_bytes((whole / "checkpoint_1_2.pt").read_bytes())
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("full_disk_at_open", "No space left on device"),
        ("full_disk_in_mid_write", "No space left on device"),
        ("full_disk_at_fsync", "No space left on device"),
        ("small_files_only", "File too large"),
    ],
)
def test_a_full_disk_ends_in_one_sentence_with_the_older_files_whole(
    command, command_server, checkpoints, hook, reason
):
    """``small_files_only`` is the kernel's own refusal, the others are injected."""
    before = contents(checkpoints)
    done = command_server.run(
        command, checkpoints.parent, check=False, prepare=[f"tests.saving_hooks:{hook}"]
    )
    assert done.returncode == 2
    assert "attempt 2 to write checkpoints/checkpoint_1_4.pt failed" in done.stdout
    sentence = done.stdout.strip().splitlines()[-1]
    assert re.fullmatch(
        rf"error: {checkpoints}/checkpoint_1_4\.pt cannot be written: {reason} \([\d,]+ bytes are "
        r"free there\); the files before it are whole: free some space .*, and run the same "
        r"command again to resume from the newest of them\.",
        sentence,
    ), sentence
    assert contents(checkpoints) == before


def test_the_same_command_resumes_once_there_is_space(
    command, whole, command_server, checkpoints
):
    hooks = ["tests.saving_hooks:small_files_only"]
    assert command_server.run(command, checkpoints.parent, check=False, prepare=hooks).returncode
    assert "@ 2 updates" in command_server.run(command, checkpoints.parent).stdout
    assert_same_training_state(checkpoints / LAST, whole / LAST)


def test_a_passing_error_costs_one_more_attempt(command, whole, command_server, checkpoints):
    done = command_server.run(
        command, checkpoints.parent, die=at("record_is_written", 50, action="EIO"),
        prepare=["tests.saving_hooks:retry_at_once"],
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "attempt 1 to write checkpoints/checkpoint_1_4.pt failed (Input/output error)" in (
        done.stdout
    )
    assert "attempt 2" not in done.stdout
    assert_same_training_state(checkpoints / "checkpoint_1_4.pt", whole / "checkpoint_1_4.pt")
    assert sorted(contents(checkpoints)) == sorted(contents(whole))


def test_what_made_the_run_fail_is_shown_even_if_crash_pt_cannot_be_written(
    command, command_server, checkpoints
):
    done = command_server.run(
        command, checkpoints.parent, die=at("micro_batch_ends", action="EIO"), check=False,
        prepare=["tests.saving_hooks:small_files_only"],
    )
    assert done.returncode == 1
    assert "crash.pt cannot be written: File too large" in done.stdout
    assert "OSError: [Errno 5] Input/output error" in done.stdout
    assert "crash.pt" not in contents(checkpoints)


def test_writing_without_a_temporary_file_is_refused(
    command, command_server, tmp_path
):
    """fairseq itself ends with status 0 and without training where iopath is not installed."""
    asynchronous = [*command, "checkpoint.write_checkpoints_asynchronously=true"]
    done = command_server.run(asynchronous, tmp_path, check=False)
    assert done.returncode == 2
    assert "error: checkpoint.write_checkpoints_asynchronously=true is refused" in done.stdout


def test_a_history_that_cannot_be_written_is_a_sentence_too():
    with pytest.raises(UserError, match="/dev/full cannot be written: No space left.* to resume"):
        append_record(Path("/dev/full"), {"update": 1})
