"""What is said of a run: finished, stopped or going, from what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from fairseq_dro.report import process
from fairseq_dro.report.process import this_process
from fairseq_dro.report.report import make_report
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.report.run_state import state_of
from fairseq_dro.report.training_run import read_training_run
from tests.planted_runs import plant_training, write_configuration


def test_a_run_is_still_going_until_its_files_are_silent(tmp_path):
    run = read_training_run(plant_training(tmp_path / "run", ["deu", "kat"], updates=200))
    assert state_of(run) == "finished"
    run.log.finished, run.config["optimization"]["max_update"] = False, 400
    written = (tmp_path / "run" / "history.jsonl").stat().st_mtime
    assert state_of(run, written + 60) == "going (last sign of life 60 s ago)"
    told = "stopped at update 200 (there is no checkpoint_last.pt to go on from)"
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
    told = "stopped at update 0 (there is no checkpoint_last.pt to go on from)"
    assert state_of(run, written + 3600) == told
    assert f" · 0 updates · {state_of(run)[:5]}" in f" · {make_report(ReportData(run)).subtitle}"


def test_a_run_that_was_asked_to_stop_says_so_at_once_and_how_it_goes_on(tmp_path):
    folder = plant_training(tmp_path / "run", ["deu", "kat"], updates=200)
    log = (folder / "hydra_train.log").read_text(encoding="utf-8").splitlines()
    log[-1] = (
        "[2026-01-02 04:00:00,000][fairseq_dro.compat.preemption][WARNING] - stopped as asked at "
        "update 200, before its validation; the same command goes on from here"
    )
    (folder / "hydra_train.log").write_text("\n".join(log) + "\n", encoding="utf-8")
    run = read_training_run(folder)
    assert state_of(run) == "stopped at update 200 (the same command goes on from here)"


def test_the_process_that_trained_tells_a_dead_run_from_one_that_is_slow(tmp_path):
    folder = plant_training(tmp_path / "run", ["deu", "kat"], updates=200)
    write_configuration(folder, objective="ctc_dro", updates=400)
    log = (folder / "hydra_train.log").read_text(encoding="utf-8").splitlines()
    (folder / "hydra_train.log").write_text("\n".join(log[:-1]) + "\n", encoding="utf-8")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "checkpoint_last.pt").touch()
    here = this_process()
    written = (folder / "history.jsonl").stat().st_mtime
    dead = {**here, "began": here["began"] - 1}  # of this number now: another one
    stopped = "stopped at update 200 (the same command goes on from checkpoint_last.pt)"
    for recorded, seconds, told in (
        (here, 7200, "going (last sign of life 2.00 h ago)"),
        (dead, 5, stopped),
        ({**dead, "host": "elsewhere"}, 5, "going (last sign of life 5 s ago)"),
        ({**dead, "host": "elsewhere"}, 7200, stopped),
        ({**dead, "namespace": "a container"}, 5, "going (last sign of life 5 s ago)"),
        (None, 5, "going (last sign of life 5 s ago)"),
    ):
        (folder / "run.jsonl").write_text(json.dumps({"process": recorded}), encoding="utf-8")
        assert state_of(read_training_run(folder), written + seconds) == told, recorded


def test_a_process_that_has_ended_is_not_alive_though_nobody_waited_for_it():
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        began = process._began(child.pid)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process.is_alive({**this_process(), "pid": child.pid, "began": began}) is False
    finally:
        child.wait()
    assert process.is_alive(this_process()) is True
