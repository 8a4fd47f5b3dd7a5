"""Laws of the recipes in examples/xlsr_dro/config: composed with hydra, and run as commands."""

from __future__ import annotations

import copy
import functools
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from fairseq.dataclass.initialize import add_defaults, hydra_init
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError

from fairseq_dro.cli import main
from fairseq_dro.dro.rules import RULES
from fairseq_dro.errors import UserError
from fairseq_dro.recipes import FORMER, find_recipe
from tests.killed_commands import CommandServer
from tests.stock_commands import BIN, REPOSITORY

CONFIG = REPOSITORY / "examples" / "xlsr_dro" / "config"
RECIPES = ("finetune", "mms", "paper", "demo", "frozen_linear", "frozen_transformer")
ALL = (*RECIPES, "whisper", "whisper_ctc")
# What a tiny model on a CPU needs otherwise.
TINY = (
    "common.cpu=true",
    "common.fp16=false",
    "common.log_interval=1",
    "dataset.num_workers=0",
    "optimization.update_freq=[2]",
    "task.batch_seconds=5",
)
# fairseq's own default, written down because it is what a reader looks for.
SAID_ALOUD = {
    "model.feature_grad_mult",
    "model.freeze_finetune_updates",
    "model.checkpoint_activations",
    "criterion.objective",
    "criterion.smoothing",
    "task.batch_seconds",
    "lr_scheduler.warmup_updates",
    "distributed_training.distributed_world_size",  # on a machine without GPUs
    "task.normalize",
    "task.valid_utterances_per_language",
    "criterion.label_smoothing",
    "model.pad_to_seconds",
    "model.dropout",
    "model.output_learning_rate_scale",
}


def _leaves(node: dict, prefix: str = "") -> dict[str, object]:
    leaves = {}
    for key, value in node.items():
        if isinstance(value, dict):
            leaves.update(_leaves(value, f"{prefix}{key}."))
        else:
            leaves[prefix + key] = value
    return leaves


def _read(recipe: str) -> dict:
    return yaml.safe_load((CONFIG / f"{recipe}.yaml").read_text(encoding="utf-8"))


@functools.cache
def _compose(recipe: str, *overrides: str):
    """The configuration that fairseq_cli/hydra_train.py would hand to training."""
    GlobalHydra.instance().clear()
    hydra_init(recipe)
    with initialize_config_dir(config_dir=str(CONFIG)):
        cfg = compose(recipe, overrides=["task.data=d", "model.w2v_path=w", *overrides])
    add_defaults(cfg)
    OmegaConf.set_struct(cfg, True)
    return cfg


@pytest.fixture
def train(command_server):
    return functools.partial(_train, command_server)


def _train(server: CommandServer, recipe: str, cwd: Path, *overrides: str) -> str:
    """Run a recipe with a configuration folder given relative to ``cwd``; the whole output."""
    relative = Path(*[".."] * len(cwd.resolve().parts[1:]), *CONFIG.parts[1:])
    command = [str(BIN / "fairseq-hydra-train"), "--config-dir", str(relative)]
    return server.run([*command, "--config-name", recipe, *TINY, *overrides], cwd).stdout


def _home(tmp_path: Path, tiny_data: Path, tiny_checkpoint: Path) -> Path:
    """A folder of a user's own in which data and model have relative names."""
    home = tmp_path / "somewhere" / "else"
    home.mkdir(parents=True)
    (home / "data").symlink_to(tiny_data)
    shutil.copy(tiny_checkpoint, home / "tiny.pt")
    return home


def _encoder(path: Path) -> dict[str, torch.Tensor]:
    """Weights of the pre-trained part of a fine-tuned or a pre-trained file, by bare name."""
    weights = torch.load(path, weights_only=False)["model"]
    return {name.removeprefix("w2v_encoder.w2v_model."): w for name, w in weights.items()}


def _moved(before: Path, after: Path) -> set[str]:
    old, new = _encoder(before), _encoder(after)
    return {name for name in old.keys() & new.keys() if not torch.equal(old[name], new[name])}


def test_all_recipes_are_here():
    assert {path.stem for path in CONFIG.glob("*.yaml")} == set(ALL)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_composes_and_every_key_belongs_to_a_dataclass(recipe):
    cfg = _compose(recipe)
    assert cfg.task._name == "language_grouped_audio_finetuning"
    assert cfg.criterion._name == "group_dro_ctc"
    assert "update_when" in cfg.criterion and "group_sampling" in cfg.task  # dataclasses took part
    for key, value in _leaves(_read(recipe)).items():
        if not key.startswith("hydra.") and value != "???":
            assert OmegaConf.select(cfg, key) is not None, key


def test_a_misspelt_key_is_refused():
    with pytest.raises(ConfigKeyError, match="step_sise"):
        _compose("finetune", "+criterion.step_sise=1")


@pytest.mark.parametrize("recipe", ALL)
def test_a_recipe_holds_deviations_only(recipe):
    written = _leaves(_read(recipe))
    names = {key: value for key, value in written.items() if key.endswith("._name")}
    defaults = copy.deepcopy(_fairseq_defaults())
    for key, name in names.items():
        group = key.removesuffix("._name")
        required = {"task": {"data": "d"}}.get(group, {})
        if name == "wav2vec_ctc":
            required = {"w2v_path": "w"}
        defaults[group] = OmegaConf.create({"_name": name, **required})
    add_defaults(defaults)
    redundant = {
        key
        for key, value in written.items()
        if key not in names
        and not key.startswith("hydra.")
        and value != "???"
        and _plain(OmegaConf.select(defaults, key)) == value
    }
    assert redundant <= SAID_ALOUD


@functools.cache
def _fairseq_defaults():
    GlobalHydra.instance().clear()
    hydra_init("config")
    with initialize_config_dir(config_dir=str(CONFIG)):
        cfg = compose("config", overrides=[])
    OmegaConf.set_struct(cfg, False)
    return cfg


def _plain(value):
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


@pytest.mark.parametrize("recipe", ALL)
def test_every_line_of_a_recipe_gives_its_reason(recipe):
    lines = (CONFIG / f"{recipe}.yaml").read_text(encoding="utf-8").splitlines()
    for line in lines:
        is_value = re.match(r"\s+\w+: \S", line) and "_name:" not in line
        assert not is_value or "  # " in line, line


@pytest.mark.parametrize("recipe", ALL)
def test_a_recipe_leaves_the_log_format_alone_and_writes_for_tensorboard(recipe):
    assert "log_format" not in _read(recipe)["common"]  # a bar on a terminal, lines elsewhere
    assert _read(recipe)["common"]["tensorboard_logdir"] == "tb"


@pytest.mark.parametrize("name", FORMER)
def test_a_recipe_of_an_earlier_version_is_told_with_the_command_of_today(
    name, tiny_data, capsys
):
    recipe, objective = FORMER[name]
    assert recipe in RECIPES and objective in RULES and name not in RECIPES
    command = f"fairseq-dro train {recipe} criterion.objective={objective} "
    with pytest.raises(UserError, match=command):
        find_recipe(name)
    with pytest.raises(UserError, match=command):
        find_recipe(f"{name}.yaml")
    assert main(["doctor", str(tiny_data), "--config-dir", str(CONFIG), "--config-name", name]) == 2
    assert command in capsys.readouterr().err


def test_a_recipe_is_found_by_its_name_or_as_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("task: {}\n")
    (tmp_path / "mms.yaml").write_text("task: {}\n")
    assert find_recipe("mms") == CONFIG / "mms.yaml"
    assert find_recipe("mine.yaml") == find_recipe("./mine.yaml") == tmp_path / "mine.yaml"
    assert find_recipe("mms.yaml") == tmp_path / "mms.yaml"
    assert find_recipe("paper.yaml") == CONFIG / "paper.yaml"
    assert find_recipe("mine", tmp_path) == find_recipe("mine.yaml", tmp_path)
    for name, says in (("finetun", "did you mean finetune?"), ("x", "the recipes are demo, "),
                       ("there/is.yaml", "there/is.yaml does not exist")):  # fmt: skip
        with pytest.raises(UserError) as error:
            find_recipe(name)
        assert says in str(error.value)


@pytest.mark.parametrize("recipe", RECIPES)
def test_saving_and_validating_start_long_before_update_10000(recipe):
    cfg = _compose(recipe)
    assert cfg.dataset.validate_after_updates == 0
    assert 0 < cfg.checkpoint.save_interval_updates <= max(cfg.optimization.max_update / 25, 100)


@pytest.mark.parametrize("recipe", ALL)
def test_the_run_folder_depends_on_the_objective_and_on_nothing_else(recipe):
    folder = f"runs/{recipe}/${{criterion.objective}}"
    assert _read(recipe)["hydra"] == {"run": {"dir": folder}, "sweep": {"dir": folder}}
    assert "save_dir" not in _read(recipe)["checkpoint"]


def test_frozen_and_whole_model_recipes_are_what_they_say():
    frozen, whole, paper = map(_compose, ("finetune", "mms", "paper"))
    assert (frozen.model.feature_grad_mult, frozen.model.freeze_finetune_updates) == (0.0, 10000)
    for cfg in (whole, paper):
        assert (cfg.model.feature_grad_mult, cfg.model.freeze_finetune_updates) == (1.0, 0)


def test_the_paper_recipe_has_the_numbers_of_the_paper():
    cfg = _compose("paper")
    assert cfg.optimization.max_update * cfg.optimization.update_freq[0] == 48_000
    assert (cfg.optimization.lr[0], cfg.optimization.clip_norm) == (1e-4, 5.0)
    assert (cfg.lr_scheduler._name, cfg.optimizer._name) == ("fixed", "adam")
    assert cfg.optimizer.weight_decay == 1e-6
    assert cfg.criterion.loss_reduction == "batch_mean"
    assert cfg.criterion.step_size in (1e-3, 1e-4) and cfg.criterion.smoothing in (0.1, 0.5, 1.0)
    assert cfg.task.language_token and 46 <= cfg.task.batch_seconds <= 55
    assert cfg.checkpoint.best_checkpoint_metric == "loss"


def test_the_table_of_effective_batches_follows_from_the_recipes():
    readme = (CONFIG.parent / "README.md").read_text(encoding="utf-8")
    row = r"^\| `(\w+)` \| (\d+) \| `\[(\d+)\]` \| ([\d,]+) s \|"
    rows = re.findall(row, readme, re.MULTILINE)
    assert {family for family, *_ in rows} == {"finetune", "mms", "paper"}
    for family, gpus, update_freq, seconds in rows:
        cfg = _compose(family)
        n_batches = int(gpus) * int(update_freq)
        assert n_batches * cfg.task.batch_seconds == int(seconds.replace(",", ""))
    for family, reference_gpus in (("finetune", "4"), ("mms", "4"), ("paper", "1")):
        cfg = _compose(family)
        written = next(row for row in rows if row[:2] == (family, reference_gpus))
        assert int(written[2]) == cfg.optimization.update_freq[0]


def test_the_same_command_resumes_from_any_folder_with_relative_paths(
    tmp_path, tiny_data, tiny_checkpoint, train
):
    home = _home(tmp_path, tiny_data, tiny_checkpoint)
    folder = home / "runs" / "finetune" / "ctc_dro"
    options = ("task.data=data", "model.w2v_path=tiny.pt", "model.mask_channel_length=8")

    train("finetune", home, *options, "optimization.max_update=2")
    first = _updates(folder)
    # only the output layer trains until update 10,000
    assert _moved(home / "tiny.pt", folder / "checkpoints" / "checkpoint_last.pt") == set()

    train("finetune", home, *options, "optimization.max_update=4")
    log = (folder / "hydra_train.log").read_text(encoding="utf-8")
    assert "Loaded checkpoint checkpoints/checkpoint_last.pt (epoch 1 @ 2 updates)" in log
    assert (first, _updates(folder)) == ([2], [2, 4])
    assert [path.name for path in (home / "runs").glob("*/*")] == ["ctc_dro"]


def test_the_mms_recipe_trains_the_whole_model_from_the_first_update(
    tmp_path, tiny_data, tiny_checkpoint, train
):
    home = _home(tmp_path, tiny_data, tiny_checkpoint)
    train(
        "mms", home, "criterion.objective=group_dro", "task.data=data", "model.w2v_path=tiny.pt",
        "model.mask_channel_length=8", "optimization.max_update=2",
    )  # fmt: skip
    saved = home / "runs" / "mms" / "group_dro" / "checkpoints" / "checkpoint_last.pt"
    unmoved = _encoder(saved).keys() - _moved(home / "tiny.pt", saved)
    assert unmoved == {"w2v_encoder.proj.weight", "w2v_encoder.proj.bias"}  # not in tiny.pt


def test_the_paper_recipe_runs_with_language_tokens(
    tmp_path, tiny_data, tiny_checkpoint, train
):
    home = _home(tmp_path, tiny_data, tiny_checkpoint)
    shutil.copytree(tiny_data, home / "with_tokens")
    symbols = home / "with_tokens" / "dict.ltr.txt"
    tokens = "".join(f"[{language}] 1\n" for language in ("deu", "ell", "fra"))
    symbols.write_text(symbols.read_text(encoding="utf-8") + tokens, encoding="utf-8")
    train(
        "paper", home, "task.data=with_tokens", "model.w2v_path=tiny.pt",
        "optimization.max_update=2",
    )  # fmt: skip
    assert _updates(home / "runs" / "paper" / "ctc_dro") == [2]


def _updates(folder: Path) -> list[int]:
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["update"] for line in lines]


def test_the_demo_recipe_takes_what_the_demo_script_changes():
    """Each line of overrides and each way of training in scripts/demo.sh."""
    script = (CONFIG.parents[2] / "scripts" / "demo.sh").read_text(encoding="utf-8")
    lines = re.findall(r"overrides\+=\((task[^$\n]+)\)", script)  # of the recipe demo
    assert len(lines) == 3
    for line in lines:
        _compose("demo", *line.split())
    arms = re.findall(r"echo ((?:.|\\\n)+?) ;;", script)
    assert len(arms) == 5
    for arm in arms:
        _compose("demo", *arm.replace("\\\n", " ").split())
