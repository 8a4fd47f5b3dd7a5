"""Options that a recipe or a command line names and nothing knows.

Names are those that are registered by then: ``configuration`` registers this package before.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairseq.dataclass.configs import FairseqConfig
from fairseq.models import ARCH_MODEL_NAME_REGISTRY, MODEL_REGISTRY
from fairseq.registry import REGISTRIES
from fairseq.tasks import TASK_REGISTRY

from fairseq_dro.compat.plus_signs import dataclass_of
from fairseq_dro.doctor.finding import Finding, Severity, listed

NOT_OPTIONS = ("hydra", "defaults")
OVERRIDE = re.compile(r"^(?P<sign>[+~]*)(?P<key>[^=@]+)(@[^=]*)?(=(?P<value>.*))?$", re.DOTALL)


def unknown_keys(
    recipe: Mapping[str, Any], overrides: Sequence[str], file_name: str
) -> list[Finding]:
    """Keys of a recipe and of the command line that no dataclass has."""
    typed = [match for match in map(OVERRIDE.match, overrides) if match]
    removed = {match["key"] for match in typed if match["sign"] == "~"}
    keys = [(key, file_name) for key in leaves(recipe) if key not in removed]
    keys += [(match["key"], "command line") for match in typed if match["sign"] != "~"]
    sections = {name: part for name, part in recipe.items() if isinstance(part, Mapping)}
    names = {section: (part.get("_name"), file_name) for section, part in sections.items()}
    replaced: set[str] = set()
    for match in typed:
        section, _, option = match["key"].partition(".")
        if option == "_name":
            if names.get(section, ("", ""))[0] != match["value"]:
                replaced.add(section)
            names[section] = (match["value"], "command line")
    found: list[Finding] = []
    told: set[tuple[str, str]] = set()  # sections that do not exist
    for section, (name, where) in names.items():
        registered = names_of(section)
        if name is not None and registered and name not in registered:
            key = f"{section}._name={name}"
            found.append(_unknown(key, where, registered, f"{section}._name="))
    for key, where in keys:
        section, _, option = key.partition(".")
        if section.split("/")[0] in NOT_OPTIONS or "@" in key:  # hydra/launcher, too
            continue
        known = options_of(section, names.get(section, (None, ""))[0])
        if known is None and (section, where) not in told:
            told.add((section, where))
            found.append(_unknown(key, where, list(FairseqConfig.__dataclass_fields__), ""))
        elif where == file_name and section in replaced:
            continue  # what another part does not know is dropped (compat/plus_signs.py)
        elif known and option and option.split(".")[0] not in known:
            found.append(_unknown(key, where, known, f"{section}."))
    return found


def options_of(section: str, name: str | None) -> list[str] | None:
    """Option names of a section; empty where they cannot be known, None where there is no such.

    Args:
        name: what ``section._name`` says: the task, the criterion, ...
    """
    if section not in FairseqConfig.__dataclass_fields__:
        return None
    known = dataclass_of(section, name)
    return ["_name", *(field.name for field in dataclasses.fields(known))] if known else []


def names_of(section: str) -> list[str]:
    """What ``section._name`` may say; empty where it is not to be chosen."""
    if section == "task":
        return sorted(TASK_REGISTRY)
    if section == "model":
        return sorted({*MODEL_REGISTRY, *ARCH_MODEL_NAME_REGISTRY})
    return sorted(REGISTRIES.get(section, {}).get("registry", ()))


def leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _unknown(key: str, where: str, known: list[str], prefix: str) -> Finding:
    option = key.removeprefix(prefix).split(".")[0]
    near = difflib.get_close_matches(option, known, 3, 0.6)
    mend = "leave it out; `fairseq-dro train RECIPE --cfg job` lists all"
    if prefix.endswith("="):
        mend = f"expected one of {listed(known, 12)}"
    if near:
        mend = f"did you mean {' or '.join(prefix + name for name in near)}?"
    return Finding("unknown_option", Severity.ERROR, f"{key} ({where}) is no option", mend)
