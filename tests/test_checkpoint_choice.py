"""Which checkpoint each criterion chooses, how lucky it was, and the test numbers side by side."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path

import pytest

from fairseq_dro.cli import main
from fairseq_dro.report.checkpoints.choice import CRITERIA, Choice, choices, saved_files
from fairseq_dro.report.checkpoints.decoded_choices import decoded_choices
from fairseq_dro.runs.training_run import read_training_run
from tests.checkpoints import load
from tests.compared_runs import plant_config, plant_history, utterances, write_records
from tests.stock_commands import train_command

# deu, ell, kat at five validations: every criterion has its own favourite
CER = {
    100: (0.50, 0.50, 0.50),
    200: (0.10, 0.20, 0.45),  # mean 0.250, worst 0.45
    300: (0.30, 0.30, 0.31),  # mean 0.303, worst 0.31
    400: (0.20, 0.20, 0.32),  # mean 0.240, worst 0.32
    500: (0.25, 0.25, 0.33),
}
LOSS = {100: 50.0, 200: 20.0, 300: 30.0, 400: 30.0, 500: 30.0}


def records(curve: dict[int, tuple[float, ...]] = CER, **more) -> list[dict]:
    made = []
    for update, rates in curve.items():
        rows = {
            code: {"q": 1 / 3, "cer": rate, "n_utterances": 7}
            for code, rate in zip(("deu", "ell", "kat"), rates)
        }
        over = {"mean_cer": sum(rates) / 3, "worst_cer": max(rates), "cvar_cer": max(rates)}
        told = {"update": update, "loss_nats": LOSS.get(update), **over}
        made.append({**told, "languages": rows, **more})
    return made


def chosen(folder: Path) -> dict[str, Choice]:
    return {one.criterion: one for one in choices(read_training_run(folder))}


def plant_log(folder: Path, saved: dict[int, str]) -> None:
    lines = [
        f"[2026-01-01 10:00:00,000][fairseq.checkpoint_utils][INFO] - Saved checkpoint "
        f"checkpoints/{name} (epoch 1 @ {update} updates, score 1.0) (writing took 0.1 seconds)"
        for update, name in saved.items()
    ]
    (folder / "hydra_train.log").write_text("\n".join(lines) + "\n", encoding="utf-8")


def touch(folder: Path, *names: str) -> None:
    (folder / "checkpoints").mkdir(exist_ok=True)
    for name in names:
        (folder / "checkpoints" / name).write_bytes(b"")


def test_each_criterion_chooses_its_own_lowest(tmp_path):
    plant_history(tmp_path, records())
    found = chosen(tmp_path)
    assert {name: one.update for name, one in found.items()} == {
        "loss": 200, "mean_cer": 400, "worst_cer": 300, "cvar_cer": 300,
    }  # fmt: skip
    assert found["worst_cer"].value == 0.31
    assert found["worst_cer"].others["mean_cer"] == pytest.approx(0.91 / 3)
    assert math.isnan(found["worst_cer"].others["cer"])  # the history does not tell


def test_numbers_that_the_history_holds_are_taken_as_they_are(tmp_path):
    plant_history(tmp_path, records(cvar_cer=0.7, mean_cer=0.6, cer=0.5))
    found = chosen(tmp_path)
    assert {found[name].value for name in ("cvar_cer", "mean_cer", "cer")} == {0.7, 0.6, 0.5}


def test_of_equals_in_the_digits_that_fairseq_logs_the_later_is_chosen(tmp_path):
    cer = {100: (0.3, 0.3, 0.3), 200: (0.3, 0.3, 0.300002), 300: (0.3, 0.3, 0.30002)}
    plant_history(tmp_path, records(cer))
    assert chosen(tmp_path)["worst_cer"].update == 200


def test_only_validations_with_a_saved_checkpoint_can_be_chosen(tmp_path):
    plant_history(tmp_path, records())
    plant_log(tmp_path, {200: "checkpoint_1_200.pt", 400: "checkpoint_1_400.pt"})
    found = chosen(tmp_path)
    assert found["worst_cer"].update == 400 and found["loss"].update == 200


def test_the_file_of_a_choice_is_the_one_that_still_holds_it(tmp_path):
    plant_history(tmp_path, records())
    plant_config(tmp_path, {"checkpoint": {"best_checkpoint_metric": "worst_cer"}})
    saved = {update: f"checkpoint_1_{update}.pt" for update in CER}
    plant_log(tmp_path, saved | {400: "checkpoint2.pt"})
    assert all(one.path is None for one in chosen(tmp_path).values())
    touch(tmp_path, "checkpoint_best.pt", "checkpoint_last.pt", "checkpoint2.pt")
    found = chosen(tmp_path)
    assert found["worst_cer"].path.name == "checkpoint_best.pt"
    assert found["mean_cer"].path.name == "checkpoint2.pt"
    assert found["loss"].path is None
    touch(tmp_path, "checkpoint_1_200.pt")
    assert chosen(tmp_path)["loss"].path.name == "checkpoint_1_200.pt"


def test_a_lower_validation_that_was_not_saved_is_named(tmp_path, capsys):
    plant_history(tmp_path, records())
    plant_log(tmp_path, {200: "checkpoint_1_200.pt", 500: "checkpoint_1_500.pt"})
    missed = {name: one.missed for name, one in chosen(tmp_path).items()}
    assert missed["loss"] is None and missed["worst_cer"] == (300, 0.31)
    assert missed["mean_cer"] == (400, pytest.approx(0.24))
    assert main(["checkpoints", str(tmp_path)]) == 0
    assert "worst_cer was lower at update 300 (31.0)" in capsys.readouterr().out


def test_a_choice_at_the_end_of_the_history_is_said_to_be_one(tmp_path, capsys):
    cer = {update: (20 / update,) * 3 for update in (100, 200, 300, 400, 500)}
    plant_history(tmp_path, records(cer))
    assert chosen(tmp_path)["mean_cer"].at_the_end
    assert main(["checkpoints", str(tmp_path)]) == 0
    assert "mean_cer, worst_cer, cvar_cer are lowest at the last validation" in (
        capsys.readouterr().out
    )


def plant_decoded(run: Path) -> None:
    """kat: 60 % in decode_test, 30 % as worst_cer chose."""
    for folder, kat in (("decode_test", 126), ("decode_test_worst_cer", 63)):
        texts = {"deu": utterances("deu", 10, 21), "kat": utterances("kat", 10, kat)}
        write_records(run / folder, texts)


def test_decoded_checkpoints_stand_side_by_side_with_their_paired_differences(tmp_path):
    plant_history(tmp_path, records())
    plant_decoded(tmp_path)
    decoded = decoded_choices(read_training_run(tmp_path))
    assert [arm.name for arm in decoded.arms] == ["decode_test", "decode_test_worst_cer"]
    first, second = (decoded.measures[arm.name] for arm in decoded.arms)
    assert decoded.worst_groups("decode_test_worst_cer") == ["kat"]
    assert first["worst"] == pytest.approx(0.6) and second["mean"] == pytest.approx(0.2)
    worst = decoded.differences[0].measures["worst"]
    assert worst.estimate == pytest.approx(-0.3) and worst.low < -0.3 < worst.high < 0


def test_a_folder_that_holds_another_checkpoint_is_not_taken_for_the_choice(tmp_path, capsys):
    """The run continued after decoding, and the criterion now chooses a later update."""
    plant_history(tmp_path, records())
    plant_decoded(tmp_path)
    touch(tmp_path, "checkpoint_1_300.pt")
    for update, test in ((300, "30.0"), (200, "–")):
        scores = tmp_path / "decode_test_worst_cer" / "scores.json"
        scores.write_text(json.dumps({"format": 1, "decoded": {"update": update}}))
        assert main(["checkpoints", str(tmp_path)]) == 0
        said = capsys.readouterr().out
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines()]
        assert next(row for row in rows if row[0] == "worst_cer")[-1] == test
        assert next(row for row in rows if row[0] == "decode_test_worst_cer")[1] == str(update)
        assert ("checkpoint_1_300.pt" in said) is (update != 300)


def test_the_command_prints_choices_commands_and_test_numbers(tmp_path, capsys):
    plant_history(tmp_path, records())
    plant_decoded(tmp_path)
    touch(tmp_path, "checkpoint_1_200.pt", "checkpoint_1_300.pt")
    assert main(["checkpoints", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines()]
    worst = next(row for row in rows if row[0] == "worst_cer")
    assert worst[1:3] == ["300", "31.0"] and worst[-1] == "30.0"
    assert next(row for row in rows if row[0] == "loss")[-1] == "–"
    path = tmp_path / "checkpoints" / "checkpoint_1_200.pt"
    assert (
        f"\nfairseq-dro infer {path} --split test "
        f"decoding.results_path={tmp_path / 'decode_test_loss'}\n"
    ) in said
    assert "update 400 (mean_cer) was not kept" in said
    assert "checkpoint_1_300" not in said  # decoded already, as decode_test_worst_cer
    numbers = next(row for row in rows if row[0] == "decode_test_worst_cer")
    assert numbers[3].startswith("30.0 (-")


def test_a_run_without_history_and_folders_of_other_tests_are_refused(tmp_path, capsys):
    plant_decoded(tmp_path)
    assert main(["checkpoints", str(tmp_path)]) == 2
    assert "has no history.jsonl" in capsys.readouterr().err
    plant_history(tmp_path, records())
    write_records(tmp_path / "decode_test_loss", {"deu": utterances("deu", 3, 0)})
    assert main(["checkpoints", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "decode_test_loss were not decoded on the same utterances" in said


def test_the_choices_are_those_of_fairseq(command_server, tiny_data, tiny_checkpoint, tmp_path):
    """A real run: its checkpoint_best.pt is the update that our rule names, and all are found."""
    command = train_command(
        tiny_data, tiny_checkpoint, dataset__disable_validation="false",
        dataset__validate_interval_updates=1, optimization__max_update=4,
        checkpoint__save_interval_updates=2, checkpoint__best_checkpoint_metric="worst_cer",
        checkpoint__keep_interval_updates=-1, hydra__output_subdir=".hydra",
    )  # fmt: skip
    command_server.run(command, tmp_path)
    run = read_training_run(tmp_path)
    assert [record["update"] for record in run.validations] == [1, 2, 3, 4]
    assert sorted(saved_files(tmp_path / "hydra_train.log")) == [2, 4]
    found = {one.criterion: one for one in choices(run)}
    assert list(found) == list(CRITERIA) and all(one.path.exists() for one in found.values())
    best = load(tmp_path / "checkpoints" / "checkpoint_best.pt")
    assert best["optimizer_history"][-1]["num_updates"] == found["worst_cer"].update
    kept = load(found["worst_cer"].path)
    assert kept["optimizer_history"][-1]["num_updates"] == found["worst_cer"].update


def test_a_checkpoint_in_a_folder_with_a_space_is_found_and_its_command_can_be_typed(
    tmp_path, capsys
):
    folder = tmp_path / "my run"
    plant_history(folder, records())
    plant_log(folder, {400: "checkpoint_1_400.pt"})
    log = folder / "hydra_train.log"
    log.write_text(log.read_text().replace("checkpoints/", f"{folder}/checkpoints/"))
    touch(folder, "checkpoint_1_400.pt")
    assert saved_files(log) == {400: "checkpoint_1_400.pt"}
    assert {one.update for one in chosen(folder).values()} == {400}
    assert main(["checkpoints", str(folder)]) == 0
    command = next(line for line in capsys.readouterr().out.splitlines() if "infer" in line)
    words = shlex.split(command)
    assert str(folder / "checkpoints" / "checkpoint_1_400.pt") in words
    assert words[-1].startswith(f'decoding.results_path="{folder}/decode_test_')


def test_one_validation_is_one_validation(tmp_path, capsys):
    plant_history(tmp_path, records({100: CER[100]}))
    assert main(["checkpoints", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert ", 1 validation; " in said and "(21 utterances)" in said
