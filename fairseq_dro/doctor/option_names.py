"""Options that a recipe or a command line names and nothing knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fairseq_dro.checks.finding import Finding, Severity
from fairseq_dro.doctor import source_options
from fairseq_dro.errors import UserError
from fairseq_dro.recipes import require_file
from fairseq_dro.text_lines import decoded
from fairseq_dro.wording import listed

NOT_OPTIONS = ("hydra", "defaults")
OVERRIDE = re.compile(r"^(?P<sign>[+~]*)(?P<key>[^=@]+)(@[^=]*)?(=(?P<value>.*))?$", re.DOTALL)


@dataclass(frozen=True)
class Known:
    """Names that exist.

    Attributes:
        sections: of a configuration.
        options_of: of a section whose ``_name`` is given; empty where they cannot be known.
        parts_of: what ``section._name`` may say; empty where that cannot be known.
    """

    sections: Collection[str]
    options_of: Callable[[str, str | None], Collection[str]]
    parts_of: Callable[[str], Collection[str]]


def in_source() -> Known:
    """What the source of fairseq and of this package says, at once."""
    return Known(
        source_options.sections() or (),
        lambda section, part: source_options.options_of(section, part) or (),
        source_options.parts_of,
    )


def user_dir_of(recipe: Mapping[str, Any], overrides: Sequence[str]) -> str | None:
    """``common.user_dir``, whose parts no source of ours has."""
    typed = [match for match in map(OVERRIDE.match, overrides) if match]
    values = [match["value"] for match in typed if match["key"] == "common.user_dir"]
    value = values[-1] if values else (recipe.get("common") or {}).get("user_dir")
    return None if value in (None, "", "null") else str(value)


def unknown_keys(
    recipe: Mapping[str, Any], overrides: Sequence[str], file_name: str, known: Known
) -> list[Finding]:
    """Keys of a recipe and of the command line that do not exist."""
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
        if name is None or known.options_of(section, name):
            continue
        parts = known.parts_of(section)
        if parts and name not in parts:
            key = f"{section}._name={name}"
            found.append(_unknown(key, where, parts, f"{section}._name="))
    for key, where in keys:
        section, _, option = key.partition(".")
        if section.split("/")[0] in NOT_OPTIONS or "@" in key:  # hydra/launcher, too
            continue
        if known.sections and section not in known.sections:
            if (section, where) not in told:
                told.add((section, where))
                found.append(_unknown(key, where, known.sections, ""))
            continue
        if where == file_name and section in replaced:
            continue  # what another part does not know is dropped (compat/plus_signs.py)
        options = known.options_of(section, names.get(section, (None, ""))[0])
        if options and option and option.split(".")[0] not in options:
            found.append(_unknown(key, where, options, f"{section}."))
    return found


def read_recipe(path: Path) -> dict[str, Any]:
    """The sections of a recipe, as they are written.

    Raises:
        UserError: there is no such file, or it is not YAML of sections with options.
    """
    require_file(path)
    try:
        recipe = yaml.safe_load(decoded(path.read_bytes(), path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "cannot be read"
        raise UserError(f"{where} is not YAML ({problem}): fix the line.") from None
    if not isinstance(recipe, dict):
        raise UserError(f"{path} holds no sections: expected task:, criterion: and so on.")
    for section in source_options.sections() or ():
        if not isinstance(recipe.get(section, {}), dict):
            raise UserError(
                f"{path}: {section} holds no options: expected `{section}:` and under it, set in, "
                "a line `NAME: VALUE` for each option."
            )
    return recipe


def require_one_data_folder(folder: Path, overrides: Sequence[str]) -> bool:
    """Whether ``overrides`` name the data folder, by the last ``task.data=...``.

    Raises:
        UserError: they name another one.
    """
    typed = [match for match in map(OVERRIDE.match, overrides) if match]
    values = [match["value"] for match in typed if match["key"] == "task.data" and match["value"]]
    if not values:
        return False
    named = values[-1].strip().strip("'\"")
    if "${" not in named and Path(named).resolve() != folder.resolve():
        raise UserError(
            f"doctor: task.data={named} is typed and {folder} is examined: name one of them, or "
            "leave task.data out."
        )
    return True


def leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _unknown(key: str, where: str, known: Collection[str], prefix: str) -> Finding:
    option = key.removeprefix(prefix).split(".")[0]
    near = difflib.get_close_matches(option, sorted(known), 3, 0.6)
    fix = "leave it out; `fairseq-dro train RECIPE --cfg job` lists all"
    if prefix.endswith("="):
        fix = f"expected one of {listed(sorted(known), 12)}"
    if near:
        fix = f"did you mean {' or '.join(prefix + name for name in near)}?"
    return Finding("unknown_option", Severity.ERROR, f"{key} ({where}) is not an option", fix)
