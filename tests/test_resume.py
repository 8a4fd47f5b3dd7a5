"""Law 4: a run that was killed and started again ends as an uninterrupted one, with its q."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from fairseq_dro.report.history import read_records
from tests.checkpoints import assert_same_training_state, load
from tests.stock_commands import environment, run, train_command

OPTIONS = {
    "optimization__max_update": 40,
    "optimization__update_freq": "[2]",
    "checkpoint__save_interval_updates": 3,
    "checkpoint__keep_interval_updates": 2,
    "checkpoint__no_epoch_checkpoints": "true",
    "dataset__disable_validation": "false",
    "criterion__step_size": 0.002,
}


def kill_after_a_save(command: list[str], folder: Path, update: int) -> None:
    """SIGKILL the process group once it has saved at ``update`` or later and gone on."""
    folder.mkdir(parents=True)
    output = folder / "killed.log"
    with open(output, "w") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=stream, stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None:
            saved, _, since = output.read_text().rpartition("Saved checkpoint")
            if saved.count("Saved checkpoint") >= update // 3 and '"num_updates"' in since:
                break
            time.sleep(0.02)
        assert process.poll() is None, "ended before it could be killed:\n" + output.read_text()
        process.send_signal(signal.SIGKILL)
        process.wait()


def q_of_every_move(folder: Path) -> list[tuple[int, dict[str, float]]]:
    return [(r["update"], r["q"]) for r in read_records(folder / "group_weights.jsonl")]


def test_q_survives_a_kill(tiny_data, tiny_checkpoint, tmp_path):
    command = train_command(tiny_data, tiny_checkpoint, **OPTIONS)
    run(command, tmp_path / "whole")
    kill_after_a_save(command, tmp_path / "killed", update=14)
    at_kill = load(tmp_path / "killed/checkpoints/checkpoint_last.pt")["extra_state"]
    assert 0 < at_kill["train_iterator"]["group_dro"]["n_moves"]
    run(command, tmp_path / "killed")
    assert q_of_every_move(tmp_path / "killed") == q_of_every_move(tmp_path / "whole")
    assert len(q_of_every_move(tmp_path / "whole")) > 10
    assert_same_training_state(
        tmp_path / "killed/checkpoints/checkpoint_last.pt",
        tmp_path / "whole/checkpoints/checkpoint_last.pt",
    )


def test_reset_dataloader_restarts_q_and_says_so_loudly(tiny_data, tiny_checkpoint, tmp_path):
    options = OPTIONS | {"optimization__max_update": 12}
    run(train_command(tiny_data, tiny_checkpoint, **options), tmp_path)
    again = run(
        train_command(
            tiny_data, tiny_checkpoint, checkpoint__reset_dataloader="true",
            **options | {"optimization__max_update": 13},
        ),
        tmp_path,
    )
    assert "THE GROUP WEIGHTS q START AFRESH" in again.stdout
    state = load(tmp_path / "checkpoints/checkpoint_last.pt")["extra_state"]["train_iterator"]
    assert state["group_dro"]["n_moves"] <= 1


@pytest.mark.parametrize("first", ["ctc", "group_dro_ctc"])
def test_an_erm_run_can_be_the_start_of_ctc_dro(tiny_data, tiny_checkpoint, tmp_path, first):
    erm = {"criterion___name": first, "optimization__max_update": 4}
    command = train_command(tiny_data, tiny_checkpoint, **erm)
    own = ("objective", "step_size", "smoothing")
    if first == "ctc":
        command = [a for a in command if not a.startswith(tuple(f"criterion.{o}=" for o in own))]
    else:
        command = [a.replace("objective=ctc_dro", "objective=erm") for a in command]
    run(command, tmp_path / "erm")
    warm = run(
        train_command(
            tiny_data, tiny_checkpoint,
            checkpoint__finetune_from_model=tmp_path / "erm/checkpoints/checkpoint_last.pt",
            optimization__max_update=3,
        ),
        tmp_path / "dro",
    )
    assert "loading pretrained model" in warm.stdout
    saved = load(tmp_path / "dro/checkpoints/checkpoint_last.pt")
    assert saved["optimizer_history"][-1]["num_updates"] == 3
    assert saved["extra_state"]["train_iterator"]["group_dro"]["groups"] == ["deu", "ell", "fra"]


def test_a_finished_run_started_again_stays_as_it_is(tiny_data, tiny_checkpoint, tmp_path):
    command = train_command(tiny_data, tiny_checkpoint, optimization__max_update=3)
    run(command, tmp_path)
    last = tmp_path / "checkpoints/checkpoint_last.pt"
    before = last.read_bytes()
    assert "nothing to do" in run(command, tmp_path).stdout
    assert last.read_bytes() == before


def test_stock_fairseq_trains_a_finished_run_further(tiny_data, tiny_checkpoint, tmp_path):
    """What compat/finished_run.py answers; red once it can be deleted."""
    command = train_command(tiny_data, tiny_checkpoint, optimization__max_update=3)
    for _ in range(2):
        run(command, tmp_path, FAIRSEQ_DRO_COMPAT="-finished_run")
    last = load(tmp_path / "checkpoints/checkpoint_last.pt")
    assert last["optimizer_history"][-1]["num_updates"] == 4
