"""Starting from a fine-tuned model, a unit keeps its output row wherever it stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from fairseq_dro.models.output_layer import OUTPUT_LAYERS, UnitRows, take_rows
from tests.checkpoints import load
from tests.stock_commands import train_command

WEIGHT, BIAS = "w2v_encoder.proj.weight", "w2v_encoder.proj.bias"


@pytest.mark.parametrize(
    ("old", "new", "is_same_order", "added", "gone"),
    [
        ("abc", "abc", True, "", ""),
        ("abc", "cab", False, "", ""),
        ("abc", "acdb", False, "d", ""),
        ("abc", "abcd", False, "d", ""),
        ("abc", "ab", False, "", "c"),
        ("abc", "xcya", False, "xy", "b"),
        ("abc", "xyz", False, "xyz", "abc"),
    ],
)
@pytest.mark.parametrize("layer", OUTPUT_LAYERS)
def test_each_known_unit_keeps_its_row_and_a_new_one_gets_a_fresh_one(
    old, new, is_same_order, added, gone, layer
):
    weight, bias = f"{layer}.weight", f"{layer}.bias"
    rows = UnitRows.between(old, new)
    assert rows.is_same_order == is_same_order and rows.n_old == len(old)
    assert "".join(rows.added) == added and "".join(rows.gone) == gone
    saved = {weight: torch.arange(3.0)[:, None].repeat(1, 4), bias: torch.arange(3.0), "x": 1}
    fresh = {weight: torch.full((len(new), 4), -1.0), bias: torch.full((len(new),), -1.0)}
    taken = take_rows(saved, fresh, rows)
    expected = torch.tensor([float(old.find(unit)) for unit in new])  # -1: not there
    assert torch.equal(taken[bias], expected)
    assert torch.equal(taken[weight], expected[:, None].repeat(1, 4))
    assert taken["x"] == 1 and torch.equal(saved[bias], torch.arange(3.0))


def test_weights_of_half_the_precision_stay_what_they_are():
    saved = {BIAS: torch.arange(3.0).half()}
    taken = take_rows(saved, {BIAS: torch.zeros(3)}, UnitRows.between("abc", "cab"))
    assert taken[BIAS].dtype == torch.float16 and taken[BIAS].tolist() == [2.0, 0.0, 1.0]


@pytest.fixture(scope="module")
def trained(tiny_data, tiny_checkpoint, command_server, tmp_path_factory) -> Path:
    """A checkpoint of three updates."""
    folder = tmp_path_factory.mktemp("trained")
    command_server.run(
        train_command(tiny_data, tiny_checkpoint, optimization__max_update=3), folder
    )
    return folder / "checkpoints/checkpoint_last.pt"


def rows_by_unit(path: Path) -> dict[str, torch.Tensor]:
    state = load(path)
    return dict(zip(state["task_state"]["target_dictionary"].symbols, state["model"][WEIGHT]))


def with_dictionary(data: Path, folder: Path, more: tuple[str, ...] = ()) -> Path:
    """A copy of the data folder whose dictionary is sorted otherwise, with further units."""
    copy = shutil.copytree(data, folder / "data")
    lines = (copy / "dict.ltr.txt").read_text(encoding="utf-8").splitlines()
    text = "\n".join([*(f"{unit} 1" for unit in more), *reversed(lines), ""])
    (copy / "dict.ltr.txt").write_text(text, encoding="utf-8")
    return copy


@pytest.mark.parametrize("workers", [1, 2])
def test_units_in_another_order_keep_their_rows_and_that_is_said(
    tiny_data, tiny_checkpoint, trained, command_server, tmp_path, workers
):
    data = with_dictionary(tiny_data, tmp_path)
    command = train_command(
        data, tiny_checkpoint, checkpoint__finetune_from_model=trained,
        optimization__lr="[1e-12]", optimization__max_update=1,
        distributed_training__distributed_world_size=workers,
        distributed_training__distributed_backend="gloo",
        distributed_training__ddp_backend="legacy_ddp",
    )
    done = command_server.run(command, tmp_path / "run", workers=workers)
    assert "14 rows of its output layer were put into the order of" in done.stdout
    before = rows_by_unit(trained)
    after = rows_by_unit(tmp_path / "run/checkpoints/checkpoint_last.pt")
    assert list(after) != list(before) and after.keys() == before.keys()
    for unit, row in before.items():
        torch.testing.assert_close(after[unit], row, atol=1e-9, rtol=0)


def test_a_grown_dictionary_is_refused_and_keeps_the_known_rows_on_request(
    tiny_data, tiny_checkpoint, trained, command_server, tmp_path
):
    data = with_dictionary(tiny_data, tmp_path, more=("ß", "ő"))
    command = train_command(
        data, tiny_checkpoint, checkpoint__finetune_from_model=trained,
        optimization__lr="[1e-12]", optimization__max_update=1,
    )
    two = [*command, "distributed_training.distributed_world_size=2",
           "distributed_training.distributed_backend=gloo",
           "distributed_training.ddp_backend=legacy_ddp"]  # fmt: skip
    refused = command_server.run(two, tmp_path / "run", check=False, workers=2)
    *_, sentence = refused.stdout.rstrip().splitlines()
    assert refused.returncode == 2 and "2 new (ß, ő)" in sentence
    assert refused.stdout.count(sentence) == 2  # rank 1 would wait for a state that never comes
    assert "task.output_rows_by_name=true" in sentence
    asked = [*command, "task.output_rows_by_name=true"]
    assert "; 2 new (ß, ő)" in command_server.run(asked, tmp_path / "run").stdout
    after = rows_by_unit(tmp_path / "run/checkpoints/checkpoint_last.pt")
    before = rows_by_unit(trained)
    assert after.keys() - before.keys() == {"ß", "ő"}
    for unit, row in before.items():
        torch.testing.assert_close(after[unit], row, atol=1e-9, rtol=0)
    assert after["ß"].abs().max() > 0


def test_stock_fairseq_takes_rows_by_their_place(
    tiny_data, tiny_checkpoint, trained, command_server, tmp_path
):
    """What training/finetuned_units.py answers; red once it can be deleted."""
    data = with_dictionary(tiny_data, tmp_path)
    command = train_command(
        data, tiny_checkpoint, checkpoint__finetune_from_model=trained,
        optimization__lr="[1e-12]", optimization__max_update=1,
    )
    command_server.run(command, tmp_path / "run", FAIRSEQ_DRO_COMPAT="-finetuned_units")
    before = list(rows_by_unit(trained).values())
    after = list(rows_by_unit(tmp_path / "run/checkpoints/checkpoint_last.pt").values())
    torch.testing.assert_close(after, before, atol=1e-9, rtol=0)
