"""q moves in training only, once per successful update, and what is logged is what was summed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairseq_dro.criterions.ctc import GroupDroCtcCriterion
from fairseq_dro.dro.engine import GroupDroEngine
from fairseq_dro.dro.group_loss import GroupLoss, GroupLossUnit
from fairseq_dro.dro.rules import GroupDro
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.dro.sums import COLUMNS, GROUP_SUMS
from fairseq_dro.runs.history import append_record, read_records
from fairseq_dro.training.update_log import UpdateLog
from tests.stock_commands import train_command

FURTHER = GroupDroCtcCriterion.further_columns


def update_log(folder) -> UpdateLog:
    state = GroupDroState(["a", "b"], GroupDro(0.1), "every_update")
    unit = GroupLossUnit(GroupLoss.PER_UTTERANCE, 50.0, 16_000)
    engine = GroupDroEngine(state, unit, further_columns=FURTHER)
    log = UpdateLog(engine, folder=str(folder), tensorboard_logdir=None)
    log.update = 1
    return log


def outputs(further=(), **columns) -> list[dict]:
    names = (*COLUMNS, *further)
    sums = torch.zeros(2, len(names), dtype=torch.float64)
    for name, values in columns.items():
        sums[:, names.index(name)] = torch.tensor(values, dtype=torch.float64)
    return [{GROUP_SUMS: sums}]


def test_validation_leaves_every_number_of_the_state_alone(tmp_path):
    log = update_log(tmp_path)
    losses = outputs(loss_nats=[3.0, 5.0], n_utterances=[1, 1], n_batches=[1, 1])
    log.observe(losses)
    before = log.engine.state.state_dict()
    assert before["n_moves"] == 1
    log.validation.begin("valid")
    for _ in range(3):
        log.validation.add(outputs(FURTHER, loss_nats=[3.0, 5.0], n_utterances=[1, 1]))
    assert log.engine.state.state_dict() == before


def test_a_validation_without_reference_characters_has_no_worst_language(tmp_path):
    log = update_log(tmp_path)
    log.validation.begin("valid")
    log.validation.add(outputs(FURTHER, loss_nats=[3.0, 5.0], n_utterances=[1, 1]))
    log.validation.end({"num_updates": 1}, epoch=1)
    record = read_records(tmp_path / "history.jsonl")[0]
    assert record["worst_language"] is None and record["mean_cer"] is None


def test_losses_left_out_are_named_once(tmp_path, caplog):
    log = update_log(tmp_path)
    for _ in range(2):
        log.observe(outputs(loss_nats=[3.0, 0], n_utterances=[1, 0], n_not_finite=[0, 2]))
    assert caplog.text.count("2 utterances of this update (groups: b) had a loss that is not") == 1
    last_loss = log.engine.state.last_loss
    assert last_loss[0] == 3 and np.isnan(last_loss[1]), "b was never seen"


def test_lines_of_a_run_that_started_over_do_not_mix_with_the_old_ones(tmp_path):
    path = tmp_path / "history.jsonl"
    for update, objective in ((100, "erm"), (200, "erm"), (300, "erm"), (100, "ctc_dro")):
        append_record(path, {"update": update, "subset": "valid", "objective": objective})
    with open(path, "a") as stream:
        stream.write('{"update": 400, "su')  # a kill
    assert [(r["update"], r["objective"]) for r in read_records(path)] == [(100, "ctc_dro")]
    append_record(path, {"update": 200, "subset": "valid", "objective": "ctc_dro"})
    assert [r["update"] for r in read_records(path)] == [100, 200], "half a line harms no other"


def test_rates_of_several_batches_are_those_of_their_sums(tmp_path):
    log = update_log(tmp_path)
    log.validation.begin("valid")
    for errors, length in ((1, 10), (3, 5)):
        log.validation.add(
            outputs(
                FURTHER, char_errors=[errors, 0], reference_characters=[length, 4],
                word_errors=[1, 0], words=[2, 1], n_utterances=[1, 1], loss_nats=[2.0, 1.0],
            )
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
