"""A copy of a section has its values, and leaves alone what is above it."""

from __future__ import annotations

import copy
import sys

import fairseq  # noqa: F401  # with it the patch
import pytest
import yaml
from omegaconf import MISSING, DictConfig, OmegaConf

from tests.stock_commands import train_command

COUNT = """
import copy, fairseq, omegaconf
cfg = omegaconf.OmegaConf.create({"a": {"b": 1}, "c": [2]})
print([copy.deepcopy(node)._get_parent() is cfg for node in (cfg.a, cfg.c, cfg._get_node("a"))])
"""


@pytest.fixture
def cfg() -> DictConfig:
    return OmegaConf.create(
        {
            "task": {"data": "d", "missing": MISSING, "none": None, "list": [1, {"x": "${seed}"}]},
            "seed": 3,
        }
    )


def test_a_copy_has_the_same_values_and_shares_none(cfg):
    OmegaConf.set_struct(cfg.task, True)
    made = copy.deepcopy(cfg.task)
    assert made == cfg.task and OmegaConf.is_missing(made, "missing")
    assert OmegaConf.is_struct(made) and made.list[1].x == 3
    assert made._get_node("list")._get_parent() is made
    made.data, made.list[0] = "e", 5
    assert (cfg.task.data, cfg.task.list[0]) == ("d", 1)


def test_a_copy_of_a_part_copies_nothing_above_it(cfg):
    for node in (cfg.task, cfg.task.list, cfg.task._get_node("data")):
        assert copy.deepcopy(node)._get_parent() is node._get_parent()
    whole = copy.deepcopy(cfg)
    assert whole == cfg and whole.task._get_parent() is whole


def test_omegaconf_copies_what_is_above(tmp_path, command_server):
    """Red once compat/config_copies.py can be deleted."""
    code = [sys.executable, "-c", COUNT]
    for switch, retained in (("-config_copies", False), ("1", True)):
        said = command_server.run(code, tmp_path, FAIRSEQ_DRO_COMPAT=switch).stdout
        assert said.splitlines()[-1] == str([retained] * 3)


def test_a_run_is_composed_as_without_it(tmp_path, tiny_data, tiny_checkpoint, command_server):
    command = [*train_command(tiny_data, tiny_checkpoint), "--cfg", "job"]
    stock, ours = (
        command_server.run(command, tmp_path, FAIRSEQ_DRO_COMPAT=switch).stdout
        for switch in ("-config_copies", "1")
    )
    assert yaml.safe_load(ours)["task"]["_name"] and stock == ours
