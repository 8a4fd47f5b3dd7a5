"""A moving average of the weights beside the model, as fairseq's ``ema`` section asks for it."""

from __future__ import annotations

import pytest
import torch

from tests.checkpoints import load
from tests.killed_commands import at
from tests.stock_commands import train_command

LAST = "checkpoints/checkpoint_last.pt"


@pytest.fixture
def command(tiny_data, tiny_checkpoint) -> list[str]:
    options = train_command(
        tiny_data, tiny_checkpoint, optimization__max_update=6, model__layerdrop=0.0,
        criterion__update_when="every_update", checkpoint__save_interval_updates=2,
        dataset__disable_validation="true",
    )
    return [*options, "ema.store_ema=true", "ema.ema_decay=0.9"]


def test_a_killed_run_has_the_average_of_an_uninterrupted_one(command, tmp_path, command_server):
    command_server.run(command, tmp_path / "whole")
    command_server.run(command, tmp_path / "killed", die=at("update_ends", 5))
    command_server.run(command, tmp_path / "killed")
    whole, killed = (load(tmp_path / name / LAST) for name in ("whole", "killed"))
    average, weights = whole["extra_state"]["ema"], whole["model"]
    assert any(not torch.equal(average[name], weights[name]) for name in weights)
    for part in (lambda state: state["model"], lambda state: state["extra_state"]["ema"]):
        for name, weight in part(whole).items():
            assert torch.equal(weight, part(killed)[name]), name


def test_torch_copies_no_weight_norm(command, tmp_path, command_server):
    """Red once compat/ema_copies.py can be deleted."""
    done = command_server.run(command, tmp_path, FAIRSEQ_DRO_COMPAT="-ema_copies", check=False)
    assert done.returncode != 0
    assert "Only Tensors created explicitly by the user" in done.stdout
