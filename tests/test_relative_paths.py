"""Paths on the command line are relative to the folder in which it was typed."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from fairseq_dro.compat import relative_paths
from tests.stock_commands import stock_train_command, train_command


@pytest.fixture
def command(tmp_path, tiny_data, tiny_checkpoint):
    """Data and model with relative names."""
    return train_command(*named_here(tmp_path, tiny_data, tiny_checkpoint), **ONE_UPDATE)


ONE_UPDATE = {"optimization__max_update": "1", "hydra__run__dir": "a/run/folder"}


def named_here(folder, data, checkpoint):
    (folder / "data").symlink_to(data)
    shutil.copy(checkpoint, folder / "tiny.pt")
    return "data", "tiny.pt"


def test_a_path_is_relative_to_where_it_was_typed(tmp_path, command, command_server):
    command_server.run(command, tmp_path)
    assert (tmp_path / "a" / "run" / "folder" / "checkpoints" / "checkpoint_last.pt").is_file()
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("compat", ["1", "-relative_paths"])
def test_fairseq_looks_in_the_run_folder_and_so_do_its_own_tasks(
    tmp_path, tiny_data, tiny_checkpoint, compat, command_server
):
    command = stock_train_command(
        *named_here(tmp_path, tiny_data, tiny_checkpoint), **ONE_UPDATE
    )
    done = command_server.run(command, tmp_path, check=False, FAIRSEQ_DRO_COMPAT=compat)
    assert done.returncode != 0
    assert "FileNotFoundError: [Errno 2] No such file or directory: 'data/dict.ltr.txt'" in (
        done.stdout
    )


def test_a_user_dir_that_is_imported_late_is_in_time(tmp_path, command, command_server):
    late = tmp_path / "late"
    late.mkdir()
    code = "from fairseq_dro.compat import relative_paths\n\nrelative_paths.apply()\n"
    (late / "__init__.py").write_text(code, encoding="utf-8")
    command = [*command, f"common.user_dir={late}"]
    command_server.run(command, tmp_path, FAIRSEQ_DRO_COMPAT="-relative_paths")
    assert (tmp_path / "a" / "run" / "folder" / "checkpoints" / "checkpoint_last.pt").is_file()


@pytest.fixture
def typed_in(tmp_path, monkeypatch):
    """A folder as hydra reports it to a job that runs elsewhere."""
    elsewhere = tmp_path / "runs" / "one"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr("hydra.core.hydra_config.HydraConfig.initialized", lambda: True)
    monkeypatch.setattr("hydra.utils.get_original_cwd", lambda: str(tmp_path))
    return tmp_path


def test_only_what_exists_where_it_was_typed_becomes_absolute(typed_in):
    (typed_in / "data").mkdir()
    (typed_in / "model.pt").touch()
    cfg = OmegaConf.create(
        {
            "task": {"data": "data"},
            "model": {"data": "./data", "w2v_path": "../" + typed_in.name + "/model.pt"},
            "checkpoint": {
                "save_dir": "checkpoints",
                "restore_file": "checkpoint_last.pt",
                "finetune_from_model": None,
            },
            "common": {"user_dir": "nowhere"},
        }
    )
    (typed_in / "checkpoints").mkdir()
    (typed_in / "checkpoint_last.pt").touch()
    relative_paths.make_absolute(cfg)
    assert cfg == {
        "task": {"data": str(typed_in / "data")},
        "model": {"data": str(typed_in / "data"), "w2v_path": str(typed_in / "model.pt")},
        "checkpoint": {
            "save_dir": "checkpoints",
            "restore_file": "checkpoint_last.pt",
            "finetune_from_model": None,
        },
        "common": {"user_dir": "nowhere"},
    }


def test_absolute_and_missing_paths_stay_as_they_are(typed_in):
    assert relative_paths.absolute("/etc/../etc") == "/etc"
    assert relative_paths.absolute("not/here.pt") == "not/here.pt"
    cfg = OmegaConf.create({"task": {"data": "???"}, "model": None})
    relative_paths.make_absolute(cfg)
    assert OmegaConf.is_missing(cfg.task, "data")


def test_commands_without_hydra_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert relative_paths.absolute("data") == "data"
    relative_paths.make_absolute(SimpleNamespace(data="data"))
