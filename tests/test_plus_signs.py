"""In recipes of our task every known option is ``section.option=value``, whatever form is typed."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
from pathlib import Path

import fairseq
import pytest
from fairseq.dataclass.initialize import add_defaults, hydra_init
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental import compose, initialize_config_dir
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fairseq_dro.compat.plus_signs import dataclass_of
from fairseq_dro.recipes import recipes_in, shipped_folder

CHOSEN = ("task", "model", "criterion", "optimizer", "lr_scheduler")
PATHS = ("task.data=d",)


@contextlib.contextmanager
def loader(name: str, folder: Path | None = None):
    GlobalHydra.instance().clear()
    hydra_init(name)
    with initialize_config_dir(config_dir=str(folder or shipped_folder())):
        yield GlobalHydra.instance().hydra.config_loader
    GlobalHydra.instance().clear()


def composed(name: str, *overrides: str, folder: Path | None = None):
    """As fairseq would train: composed by hydra, with the defaults of all parts."""
    with loader(name, folder):
        cfg = compose(name, overrides=[*PATHS, *overrides])
    add_defaults(cfg)
    return cfg


@functools.cache
def before_the_command_line(name: str):
    """What hydra has composed of a recipe when it comes to the overrides: the slow part of it."""
    found = []
    with pytest.MonkeyPatch.context() as patch, loader(name) as config_loader:
        patch.setattr(
            ConfigLoaderImpl, "_apply_overrides_to_config",
            staticmethod(lambda overrides, cfg: found.append(copy.deepcopy(cfg))),
        )  # fmt: skip
        config_loader.load_configuration(name, [], run_mode=RunMode.RUN)
    return found[0]


def changed(name: str, *overrides: str, apply=None):
    """A recipe with overrides that choose no group, by hydra's own step, with all defaults."""
    cfg = copy.deepcopy(before_the_command_line(name))
    parsed = OverridesParser.create().parse_overrides([*PATHS, *overrides])
    (apply or ConfigLoaderImpl._apply_overrides_to_config)(parsed, cfg)
    add_defaults(cfg)
    return cfg


def plain(cfg) -> dict:
    """Without hydra's own section."""
    found = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
    return {key: value for key, value in found.items() if key != "hydra"}


@contextlib.contextmanager
def stock_hydra(monkeypatch):
    """hydra 1.0.7 as it is."""
    with monkeypatch.context() as patch:
        load = ConfigLoaderImpl.load_configuration.__wrapped__
        patch.setattr(ConfigLoaderImpl, "load_configuration", load)
        patch.setattr(ConfigLoaderImpl, "_apply_overrides_to_config", staticmethod(STOCK))
        yield


STOCK = ConfigLoaderImpl._apply_overrides_to_config.__wrapped__


@functools.cache
def settings_of(name: str) -> list[str]:
    """``section.option=value`` for the options of all chosen parts that are a number or a word."""
    cfg = plain(changed(name))
    found = []
    for section in CHOSEN:
        known = dataclass_of(section, cfg[section]["_name"])
        for option in (field.name for field in dataclasses.fields(known)):
            value = cfg[section][option]
            if option in ("_name", "data", "w2v_path", "whisper_path"):
                continue
            if isinstance(value, bool):
                found.append(f"{section}.{option}={str(value).lower()}")
            elif isinstance(value, (int, float)) or str(value).isidentifier() and value:
                found.append(f"{section}.{option}={value}")
    return found


@pytest.mark.parametrize("sign", ["", "+"])
@pytest.mark.parametrize("name", recipes_in(shipped_folder()))
def test_every_known_option_is_changed_with_and_without_a_plus(name, sign):
    settings = [f"{sign}{one}" for one in settings_of(name)]
    assert len(settings) > 50
    assert plain(changed(name, *settings)) == plain(changed(name))


@pytest.mark.parametrize("setting", ["task.group_sampling=uniform", "+criterion.objective=erm"])
def test_stock_hydra_wants_a_plus_for_some_and_none_for_others(setting):
    """What compat/plus_signs.py answers; red once it can be deleted."""
    with pytest.raises(HydraException, match="append"):
        changed("finetune", setting, apply=STOCK)
    assert changed("finetune", setting)


# One line a form: what is typed in the recipe finetune, and what then holds.
FORMS = {
    "an option that the recipe names": (["criterion.step_size=0.5"], {"criterion.step_size": 0.5}),
    "with a plus": (["+criterion.step_size=0.5"], {"criterion.step_size": 0.5}),
    "one that it does not name": (["task.group_sampling=uniform"],
                                  {"task.group_sampling": "uniform"}),
    "that with a plus": (["+task.group_sampling=uniform"], {"task.group_sampling": "uniform"}),
    "twice": (["task.length_noise=0.5", "+task.length_noise=0.1"], {"task.length_noise": 0.1}),
    "a section that is always typed": (["+common.fp16=false", "dataset.max_tokens=7"],
                                       {"common.fp16": False, "dataset.max_tokens": 7}),
    "an option of an option": (["task.eval_wer_config.beam=9"], {"task.eval_wer_config.beam": 9}),
    "removed": (["~lr_scheduler.phase_ratio"],
                {"lr_scheduler.phase_ratio": None, "lr_scheduler.final_lr_scale": 0.05}),
    "removed and set": (["~task.batch_seconds", "task.batch_seconds=3"], {"task.batch_seconds": 3}),
    "another schedule": (["lr_scheduler._name=fixed"],
                         {"lr_scheduler._name": "fixed", "lr_scheduler.phase_ratio": None}),
    "and its option": (["lr_scheduler._name=fixed", "lr_scheduler.warmup_updates=7"],
                       {"lr_scheduler.warmup_updates": 7}),
    "its option first": (["lr_scheduler.warmup_updates=7", "lr_scheduler._name=fixed"],
                         {"lr_scheduler.warmup_updates": 7}),
    "what had to be removed by hand": (
        ["lr_scheduler._name=fixed", "~lr_scheduler.phase_ratio", "~lr_scheduler.final_lr_scale"],
        {"lr_scheduler._name": "fixed"}),
    "the same schedule": (["lr_scheduler._name=tri_stage"], {"lr_scheduler.final_lr_scale": 0.05}),
    "a schedule as a group": (["+lr_scheduler=fixed", "lr_scheduler.warmup_updates=7"],
                              {"lr_scheduler._name": "fixed", "lr_scheduler.phase_ratio": None,
                               "lr_scheduler.warmup_updates": 7}),
    "a group without a plus": (["lr_scheduler=fixed"], {"lr_scheduler._name": "fixed"}),
    "another criterion": (["criterion._name=ctc"],
                          {"criterion._name": "ctc", "criterion.objective": None,
                           "criterion.zero_infinity": True, "hydra.run.dir": "runs/finetune/ctc"}),
    "a criterion as a group": (["+criterion=ctc"],
                               {"criterion._name": "ctc", "criterion.zero_infinity": False,
                                "hydra.sweep.dir": "runs/finetune/ctc"}),
    "a criterion as a section": (["criterion={_name:ctc,post_process:sentencepiece}"],
                                 {"criterion._name": "ctc", "criterion.objective": None,
                                  "criterion.post_process": "sentencepiece"}),
    "another model": (["model._name=wav2vec_seq2seq", "model.decoder_layers=3"],
                      {"model._name": "wav2vec_seq2seq",
                       "model.mask_prob": 0.75, "model.decoder_layers": 3}),
    "fairseq's own task": (["task._name=audio_finetuning"],
                           {"task._name": "audio_finetuning", "task.normalize": True}),
    "a part without a dataclass": (["optimizer._name=lamb", "~optimizer.adam_betas"],
                                   {"optimizer._name": "lamb"}),
    "hydra's own": (["hydra.sweep.dir=x", "+hydra.job.env_set.A=b"],
                    {"hydra.sweep.dir": "x", "hydra.job.env_set.A": "b"}),
    "another objective": (["criterion.objective=erm"], {"hydra.run.dir": "runs/finetune/erm"}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_an_override_holds(form):
    overrides, expected = FORMS[form]
    if any("." not in one.partition("=")[0] and "{" not in one for one in overrides):
        with loader("finetune") as config_loader:
            cfg = config_loader.load_configuration(
                "finetune", [*PATHS, *overrides], run_mode=RunMode.RUN
            )
        add_defaults(cfg)
    else:
        cfg = changed("finetune", *overrides)
    for key, value in expected.items():
        found = OmegaConf.select(cfg, key)
        assert getattr(found, "value", found) == value, key


@pytest.mark.parametrize(
    "typo", ["criterion.step_sise=1", "+criterion.step_sise=1", "modle.w2v_path=x",
             "lr_scheduler._name=fixed lr_scheduler.phase_ratio=[1,0,0]", "common.fp61=true"]
)  # fmt: skip
def test_a_misspelt_key_is_refused(typo):
    with pytest.raises((HydraException, OmegaConfBaseException)):
        changed("finetune", *typo.split())


def test_hydra_records_what_holds_without_its_plus():
    with loader("finetune") as config_loader:
        cfg = config_loader.load_configuration(
            "finetune", ["+task.labels=spm", "criterion.smoothing=1"], run_mode=RunMode.RUN
        )
    assert cfg.hydra.overrides.task == ["task.labels=spm", "criterion.smoothing=1"]


def test_a_sweep_is_composed_like_its_single_runs():
    sweep = ["lr_scheduler._name=fixed,tri_stage", "+task.group_sampling=uniform,temperature"]
    job = ["lr_scheduler._name=fixed", "+task.group_sampling=uniform"]
    with loader("finetune") as config_loader:
        master = config_loader.load_configuration(
            "finetune", [*sweep, *PATHS], run_mode=RunMode.MULTIRUN
        )
        found = config_loader.load_sweep_config(master, [*job, *PATHS])
    assert plain(found)["lr_scheduler"] == {"_name": "fixed"}
    assert found.task.group_sampling == "uniform"
    assert sweep[0] in master.hydra.overrides.task


def mine(folder: Path, text: str, name: str = "mine") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_name_with_its_ending_is_the_same_recipe(tmp_path):
    folder = mine(tmp_path, (shipped_folder() / "mms.yaml").read_text())
    cfg = composed("mine.yaml", "task.group_sampling=uniform", "+task.labels=spm", folder=folder)
    assert (cfg.task.group_sampling, cfg.task.labels) == ("uniform", "spm")


STOCK_RECIPE = """# @package _group_
task: {_name: audio_finetuning, data: "???"}
model: {_name: wav2vec_ctc, w2v_path: "???"}
criterion: {_name: ctc}
lr_scheduler: {_name: tri_stage, phase_ratio: [0.1, 0.4, 0.5]}
"""


@pytest.mark.parametrize(
    ("override", "is_taken"),
    [("task.labels=ltr", False), ("+task.labels=ltr", True), ("lr_scheduler._name=fixed", True),
     ("lr_scheduler=fixed", False), ("+common.fp16=true", False), ("+model.w2v_path=x", True)],
)  # fmt: skip
def test_recipes_of_other_tasks_are_left_alone(tmp_path, override, is_taken):
    folder = mine(tmp_path, STOCK_RECIPE)
    with loader("mine", folder):
        if not is_taken:
            with pytest.raises(HydraException):
                compose("mine", overrides=[override])
        else:
            cfg = compose("mine", overrides=[override])
            assert cfg.lr_scheduler.phase_ratio == [0.1, 0.4, 0.5]  # nothing was dropped


def test_a_recipe_of_another_task_becomes_ours_by_its_name(tmp_path):
    folder = mine(tmp_path, STOCK_RECIPE)
    cfg = composed(
        "mine", "task._name=language_grouped_audio_finetuning", "task.group_sampling=uniform",
        "criterion._name=group_dro_ctc", "criterion.objective=erm", folder=folder,
    )
    assert (cfg.task.group_sampling, cfg.criterion.objective) == ("uniform", "erm")


def test_a_recipe_that_chooses_by_a_list_of_defaults_is_typed_by_hydra(tmp_path):
    folder = mine(
        tmp_path,
        "# @package _group_\ndefaults:\n - task: language_grouped_audio_finetuning\n"
        " - criterion: group_dro_ctc\n - lr_scheduler: tri_stage\n - model: wav2vec_ctc\n",
    )
    cfg = composed("mine", "task.group_sampling=uniform", "lr_scheduler=fixed", folder=folder)
    assert (cfg.task.group_sampling, cfg.lr_scheduler._name) == ("uniform", "fixed")


def test_what_fairseq_train_was_given_is_composed_as_before(monkeypatch):
    overrides = ["task=language_grouped_audio_finetuning", "task.data=d", "criterion=ctc"]

    def config():
        with loader("config", Path(fairseq.__file__).parent / "config"):
            return plain(compose("config", overrides=overrides))

    found = config()
    with stock_hydra(monkeypatch):
        assert config() == found


def test_an_uninstalled_plugin_is_known_too_late(monkeypatch):
    """A user dir is imported after hydra has composed: then a part has no dataclass."""
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    monkeypatch.delitem(TASK_DATACLASS_REGISTRY, "language_grouped_audio_finetuning")
    with loader("finetune"):
        with pytest.raises(HydraException, match="append"):
            compose("finetune", overrides=["task.group_sampling=uniform"])
        cfg = compose("finetune", overrides=["+task.group_sampling=uniform"])
    assert cfg.task.group_sampling == "uniform"
