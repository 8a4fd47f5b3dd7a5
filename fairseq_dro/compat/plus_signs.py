"""In a recipe of this package's tasks every known option is changed by ``section.option=value``.

fairseq stores ``FairseqConfig`` under the recipe's name with ``task: Any = None`` (and ``model``,
``criterion``, ``optimizer``, ``lr_scheduler`` alike; fairseq/dataclass/configs.py:1040-1056), and
fills in what the chosen parts know only after hydra has composed (``add_defaults``). So hydra 1.0
takes ``task.group_sampling=uniform`` for an unknown key, unless the recipe happens to name it:
``Could not override ... To append to your config use +task.group_sampling=uniform``; and where the
recipe names it, hydra refuses the plus.

Here the dataclass of each chosen part says what is known, at the moment when hydra applies the
command line to the composed recipe. A plus is added or dropped for what is known; for everything
else hydra decides as before. Another part of a section (``lr_scheduler._name=fixed``) takes over
the options that it has, too; those of the former part are dropped.

Left alone are recipes of other tasks, sections whose part has no dataclass, ``fairseq-train``, and
a plugin that is not installed: a ``common.user_dir`` is imported after hydra has composed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from fairseq_dro.own_runs import is_own_task


def needed() -> bool:
    """Always: fairseq 0.12.2 is the last release, and stores its sections so."""
    return True


def apply() -> None:
    """Wrap the two steps by which hydra applies a command line."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    load = ConfigLoaderImpl.load_configuration
    apply_overrides = ConfigLoaderImpl._apply_overrides_to_config

    @functools.wraps(load)
    def load_configuration(
        self: Any, config_name: str | None, overrides: list[str], *args: Any, **kwargs: Any
    ) -> Any:
        if config_name is not None and self.repository.config_exists(config_name):
            recipe = self.repository.load_config(config_name, is_primary_config=True).config
            overrides = [_as_choice(one, recipe) for one in overrides]
        return load(self, config_name, overrides, *args, **kwargs)

    @functools.wraps(apply_overrides)
    def apply_overrides_to_config(overrides: Sequence[Any], cfg: Any) -> None:
        if not _is_recipe_of_our_task(cfg, overrides):
            apply_overrides(overrides, cfg)
            return
        dropped = _change_parts(cfg, overrides)
        for override in overrides:
            if override.is_delete() and override.key_or_group in dropped:
                continue  # what had to be typed along with another part
            _set_sign(override, cfg)
            apply_overrides([override], cfg)

    ConfigLoaderImpl.load_configuration = load_configuration
    ConfigLoaderImpl._apply_overrides_to_config = staticmethod(apply_overrides_to_config)


def dataclass_of(section: str, name: str | None) -> Any:
    """What a section of a configuration may hold: a dataclass, or None where that is not known.

    Args:
        section: such as ``task``, ``lr_scheduler``, ``dataset``.
        name: what ``section._name`` says: the task, the schedule ...
    """
    from fairseq.dataclass.configs import FairseqConfig
    from fairseq.models import ARCH_MODEL_NAME_REGISTRY, MODEL_DATACLASS_REGISTRY
    from fairseq.registry import REGISTRIES
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    field = FairseqConfig.__dataclass_fields__.get(section)
    if field is not None and dataclasses.is_dataclass(field.default):
        return type(field.default)
    if section == "task":
        return TASK_DATACLASS_REGISTRY.get(name)
    if section == "model":
        return MODEL_DATACLASS_REGISTRY.get(ARCH_MODEL_NAME_REGISTRY.get(name, name))
    return REGISTRIES.get(section, {}).get("dataclass_registry", {}).get(name)


def known_options(section: str, name: str | None) -> frozenset[str]:
    """Names of the options of a section; empty where they are not known."""
    known = dataclass_of(section, name)
    return frozenset(["_name", *known.__dataclass_fields__]) if known else frozenset()


def _as_choice(override: str, recipe: Any) -> str:
    """``lr_scheduler=fixed`` as hydra takes it where the recipe has no list of defaults."""
    section, _, name = override.partition("=")
    if section == "task" or "defaults" in recipe or not dataclass_of(section, name):
        return override
    task = recipe.get("task")
    is_ours = hasattr(task, "get") and is_own_task(task.get("_name"))
    return f"+{override}" if is_ours else override


def _is_recipe_of_our_task(cfg: Any, overrides: Sequence[Any]) -> bool:
    """Whether a recipe file names the task, or the command line does for a recipe of another one.

    In ``config``, with which fairseq composes what ``fairseq-train`` was given, hydra itself has
    typed the sections by then.
    """
    from fairseq.dataclass.configs import FairseqConfig
    from omegaconf import OmegaConf

    if OmegaConf.get_type(cfg) is not FairseqConfig or OmegaConf.get_type(cfg, "task") is not dict:
        return False
    return is_own_task(cfg.task.get("_name")) or is_own_task(_chosen("task", overrides))


def _chosen(section: str, overrides: Sequence[Any]) -> str | None:
    """The part that the command line chooses by ``section._name=NAME``."""
    for override in reversed(overrides):
        value = override.value()
        if override.key_or_group == f"{section}._name" and isinstance(value, str):
            return value
        if override.key_or_group == section and isinstance(value, dict) and "_name" in value:
            return value["_name"]
    return None


def _change_parts(cfg: Any, overrides: Sequence[Any]) -> set[str]:
    """Put another part than the recipe's in a section; what that does not know, which is dropped.

    A part that is chosen as ``section=NAME`` has its own defaults, for hydra has typed and merged
    it by now; one that is chosen by ``section._name=NAME`` keeps what the recipe says.
    """
    from fairseq.dataclass.configs import FairseqConfig
    from omegaconf import DictConfig, OmegaConf, open_dict

    dropped: set[str] = set()
    for section in FairseqConfig.__dataclass_fields__:
        part = cfg.get(section)
        if not isinstance(part, DictConfig):
            continue
        is_typed = OmegaConf.get_type(part) is not dict
        name = part.get("_name") if is_typed else _chosen(section, overrides)
        known = known_options(section, name)
        if not known or (name == part.get("_name") and not is_typed):
            continue
        unknown = [key for key in part if key not in known]
        with open_dict(cfg):
            if unknown:
                rest = {key: part._get_node(key) for key in part if key in known}
                cfg[section] = OmegaConf.create(rest)
                _rename_run_folder(cfg, section, unknown)
            cfg[section]._name = name
        dropped |= {f"{section}.{option}" for option in unknown}
    return dropped


def _rename_run_folder(cfg: Any, section: str, dropped: Sequence[str]) -> None:
    """A folder that is named by a dropped option is named by the part itself."""
    from omegaconf import OmegaConf

    for mode in ("run", "sweep"):
        place = OmegaConf.to_container(cfg.hydra[mode], resolve=False)
        for key, folder in place.items():
            for option in dropped:
                if isinstance(folder, str):
                    folder = folder.replace(f"${{{section}.{option}}}", f"${{{section}._name}}")
            if folder != place[key]:
                cfg.hydra[mode][key] = folder


def _set_sign(override: Any, cfg: Any) -> None:
    """Have hydra change or add a known option, as the composed recipe names it or does not."""
    from fairseq.dataclass.configs import FairseqConfig
    from hydra.core.override_parser.types import OverrideType
    from omegaconf import DictConfig

    section, _, option = override.key_or_group.partition(".")
    changes = section in FairseqConfig.__dataclass_fields__ and not override.is_delete()
    part = cfg.get(section) if changes else None
    if not isinstance(part, DictConfig):
        return
    known = known_options(section, part.get("_name"))
    if not option and isinstance(override.value(), dict) and known.issuperset(override.value()):
        override.type = OverrideType.ADD  # section={option:value}, which hydra merges
    top, *deeper = option.split(".")
    if top not in known:
        return
    override.input_line = override.input_line.lstrip("+")  # what hydra records
    node: Any = part
    for key in (top, *deeper):
        if not isinstance(node, DictConfig) or key not in node._content:
            override.type = OverrideType.ADD
            return
        node = node._get_node(key)
    override.type = OverrideType.CHANGE
