"""Which file a run resumes from, when some are damaged, missing, half written or misplaced."""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairseq_dro.errors import UserError
from fairseq_dro.refusals.missing_restore_file import require_named_files
from fairseq_dro.survival import damaged_checkpoints
from fairseq_dro.survival.checkpoint_files import damage_of, updates_of
from fairseq_dro.survival.damaged_checkpoints import newest_good
from tests.checkpoints import assert_equal, assert_same_training_state, load
from tests.killed_commands import at
from tests.stock_commands import train_command

OPTIONS = {
    "optimization__max_update": 4,
    "checkpoint__save_interval_updates": 1,
    "checkpoint__keep_interval_updates": 2,
    "checkpoint__no_epoch_checkpoints": "true",
}
LAST = "checkpoint_last.pt"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 2 kB that holds 5 updates."""
    path = tmp_path_factory.mktemp("small") / "small.pt"
    write(path, updates=5)
    return path


def write(path: Path, updates: int) -> None:
    state = {
        "model": {"weight": torch.arange(100.0)},
        "optimizer_history": [{"num_updates": updates}],
        "extra_state": {"train_iterator": {"epoch": 1}},
    }
    torch.save(state, path)


def folder_of(tmp_path: Path, *names_and_updates: tuple[str, int]) -> Path:
    """Checkpoints that were written in this order."""
    for second, (name, updates) in enumerate(names_and_updates):
        write(tmp_path / name, updates)
        os.utime(tmp_path / name, (second, second))
    return tmp_path


# --- damage ---------------------------------------------------------------------------------------


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(position=0.0, bit=0)
def test_a_flipped_bit_is_found_or_changes_nothing(small, tmp_path, position, bit):
    content = bytearray(small.read_bytes())
    content[int(position * len(content))] ^= 1 << bit
    flipped = tmp_path / "flipped.pt"
    flipped.write_bytes(content)
    if damage_of(str(flipped)) is None:
        assert_equal(load(flipped), load(small), "state")


def test_a_flipped_bit_of_a_weight_is_found_though_torch_loads_it(small, tmp_path):
    with zipfile.ZipFile(small) as archive:
        weights = next(info for info in archive.infolist() if info.filename.endswith("data/0"))
    content = bytearray(small.read_bytes())
    content[content.index(torch.arange(100.0).numpy().tobytes()) + 399] ^= 1
    flipped = tmp_path / "flipped.pt"
    flipped.write_bytes(content)
    assert not torch.equal(torch.load(flipped)["model"]["weight"], torch.arange(100.0))
    assert damage_of(str(flipped)) == f"the checksum of {weights.filename} in it is wrong"


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_damaged(small, tmp_path, part):
    content = small.read_bytes()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(content[: int(part * len(content))])
    assert damage_of(str(cut)) == ("it is empty" if part == 0 else "it is cut short or overwritten")


@pytest.mark.parametrize("content", [bytes(5_000), b"<html>404</html>", b"PK" * 3_000])
def test_zeros_and_foreign_content_are_damage(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    assert damage_of(str(tmp_path / "x.pt")) == "it is cut short or overwritten"


def test_a_whole_file_is_not_damaged_whatever_its_layout(small, tmp_path):
    assert damage_of(str(small)) is None and updates_of(str(small)) == 5
    torch.save(load(small), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert damage_of(str(tmp_path / "old.pt")) is None


def test_a_file_that_may_not_be_read_is_an_error_and_no_damage(small, monkeypatch):
    def forbidden(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(PermissionError):
        damage_of(str(small))


# --- which one is the newest ----------------------------------------------------------------------


def test_last_is_the_newest_where_nothing_happened(tmp_path):
    folder = folder_of(tmp_path, ("checkpoint_1_4.pt", 4), ("checkpoint_1_5.pt", 5), (LAST, 5))
    assert newest_good(str(folder)) == LAST


def test_a_newer_file_than_last_is_what_a_kill_between_them_left(tmp_path):
    folder = folder_of(tmp_path, ("checkpoint_1_4.pt", 4), (LAST, 4), ("checkpoint_1_5.pt", 5))
    assert newest_good(str(folder)) == "checkpoint_1_5.pt"


def test_an_older_file_copied_over_last_is_taken(tmp_path):
    """By the hand of somebody who wants to go back."""
    folder = folder_of(tmp_path, ("checkpoint_1_4.pt", 4), ("checkpoint_1_5.pt", 5), (LAST, 4))
    assert newest_good(str(folder)) == LAST


def test_a_folder_without_last_has_a_newest_file_all_the_same(tmp_path):
    folder = folder_of(
        tmp_path, ("checkpoint2.pt", 7), ("checkpoint_1_5.pt", 5), ("checkpoint_best.pt", 3),
        ("checkpoint.best_loss_1.2340.pt", 4),
    )
    assert newest_good(str(folder)) == "checkpoint2.pt"


def test_damaged_ones_are_set_aside_one_after_the_other(tmp_path, caplog):
    folder = folder_of(
        tmp_path, ("checkpoint_best.pt", 3), ("checkpoint_1_4.pt", 4), ("checkpoint_1_5.pt", 5),
        (LAST, 5),
    )
    for name in ("checkpoint_1_5.pt", LAST):
        (folder / name).write_bytes((folder / name).read_bytes()[:-50])
    with caplog.at_level(logging.WARNING):
        assert newest_good(str(folder)) == "checkpoint_1_4.pt"
    told = [record.getMessage() for record in caplog.records]
    assert f"{folder}/{LAST} is damaged (it is cut short or overwritten)" in told[0]
    assert "checkpoint_1_5.pt.corrupt" in told[1]
    assert "resuming from checkpoint_1_4.pt (update 4)" in told[2]
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint_best.pt", "checkpoint_1_4.pt", "checkpoint_1_5.pt.corrupt", f"{LAST}.corrupt",
    }


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_afresh_in_silence(tmp_path):
    (tmp_path / LAST).write_bytes(b"")
    for _ in range(2):  # not at the second attempt either
        with pytest.raises(UserError, match=rf"no good checkpoint is left.*{LAST}\.corrupt"):
            newest_good(str(tmp_path))
    (tmp_path / f"{LAST}.corrupt").unlink()
    assert newest_good(str(tmp_path)) is None


def test_only_temporary_files_of_checkpoints_are_removed(tmp_path):
    folder = folder_of(tmp_path, (LAST, 5))
    for name in ("checkpoint_1_6.pt.tmp", "crash.pt.tmp", "notes.tmp", "other.pt.tmp"):
        (folder / name).touch()
    newest_good(str(folder))
    assert {path.name for path in folder.iterdir()} == {LAST, "notes.tmp", "other.pt.tmp"}


def test_the_file_that_a_run_starts_from_is_none_of_its_checkpoints(tmp_path):
    folder = folder_of(tmp_path, ("checkpoint_best.pt", 5))
    assert newest_good(str(folder)) == "checkpoint_best.pt"
    assert newest_good(str(folder), but=[f"{folder}/./checkpoint_best.pt", None]) is None


def test_a_new_run_has_no_checkpoint(tmp_path):
    assert newest_good(str(tmp_path)) is None and newest_good(str(tmp_path / "nowhere")) is None


# --- files asked for by name ----------------------------------------------------------------------


def named(save_dir: Path, **options: Any) -> SimpleNamespace:
    fields = {"restore_file": LAST, "finetune_from_model": None, "continue_once": None}
    return SimpleNamespace(**{**fields, "save_dir": str(save_dir), **options})


@pytest.mark.parametrize("option", ["restore_file", "finetune_from_model", "continue_once"])
def test_a_file_asked_for_by_name_that_does_not_exist_is_an_error(tmp_path, option):
    with pytest.raises(UserError, match=rf"checkpoint\.{option}=nowhere\.pt: there is no file"):
        require_named_files(named(tmp_path, **{option: "nowhere.pt"}))


def test_the_file_probably_meant_is_named(tmp_path):
    folder_of(tmp_path, ("checkpoint_best.pt", 5))
    with pytest.raises(UserError, match=rf"did you mean {tmp_path}/checkpoint_best\.pt"):
        require_named_files(named(tmp_path, restore_file="checkpoint_best.pt"))


def test_what_a_run_was_started_from_may_be_gone_when_it_resumes(tmp_path):
    folder_of(tmp_path, (LAST, 5))
    for option in ("finetune_from_model", "continue_once"):
        require_named_files(named(tmp_path, **{option: "gone.pt"}))


def test_a_file_that_the_run_has_left_behind_is_not_gone_back_to(tmp_path):
    """fairseq takes restore_file at each start: the same command would undo what it had done."""
    folder_of(tmp_path, (LAST, 9), ("checkpoint_1_3.pt", 3), ("checkpoint_2_12.pt", 12))
    with pytest.raises(UserError, match=r"would go back to update 3, .*checkpoint_last\.pt.* 9"):
        require_named_files(named(tmp_path, restore_file=str(tmp_path / "checkpoint_1_3.pt")))
    require_named_files(named(tmp_path, restore_file=str(tmp_path / "checkpoint_2_12.pt")))
    require_named_files(named(tmp_path / "new", restore_file=str(tmp_path / "checkpoint_1_3.pt")))


def test_a_damaged_file_asked_for_by_name_is_refused_and_left_where_it_is(tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"restore_file=.*mine\.pt is damaged \(it is empty\)"):
        damaged_checkpoints._require_whole(str(tmp_path / "mine.pt"))
    assert (tmp_path / "mine.pt").exists()


# --- the training command -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def command(tiny_data: Path, tiny_checkpoint: Path) -> list[str]:
    return train_command(tiny_data, tiny_checkpoint, **OPTIONS)


@pytest.fixture(scope="module")
def whole(command, command_server, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undamaged")
    command_server.run(command, folder)
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_with_a_damaged_last_resumes_from_the_one_before_it(
    tiny_data, tiny_checkpoint, command_server, tmp_path, workers
):
    command = train_command(
        tiny_data, tiny_checkpoint, **OPTIONS,
        distributed_training__distributed_world_size=workers,
        distributed_training__distributed_backend="gloo",
        distributed_training__ddp_backend="legacy_ddp",
    )
    first = command_server.run(command, tmp_path, workers=workers)
    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(checkpoints, tmp_path / "whole")
    for name in (LAST, "checkpoint_1_4.pt"):
        if (checkpoints / name).exists():
            content = bytearray((checkpoints / name).read_bytes())
            content[len(content) // 2] ^= 1
            (checkpoints / name).write_bytes(content)
    again = command_server.run(command, tmp_path, workers=workers)
    assert "@ 3 updates)" in again.stdout and "nothing to do" not in again.stdout, first.stdout
    assert f"{LAST} is damaged (the checksum of" in again.stdout
    assert (checkpoints / f"{LAST}.corrupt").exists()
    assert_same_training_state(checkpoints / LAST, tmp_path / "whole" / LAST)


def test_crash_pt_is_refused_for_resuming_even_under_another_name(
    command, command_server, tmp_path
):
    failed = command_server.run(
        command, tmp_path, die=at("micro_batch_ends", 2, action="EIO"), check=False
    )
    assert failed.returncode == 1
    checkpoints = tmp_path / "checkpoints"
    asked = [*command, f"checkpoint.restore_file={checkpoints}/crash.pt"]
    done = command_server.run(asked, tmp_path, check=False)
    assert done.returncode == 2
    assert f"error: {checkpoints}/crash.pt holds no position in the data and no" in done.stdout
    shutil.copy(checkpoints / "crash.pt", checkpoints / LAST)
    done = command_server.run(command, tmp_path, check=False)
    assert done.returncode == 2 and "holds no position in the data" in done.stdout


def test_a_missing_restore_file_ends_the_command_with_one_sentence(
    command, command_server, tmp_path
):
    done = command_server.run(
        [*command, "checkpoint.restore_file=nowhere.pt"], tmp_path, check=False
    )
    assert done.returncode == 2
    assert done.stdout.strip().splitlines()[-1].startswith(
        f"error: checkpoint.restore_file=nowhere.pt: there is no file at {tmp_path}/nowhere.pt; "
    )
