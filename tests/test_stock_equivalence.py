"""Law 1 through the real trainer: ERM over 20 updates is stock ``ctc``, bit by bit."""

from __future__ import annotations

import json

import torch

from tests.checkpoints import load
from tests.stock_commands import train_command

OPTIONS = {
    "optimization__max_update": 20,
    "optimization__update_freq": "[2]",
    "checkpoint__no_epoch_checkpoints": "true",
}


def logged(output: str) -> list[dict[str, str]]:
    """What fairseq logged of each update, without times and without our own metrics."""
    lines = [
        line.split("[INFO] - ", 1)[1] for line in output.splitlines() if "[train_inner]" in line
    ]
    ours_or_times = ("q_", "wps", "ups", "wall", "train_wall")
    return [
        {k: v for k, v in json.loads(line).items() if not k.startswith(ours_or_times)}
        for line in lines
    ]


def test_twenty_updates_of_erm_are_bitwise_those_of_stock_ctc(
    tiny_data, tiny_checkpoint, tmp_path, command_server
):
    """With masks, dropout and layerdrop on; same task, so same batches and seeds."""
    erm = train_command(tiny_data, tiny_checkpoint, criterion__objective="erm", **OPTIONS)
    stock = [
        argument.replace("criterion=group_dro_ctc", "criterion=ctc")
        for argument in erm
        if not argument.startswith("criterion.objective")
    ]
    outputs = {
        name: command_server.run(command, tmp_path / name).stdout
        for name, command in (("erm", erm), ("ctc", stock))
    }
    assert logged(outputs["erm"]) == logged(outputs["ctc"])
    assert len(logged(outputs["erm"])) == 20
    erm_model, stock_model = (
        load(tmp_path / name / "checkpoints/checkpoint_last.pt")["model"] for name in ("erm", "ctc")
    )
    assert erm_model.keys() == stock_model.keys()
    for name in erm_model:
        assert torch.equal(erm_model[name], stock_model[name]), name
    assert not (tmp_path / "erm/group_weights.jsonl").exists(), "q of erm never moves"
