"""q moves in training only, once per successful update, and what is logged is what was summed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairseq_dro.criterions.group_sums import COLUMNS, GROUP_SUMS
from fairseq_dro.dro.rules import GroupDro
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.report.history import append_record, read_records
from fairseq_dro.tasks.group_log import GroupLog
from tests.stock_commands import train_command


def group_log(folder) -> GroupLog:
    state = GroupDroState(["a", "b"], GroupDro(0.1), "every_update")
    log = GroupLog(state, objective="group_dro", folder=str(folder), tensorboard_logdir=None)
    log.update = 1
    return log


def outputs(**columns) -> list[dict]:
    sums = torch.zeros(2, len(COLUMNS), dtype=torch.float64)
    for name, values in columns.items():
        sums[:, COLUMNS.index(name)] = torch.tensor(values, dtype=torch.float64)
    return [{GROUP_SUMS: sums}]


def test_validation_leaves_every_number_of_the_state_alone(tmp_path):
    log = group_log(tmp_path)
    losses = outputs(loss_nats=[3.0, 5.0], n_utterances=[1, 1], n_batches=[1, 1])
    log.reduce(losses, training=True)
    before = log.state.state_dict()
    assert before["n_moves"] == 1
    log.validation.begin("valid")
    for _ in range(3):
        log.reduce(losses, training=False)
    assert log.state.state_dict() == before


def test_a_validation_without_reference_characters_has_no_worst_language(tmp_path):
    log = group_log(tmp_path)
    log.validation.begin("valid")
    log.reduce(outputs(loss_nats=[3.0, 5.0], n_utterances=[1, 1]), training=False)
    log.validation.end({"num_updates": 1}, epoch=1)
    record = read_records(tmp_path / "history.jsonl")[0]
    assert record["worst_language"] is None and record["mean_cer"] is None


def test_losses_left_out_are_named_once(tmp_path, caplog):
    log = group_log(tmp_path)
    for _ in range(2):
        log.reduce(
            outputs(loss_nats=[3.0, 0], n_utterances=[1, 0], n_not_finite=[0, 2]), training=True
        )
    assert caplog.text.count("2 utterances of this update (groups: b) had a loss that is not") == 1
    assert log.state.last_loss[0] == 3 and np.isnan(log.state.last_loss[1]), "b was never seen"


def test_lines_of_a_run_that_began_anew_do_not_mix_with_the_old_ones(tmp_path):
    path = tmp_path / "history.jsonl"
    for update, objective in ((100, "erm"), (200, "erm"), (300, "erm"), (100, "ctc_dro")):
        append_record(path, {"update": update, "subset": "valid", "objective": objective})
    with open(path, "a") as stream:
        stream.write('{"update": 400, "su')  # a kill
    assert [(r["update"], r["objective"]) for r in read_records(path)] == [(100, "ctc_dro")]
    append_record(path, {"update": 200, "subset": "valid", "objective": "ctc_dro"})
    assert [r["update"] for r in read_records(path)] == [100, 200], "half a line harms no other"


def test_rates_of_several_batches_are_those_of_their_sums(tmp_path):
    log = group_log(tmp_path)
    log.validation.begin("valid")
    for errors, length in ((1, 10), (3, 5)):
        log.reduce(
            outputs(
                char_errors=[errors, 0], characters=[length, 4], word_errors=[1, 0], words=[2, 1],
                n_utterances=[1, 1], loss_nats=[2.0, 1.0],
            ),
            training=False,
        )
    log.validation.end({"num_updates": 7}, epoch=1)
    record = read_records(tmp_path / "history.jsonl")[0]
    assert record["languages"]["a"]["cer"] == pytest.approx(4 / 15)
    assert record["mean_cer"] == pytest.approx(np.mean([4 / 15, 0]))
    assert record["worst_language"] == "a"


def test_each_start_of_training_leaves_a_line_about_itself(
    command_server, tiny_data, tiny_checkpoint, tmp_path
):
    for max_update in (2, 3, 3):  # the last has nothing to do
        options = {"optimization__max_update": max_update}
        command_server.run(train_command(tiny_data, tiny_checkpoint, **options), tmp_path)
    starts = read_records(tmp_path / "run.jsonl")
    assert [start["update"] for start in starts] == [0, 2]
    assert starts[1]["versions"]["fairseq"] == "0.12.2"
    assert "optimization.max_update=3" in starts[1]["command"]
    assert starts[0]["data"]["splits"]["train"]["utterances"] == 126
