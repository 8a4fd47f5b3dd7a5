"""Law 5: a kill at any moment leaves a good newest checkpoint, and the same command resumes."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
import torch

from fairseq_dro.runs.history import read_records
from fairseq_dro.survival.checkpoint_files import damage_of
from tests.checkpoints import assert_same_training_state, load
from tests.killed_commands import CommandServer, Moment
from tests.saving_hooks import PHASES_FILE
from tests.stock_commands import train_command
from tests.tiny_corpus import write_tiny_corpus

MAX_UPDATE = 30
OPTIONS = {
    "optimization__max_update": MAX_UPDATE,
    "checkpoint__save_interval_updates": 1,
    "checkpoint__keep_interval_updates": 2,
    "checkpoint__no_epoch_checkpoints": "true",
    "dataset__disable_validation": "false",
    "criterion__step_size": 0.002,
    "task__batch_seconds": 4,
    "model__mask_length": 2,
}
KEPT = [f"checkpoint_{name}.pt" for name in ("best", "last")]

# what a process does when it saves, in this order, and dies at
STEPS = {
    "before the temporary file is opened": Moment("builtins", "open", "before", argument=".pt.tmp"),
    "in the middle of writing": Moment(
        "torch._C", "PyTorchFileWriter.write_record", "before", count=50
    ),
    "before fsync": Moment("os", "fsync", "before"),
    "after the rename": Moment("os", "replace", "after", argument="checkpoint_1_"),
    "when best is half copied": Moment("os", "copy_file_range", "before", count=3),
    "after best is renamed": Moment("os", "replace", "after", argument="checkpoint_best.pt"),
    "when last is half copied": Moment("os", "copy_file_range", "after", count=8),
    "before last is renamed": Moment("os", "replace", "before", argument="checkpoint_last.pt"),
    "before an old file is removed": Moment("os", "remove", "before", argument="checkpoint_1_"),
    "after an old file is removed": Moment("os", "remove", "after", argument="checkpoint_1_"),
}


@pytest.fixture(scope="module")
def command(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A training command that saves after each update, with a validation of three utterances."""
    data = write_tiny_corpus(
        tmp_path_factory.mktemp("saving_data"), {"train": 40, "valid": 1}, growth=0
    )
    return train_command(data, tiny_checkpoint, **OPTIONS)


@pytest.fixture(scope="module")
def whole(
    command: list[str], command_server: CommandServer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run folder of the command when nobody kills it."""
    folder = tmp_path_factory.mktemp("whole")
    command_server.run(command, folder)
    return folder


def good_updates(folder: Path) -> dict[str, int]:
    """Updates that each good checkpoint of a run holds; every file under its name must be good."""
    updates = {}
    for path in sorted((folder / "checkpoints").glob("*.pt")):
        assert damage_of(str(path)) is None, path
        updates[path.name] = load(path)["optimizer_history"][-1]["num_updates"]
    return updates


def assert_went_on_from(output: str, updates: int) -> None:
    if updates:
        assert f"@ {updates} updates)" in output.split("Loaded checkpoint", 1)[1].split("\n")[0]
    else:
        assert "Loaded checkpoint" not in output


def assert_same_end(folder: Path, whole: Path) -> None:
    """Same weights, optimizer, q, position and choice of the best; same names; no leftovers."""
    for name in KEPT:
        assert_same_training_state(folder / "checkpoints" / name, whole / "checkpoints" / name)
    assert files_of(folder) == files_of(whole)
    weights = [read_records(run / "group_weights.jsonl") for run in (folder, whole)]
    assert weights[0] == weights[1] and len(weights[0]) > 5


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_a_kill_at_each_step_of_saving_costs_nothing_that_was_saved(
    command, whole, command_server, tmp_path
):
    newest = 0
    for step, moment in STEPS.items():
        died = command_server.run(
            command, tmp_path, die=moment, prepare=["tests.saving_hooks:copy_in_pieces"]
        )
        assert died.returncode == -signal.SIGKILL, f"not killed {step}:\n{died.stdout[-3000:]}"
        assert_went_on_from(died.stdout, newest)
        now = max(good_updates(tmp_path).values(), default=0)
        assert now >= newest, step
        newest = now
    assert_went_on_from(command_server.run(command, tmp_path).stdout, newest)
    assert_same_end(tmp_path, whole)


def test_twenty_kills_at_random_times_end_as_no_kill_at_all(
    command, whole, command_server, tmp_path
):
    """A life has 1.2 s of training at most, saving alone takes 0.8 s.

    ``pytest -rP`` shows what each kill hit.
    """
    phases = []
    newest = 0
    while len(phases) < 20 or in_saving(phases) < 10:
        assert len(phases) < 40, phases
        died = command_server.run(
            command, tmp_path, die=NEVER, KILL_SEED=str(len(phases)),
            prepare=["tests.saving_hooks:die_at_a_random_moment"],
        )
        assert died.returncode == -signal.SIGKILL, died.stdout[-3000:]
        assert_went_on_from(died.stdout, newest)
        newest = max(good_updates(tmp_path).values(), default=0)
        phases.append((tmp_path / PHASES_FILE).read_text().splitlines()[-1])
    for phase, n in Counter(phases).most_common():
        print(f"{n:3d} killed: {phase}")
    assert len(set(phases)) >= 5, phases
    (tmp_path / PHASES_FILE).unlink()
    assert_went_on_from(command_server.run(command, tmp_path).stdout, newest)
    assert_same_end(tmp_path, whole)


def in_saving(phases: list[str]) -> int:
    return sum(phase not in ("starting", "training") for phase in phases)


NEVER = Moment("os", "nice", "before")
"""``die`` for a process that kills itself."""


def test_a_saving_that_a_kill_interrupted_is_done_again(command, whole, command_server, tmp_path):
    """As a kill leaves it: the numbered file is there, its copies to best and last are not."""
    shutil.copytree(whole, tmp_path / "run")
    checkpoints = tmp_path / "run" / "checkpoints"
    (_, older), (updates, newest) = sorted(
        (updates, name) for name, updates in good_updates(whole).items() if name not in KEPT
    )
    state = load(checkpoints / newest)
    state["extra_state"].update(val_loss=0.0, best=0.0)
    torch.save(state, checkpoints / newest)
    for name in KEPT:
        shutil.copy(checkpoints / older, checkpoints / name)
        os.utime(checkpoints / name, (1, 1))
    assert_went_on_from(command_server.run(command, tmp_path / "run").stdout, updates)
    assert_same_training_state(checkpoints / "checkpoint_best.pt", checkpoints / newest)
    assert good_updates(tmp_path / "run")["checkpoint_last.pt"] == MAX_UPDATE


def test_every_name_has_an_inode_of_its_own(whole):
    inodes = [path.stat().st_ino for path in (whole / "checkpoints").iterdir()]
    assert len(set(inodes)) == len(inodes) >= 4


def test_old_files_are_removed_down_to_the_number_asked_for(whole):
    numbered = {name: n for name, n in good_updates(whole).items() if name not in KEPT}
    assert files_of(whole) == sorted([*numbered, *KEPT])
    assert len(numbered) == 2 and min(numbered.values()) >= MAX_UPDATE - 2
