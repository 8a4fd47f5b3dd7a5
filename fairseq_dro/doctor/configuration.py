"""Findings about a configuration: keys that nothing knows, values that contradict each other.

fairseq says the first unknown key of a task or criterion only when training starts, and fills in
what it does not find. Here all keys of a recipe and of the command line are compared with the
dataclasses of fairseq and of this package, then the configuration is composed as
``fairseq-hydra-train`` composes it. Importing fairseq and torch takes seconds, so this module is
imported only where a configuration is named in whose names the source finds no mistake.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fairseq_dro

fairseq_dro.register()

from fairseq.dataclass.configs import FairseqConfig  # noqa: E402
from fairseq.dataclass.initialize import add_defaults, hydra_init  # noqa: E402
from fairseq.models import ARCH_MODEL_NAME_REGISTRY, MODEL_REGISTRY  # noqa: E402
from fairseq.registry import REGISTRIES  # noqa: E402
from fairseq.tasks import TASK_REGISTRY  # noqa: E402
from fairseq.utils import import_user_module  # noqa: E402
from hydra.core.global_hydra import GlobalHydra  # noqa: E402
from hydra.experimental import compose, initialize_config_dir  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402

from fairseq_dro.batching.planner import GroupSampling  # noqa: E402
from fairseq_dro.checks.finding import Finding, Severity  # noqa: E402
from fairseq_dro.compat.plus_signs import dataclass_of  # noqa: E402
from fairseq_dro.doctor import contradictions  # noqa: E402
from fairseq_dro.doctor.option_names import (  # noqa: E402
    OVERRIDE,
    Known,
    leaves,
    read_recipe,
    require_one_data_folder,
    unknown_keys,
    user_dir_of,
)
from fairseq_dro.doctor.run_settings import RunSettings  # noqa: E402
from fairseq_dro.dro.rules import RULES  # noqa: E402
from fairseq_dro.errors import UserError  # noqa: E402
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy  # noqa: E402


def examine_configuration(
    folder: Path, config_dir: Path, config_name: str, overrides: Sequence[str]
) -> tuple[RunSettings | None, list[Finding]]:
    """What a run would do, None where its configuration cannot be composed, and what is wrong.

    Args:
        folder: the data folder, which takes the place of ``task.data``.

    Raises:
        UserError: the configuration's file is missing or no YAML, or ``overrides`` name another
            data folder.
    """
    path = config_dir / f"{config_name}.yaml"
    recipe = read_recipe(path)
    import_user_module(SimpleNamespace(user_dir=user_dir_of(recipe, overrides)))
    findings = unknown_keys(recipe, overrides, path.name, registered())
    if findings:
        return None, findings
    if not require_one_data_folder(folder, overrides):
        overrides = [*overrides, f"task.data={folder}"]
    keys = [*leaves(recipe), *(match["key"] for match in map(OVERRIDE.match, overrides) if match)]
    try:
        cfg = compose_configuration(config_dir.resolve(), config_name, overrides)
    except Exception as error:  # hydra, omegaconf and fairseq raise many kinds
        return None, [_not_composed(path.name, error, keys)]
    findings, layers = contradictions.of_configuration(cfg)
    try:
        settings = _settings(cfg)
    except (ValueError, TypeError, KeyError) as error:
        return None, [*findings, _not_composed(path.name, error, keys)]
    if layers:
        settings = dataclasses.replace(settings, layers=layers)
    return settings, findings


def registered() -> Known:
    """What fairseq and this package have registered."""

    def options_of(section: str, name: str | None) -> list[str]:
        known = dataclass_of(section, name)
        return ["_name", *(field.name for field in dataclasses.fields(known))] if known else []

    def parts_of(section: str) -> list[str]:
        if section == "task":
            return sorted(TASK_REGISTRY)
        if section == "model":
            return sorted({*MODEL_REGISTRY, *ARCH_MODEL_NAME_REGISTRY})
        return sorted(REGISTRIES.get(section, {}).get("registry", ()))

    return Known(FairseqConfig.__dataclass_fields__, options_of, parts_of)


def compose_configuration(
    config_dir: Path, config_name: str, overrides: Sequence[str]
) -> DictConfig:
    """As ``fairseq_cli/hydra_train.py`` does, its defaults filled in."""
    GlobalHydra.instance().clear()
    hydra_init(config_name)
    try:
        with initialize_config_dir(config_dir=str(config_dir)):
            cfg = compose(config_name, overrides=list(overrides))
    finally:
        GlobalHydra.instance().clear()
    add_defaults(cfg)
    return cfg


def _not_composed(file_name: str, error: Exception, keys: Sequence[str]) -> Finding:
    """The finding for what hydra or omegaconf raised.

    Args:
        keys: what the recipe and the command line name, for some errors name no section.
    """
    if isinstance(error, UserError):
        return Finding("bad_configuration", Severity.ERROR, str(error).rstrip("."), "")
    if str(error).startswith("Error merging override") and error.__cause__:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    what = lines[0].rstrip(".") if lines else type(error).__name__
    named = [line.partition("full_key:")[2].strip() for line in lines if "full_key:" in line]
    key = named[0] if named else ""
    key = next((full for full in keys if full.endswith(f".{key}")), key) if key else key
    if key and f"'{key}'" not in what:
        what = f"{key}: {what}"
    return Finding(
        "bad_configuration", Severity.ERROR,
        f"{file_name} and the options typed make no configuration: {what}", _fix_of(what, key),
    )  # fmt: skip


def _fix_of(what: str, key: str) -> str:
    group = re.match(r"Could not override '(\w+)'\. No match", what)
    if group:
        return f"write {group[1]}._name=NAME"
    if what.startswith("Could not load hydra/"):
        return "install the plugin that has it, or fix its name"
    if what.startswith("Could not append"):  # these two: in recipes of other tasks
        return "leave out the + before an option that is there already"
    if what.startswith("Could not override"):
        name = re.search("'(.*?)'", what)
        return f"put a + before an option that the recipe does not name: +{name[1]}=VALUE"
    if "expecting" in what or "arsing override" in what or what.startswith("Lexer"):
        return "write SECTION.OPTION=VALUE, in quotes where the value has blanks or brackets"
    if "ListConfig" in what:
        return f"write a list: '{key}=[VALUE]'"
    if re.search("converted to (Float|Integer)|valid bool", what):
        return f"write {key}={_number_meant(what)}"
    if re.search("Key '.*' (not in|is not)", what):
        return "leave it out, or fix its name"
    return "fix the value"


def _number_meant(what: str) -> str:
    """What to type for a value that is no number, or none of the kind that is asked for."""
    value = re.search("Value '(.*?)'", what)[1]
    if "Float" in what:
        return value.replace(",", ".") if re.fullmatch(r"\d+,\d+", value) else "NUMBER"
    if "Integer" in what:
        return value.split(".")[0] if re.fullmatch(r"\d+\.0+", value) else "N, a whole number"
    return "true or false"


def _settings(cfg: DictConfig) -> RunSettings:
    task, dataset = cfg.task, cfg.dataset

    def option(section: DictConfig, name: str, default: Any) -> Any:
        if name not in section or OmegaConf.is_missing(section, name) or section[name] is None:
            return default
        return section[name]

    defaults = RunSettings()
    max_tokens = option(dataset, "max_tokens", None)
    micro_batches = option(cfg.optimization, "update_freq", [1])[0]
    workers = option(cfg.distributed_training, "distributed_world_size", 1)
    return RunSettings(
        is_of_config=True,
        train_subset=dataset.train_subset,
        valid_subsets=tuple(str(dataset.valid_subset).split(",")),
        label_type=option(task, "labels", "ltr"),
        group_by=GroupBy.parse(option(task, "group_by", BY_LANGUAGE)),
        language_token=bool(option(task, "language_token", False)),
        skip_infeasible=bool(option(task, "skip_infeasible", False)),
        sample_rate=int(option(task, "sample_rate", 16_000)),
        batch_seconds=float(option(task, "batch_seconds", defaults.batch_seconds)),
        min_samples=int(option(task, "min_sample_size", 0)),
        max_samples=max_tokens,
        max_samples_valid=option(dataset, "max_tokens_valid", max_tokens),
        skips_too_long=bool(dataset.skip_invalid_size_inputs_valid_test),
        max_utterances=option(dataset, "batch_size", None),
        sampling=GroupSampling(str(option(task, "group_sampling", "proportional"))),
        temperature=float(option(task, "sampling_temperature", defaults.temperature)),
        length_noise=float(option(task, "length_noise", defaults.length_noise)),
        seed=int(cfg.common.seed),
        workers=max(int(workers), 1),
        micro_batches=int(micro_batches),
        is_whisper=option(task, "_name", "") == "language_grouped_whisper_finetuning",
        subsampling=(
            int(option(cfg.model, "subsampling", 1))
            if option(cfg.model, "transformer_layers", 0)
            else 1
        ),
        whisper_path=option(cfg.model, "whisper_path", None),
        tokenizer_path=option(cfg.model, "tokenizer_path", None),
        post_process=option(cfg.criterion, "post_process", None),
        compares_sums=_compares_sums(
            str(option(cfg.criterion, "objective", "")),
            str(option(cfg.criterion, "group_loss", "auto")),
        ),
    )


def _compares_sums(objective: str, group_loss: str) -> bool:
    """Whether q moves by the sums of batches, whatever they hold."""
    rule = RULES.get(objective)
    if rule is None or not rule.moves:
        return False
    return (rule.group_loss.value if group_loss == "auto" else group_loss) == "per_batch"
