"""What is said of a run: finished, stopped or going, from what it leaves behind."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict

import pytest

from fairseq_dro.report.report import make_report, read_report_data
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.runs.progress import Progress, write_progress
from fairseq_dro.runs.run_state import state_of
from fairseq_dro.runs.training_run import read_training_run
from fairseq_dro.survival.folder_lock import take
from fairseq_dro.survival.lock_file import LOCK_FILE
from tests.planted_runs import plant_training, write_configuration


def test_a_run_is_still_going_until_its_files_are_silent(tmp_path):
    run = read_training_run(plant_training(tmp_path / "run", ["deu", "kat"], updates=200))
    assert state_of(run) == "finished"
    run.log.finished, run.config["optimization"]["max_update"] = False, 400
    written = (tmp_path / "run" / "history.jsonl").stat().st_mtime
    assert state_of(run, written + 60) == "going (last sign of life 60 s ago)"
    told = "stopped at update 200 (no checkpoint was saved: the same command starts over)"
    assert state_of(run, written + 3600) == told


def test_a_start_that_made_no_update_changes_nothing_that_is_said_of_the_run(tmp_path):
    folder = plant_training(tmp_path / "run", ["deu", "kat"], updates=200)
    begin = "[2026-03-01 10:00:00,000][fairseq_cli.train][INFO] - {'_name': None, 'common': {}, "
    with open(folder / "hydra_train.log", "a", encoding="utf-8") as log:
        log.write(begin + "'optimization': {'max_update': 400}}\n")
        log.write("[2026-03-01 10:00:09,000][fairseq.trainer][INFO] - Preparing to load\n")
    before = read_training_run(plant_training(tmp_path / "other", ["deu", "kat"], updates=200))
    write_configuration(folder, objective="ctc_dro", updates=400)
    run = read_training_run(folder)
    assert run.log.waits and not before.log.waits
    for name in ("n_starts", "wall_seconds", "finished", "last_update"):
        assert getattr(run.log, name) == getattr(before.log, name)
    assert state_of(run) == state_of(before) == "finished"


def test_a_start_that_trains_again_takes_its_own_plan_and_is_not_finished(tmp_path):
    trains = "[2026-03-01 10:00:09,000][fairseq_cli.train][INFO] - Start iterating over samples"
    folder = plant_training(tmp_path / "run", ["deu", "kat"], updates=200)
    begin = "[2026-03-01 10:00:00,000][fairseq_cli.train][INFO] - {'_name': None, 'common': {}, "
    with open(folder / "hydra_train.log", "a", encoding="utf-8") as log:
        log.write(begin + "'optimization': {'max_update': 400}}\n")
        log.write(f"{trains}\n")
    run = read_training_run(folder)
    assert (run.planned_updates, run.log.n_starts) == (400, 2)
    assert state_of(run).startswith("going (last sign of life ")


def test_a_first_start_that_has_made_no_update_yet_is_going_until_its_log_is_silent(tmp_path):
    log = tmp_path / "hydra_train.log"
    log.write_text("[2026-03-01 10:00:00,000][fairseq_cli.train][INFO] - {'_name': None, 'common'"
                   ": {}, 'optimization': {'max_update': 400}}\n")  # fmt: skip
    run, written = read_training_run(tmp_path), log.stat().st_mtime
    assert state_of(run, written + 5) == "going (last sign of life 5 s ago)"
    told = "stopped at update 0 (no checkpoint was saved: the same command starts over)"
    assert state_of(run, written + 3600) == told
    assert f" · 0 updates · {state_of(run)[:5]}" in f" · {make_report(ReportData(run)).subtitle}"


def test_a_run_that_was_asked_to_stop_says_so_at_once_and_how_it_resumes(tmp_path):
    folder = plant_training(tmp_path / "run", ["deu", "kat"], updates=200)
    log = (folder / "hydra_train.log").read_text(encoding="utf-8").splitlines()
    log[-1] = (
        "[2026-01-02 04:00:00,000][fairseq_dro.survival.preemption][WARNING] - stopped as asked at "
        "update 200, before its validation; the same command resumes from here"
    )
    (folder / "hydra_train.log").write_text("\n".join(log) + "\n", encoding="utf-8")
    run = read_training_run(folder)
    assert state_of(run) == "stopped at update 200 (the same command resumes from here)"


@pytest.fixture
def killed(tmp_path):
    """A run of this version, of 400 updates, whose last sign of life was at update 200."""
    folder = plant_training(tmp_path / "run", ["deu", "kat"], updates=200)
    write_configuration(folder, objective="ctc_dro", updates=400)
    log = (folder / "hydra_train.log").read_text(encoding="utf-8").splitlines()
    (folder / "hydra_train.log").write_text("\n".join(log[:-1]) + "\n", encoding="utf-8")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "checkpoint_last.pt").touch()
    (folder / "run.jsonl").write_text(json.dumps({"lock": LOCK_FILE}), encoding="utf-8")
    return folder


def test_the_lock_tells_a_dead_run_from_one_that_is_slow(killed):
    written = (killed / "history.jsonl").stat().st_mtime
    stopped = "stopped at update 200 (the same command resumes from checkpoint_last.pt)"

    def state(seconds):
        return state_of(read_training_run(killed), written + seconds)

    lock = take(killed, named="run", instead="another")
    assert state(7200) == "going (last sign of life 2.0 h ago)"
    lock.release()
    assert state(5) == stopped
    elsewhere = {**asdict(lock.holder), "machine": "another", "host": "node7"}
    (killed / LOCK_FILE).write_text(json.dumps(elsewhere))
    assert state(7200).startswith("going")
    os.utime(killed / LOCK_FILE, (0, time.time() - 600))
    assert state(5) == stopped
    (killed / LOCK_FILE).unlink()
    (killed / "run.jsonl").unlink()  # of a version without a lock
    assert state(5) == "going (last sign of life 5 s ago)" and state(7200) == stopped


@pytest.mark.parametrize(
    ("saved", "says"),
    [(150, "resumes from update 150 and makes 64 updates again"),
     (213, "resumes from update 213 and makes 1 update again"), (214, "resumes from update 214")],
)  # fmt: skip
def test_a_killed_run_says_from_where_it_resumes_and_what_is_made_again(killed, saved, says):
    write_progress(killed, Progress(update=214, of=400))
    with open(killed / "hydra_train.log", "a", encoding="utf-8") as log:
        for update in (100, saved):
            log.write(
                "[2026-01-02 04:00:00,000][fairseq.checkpoint_utils][INFO] - Saved checkpoint "
                f"checkpoints/checkpoint_3_{update}.pt (epoch 3 @ {update} updates, score 12.3) "
                "(writing took 0.4 seconds)\n"
            )
    assert state_of(read_training_run(killed)) == f"stopped at update 214 (the same command {says})"


def test_a_folder_into_which_two_commands_wrote_is_an_alarm_of_its_report(tmp_path):
    folder = plant_training(tmp_path / "run", ["deu", "kat"], updates=200)
    assert not make_report(read_report_data(folder)).alarms
    lines = (folder / "history.jsonl").read_text().splitlines()
    (folder / "history.jsonl").write_text("".join(f"{line}\n{line}\n" for line in lines))
    assert "two writers" in str(make_report(read_report_data(folder)).alarms)
