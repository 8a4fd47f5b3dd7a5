"""docs/extend.md: its examples run as they stand, as real commands with a user dir."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from fairseq_dro.dro.rules import floored
from fairseq_dro.runs.history import read_records
from tests.checkpoints import load
from tests.stock_commands import BIN, REPOSITORY, TINY_RUN

TEXT = (REPOSITORY / "docs/extend.md").read_text(encoding="utf-8")


def example(folder: Path, name: str) -> Path:
    """The Python file that follows its own path in the text, written below ``folder``."""
    code = re.search(rf"`{name}/__init__\.py`.*?```python\n(.*?)```", TEXT, re.DOTALL)[1]
    path = folder / name / "__init__.py"
    path.parent.mkdir()
    path.write_text(code, encoding="utf-8")
    return path.parent


def test_a_rule_of_ones_own(tiny_data, tiny_checkpoint, tmp_path, command_server):
    """Its q follows its formula, over a resume, too."""
    command = re.search(r"```bash\n(fairseq-dro train.*?)```", TEXT, re.DOTALL)[1]
    example(tmp_path, "my_rules")
    places = {"DATA": str(tiny_data), "CHECKPOINT": str(tiny_checkpoint)}
    words = [
        re.sub("(DATA|CHECKPOINT)$", lambda match: places[match[0]], word)
        for word in shlex.split(command.replace("\\\n", " "))
    ]
    tiny = [
        "criterion.update_when=every_update", "task.batch_seconds=10",
        "optimization.update_freq=[1]", "dataset.disable_validation=true",
        "lr_scheduler._name=fixed", "hydra.run.dir=run", "model.mask_length=4",
        "model.mask_channel_prob=0",
    ]
    for last in (4, 8):
        command = [str(BIN / words[0]), *words[1:], *tiny, f"optimization.max_update={last}"]
        command_server.run(command, tmp_path)
    moves = read_records(tmp_path / "run/group_weights.jsonl")
    assert [move["update"] for move in moves][-1] == 8
    for move in moves:
        losses = np.array(list(move["group_loss_nats"].values()))
        expected = floored(np.exp((losses - losses.max()) / 50.0))
        assert list(move["q"].values()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("criterion.rule_options={temprature: 5}", "no parameter temprature: it has temperature"),
        ("criterion.rule_options={temperature: -1}", "temperature=-1 is out of range"),
        ("criterion.rule_options={temperature: hot}", "temperature=hot is out of range"),
        ("criterion.rule_options=5", "criterion.rule_options=5 is not a mapping"),
        ("criterion.objective=softmax", "not a rule: expected one of .*did you mean softmax_dro"),
    ],
)
def test_what_a_rule_does_not_have_is_refused(tiny_data, tmp_path, option, said, monkeypatch):
    from fairseq.utils import import_user_module
    from omegaconf import OmegaConf

    from fairseq_dro.dro.rules import RULES
    from fairseq_dro.errors import UserError
    from tests.in_process import group_dro_ctc, make_task

    monkeypatch.setattr(sys, "path", [*sys.path])
    user_dir = example(tmp_path, "my_rules")
    user_dir = user_dir.rename(tmp_path / f"my_rules_{tmp_path.name}")  # imported once a name
    import_user_module(OmegaConf.create({"user_dir": str(user_dir)}))
    key, _, value = option.partition("=")
    options = {"objective": "softmax_dro", key.partition(".")[2]: yaml.safe_load(value)}
    try:
        with pytest.raises(UserError, match=said):
            group_dro_ctc(make_task(tiny_data), **options)
    finally:
        del RULES["softmax_dro"]


def test_a_criterion_of_ones_own(tiny_data, tiny_checkpoint, tmp_path, command_server):
    """q sees the plain losses, the gradient the focal ones."""
    saved = trained_by_recipe("my_criterion", "criterion", tiny_data, tmp_path, command_server,
                              **{"model.w2v_path": str(tiny_checkpoint)})  # fmt: skip
    assert saved["cfg"]["criterion"]["gamma"] == 2.0
    assert saved["extra_state"]["train_iterator"]["group_dro"]["n_moves"] >= 1


def test_a_model_family_of_ones_own(tiny_data, tmp_path, command_server):
    """Its frames and options are asked for, and it trains with group weights."""
    saved = trained_by_recipe("my_model", "model", tiny_data, tmp_path, command_server)
    assert saved["model"]["gru.weight_hh_l0"].shape == (3 * 64, 64)
    assert saved["extra_state"]["train_iterator"]["group_dro"]["n_moves"] >= 1


def test_a_reader_of_ones_own(tmp_path, capsys, monkeypatch):
    """Its corpus becomes a data folder; without its folder the command names what is missing."""
    from fairseq_dro.cli import main
    from fairseq_dro.prepare.readers import READERS

    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    known = [*READERS]
    example(tmp_path, "my_corpus")
    corpus = tmp_path / "CORPUS/deu"
    corpus.mkdir(parents=True)
    for number in range(20):
        audio = 0.1 * np.sin(np.arange(16_000) * (0.1 + 0.01 * number))
        soundfile.write(corpus / f"{number}.wav", audio, 16_000)
        (corpus / f"{number}.txt").write_text(f"Satz {'abcdefghijklmnopqrst'[number]}\n")
    command = re.search(r"```bash\n(fairseq-dro prepare.*?)```", TEXT, re.DOTALL)[1]
    try:
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    finally:
        READERS[:] = known
    record = json.loads((tmp_path / "DATA/dataset.json").read_text(encoding="utf-8"))
    assert record["reader"] == "podcasts"
    assert "deu" in (tmp_path / "DATA/train.lang").read_text().split()
    assert main(["prepare", "common.user_dir=nowhere", "podcasts", "DATA"]) == 2
    assert "nowhere/__init__.py does not exist" in capsys.readouterr().err


def trained_by_recipe(name, section, data, tmp_path, command_server, **further):
    """The checkpoint of a tiny run with the user dir and the part of a recipe that the text shows.

    Args:
        section: of the configuration, which the recipe replaces.
    """
    user_dir = example(tmp_path, name)
    block = rf"`{name}/__init__\.py`.*?```yaml\n(.*?)```"
    recipe = yaml.safe_load(re.search(block, TEXT, re.DOTALL)[1])
    options = {
        **TINY_RUN, "optimization.max_update": 3, "task.data": str(data),
        "common.user_dir": str(user_dir), **further,
    }
    of_hydra = [f"{key}={value}" for key, value in options.items() if key.startswith("hydra.")]
    sections: dict = {}
    for key, value in options.items():
        part, option = key.split(".", 1)
        if part not in ("hydra", section):
            value = yaml.safe_load(value) if isinstance(value, str) else value
            sections.setdefault(part, {})[option] = value
    (tmp_path / "mine.yaml").write_text("# @package _group_\n" + yaml.safe_dump(sections | recipe))
    config = ["--config-dir", str(tmp_path), "--config-name", "mine"]
    command_server.run(
        [str(BIN / "fairseq-hydra-train"), *config, *of_hydra], tmp_path / "run"
    )
    return load(tmp_path / "run/checkpoints/checkpoint_last.pt")
