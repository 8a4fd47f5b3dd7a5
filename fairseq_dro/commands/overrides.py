"""What is wrong with ``section.option=value`` arguments, said before anything heavy is imported."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fairseq_dro.doctor import source_options
from fairseq_dro.errors import UserError
from fairseq_dro.input_paths import INPUTS, missing, require_path

_OVERRIDE = re.compile(r"(?P<sign>[+~]*)(?P<key>[^=@\s]+)(?:@[^=]*)?(?:=(?P<value>.*))?", re.DOTALL)
_MISSING = "???"


DECODING = ("decoding",)
"""Sections of ``fairseq-dro infer`` that training does not have."""


def require_known(recipe: Path | None, words: Sequence[str]) -> None:
    """Refuse what is no override, an option that nothing has, and a home folder written as ~.

    Args:
        recipe: file of the recipe, which says the parts of its sections; None for decoding, whose
            task is that of the checkpoint.

    Raises:
        UserError: the first such word.
    """
    parts = {
        section: options.get("_name")
        for section, options in (_read(recipe) if recipe else {}).items()
        if isinstance(options, Mapping)
    }
    typed = [_parsed(word) for word in words]
    parts |= {key.removesuffix("._name"): value for _, key, value in typed if "._name" in key}
    parts |= {key: value for _, key, value in typed if key in source_options.PARTS}
    for _, key, value in typed:
        if value.startswith("~/"):  # hydra would make a folder of this name
            raise UserError(
                f"{key}={value}: the shell leaves ~ as it is here: write {key}=$HOME{value[1:]}."
            )
        section, _, option = key.partition(".")
        if section.split("/")[0] == "hydra":
            continue
        known = source_options.sections()
        if known is not None and recipe is None:
            known |= frozenset(DECODING)
        if known is not None and section not in known:
            elsewhere = [] if option else _with_option(key, parts)
            raise UserError(_unknown(key, section, known, "", elsewhere))
        options = source_options.options_of(section, parts.get(section)) if option else None
        top = option.split(".")[0]
        if options is not None and top and top not in options:
            elsewhere = _with_option(top, parts)
            raise UserError(_unknown(key, top, options, f"{section}.", elsewhere))


def require_inputs(recipe: Path, words: Sequence[str]) -> None:
    """Refuse a data folder or a pre-trained file that is not named, or is not there.

    Raises:
        UserError: the first such; the sentence says what is near.
    """
    typed = values(words)
    written = _read(recipe)
    for name in INPUTS:
        section, _, option = name.partition(".")
        in_recipe = (written.get(section) or {}).get(option)
        value = typed.get(name, in_recipe)
        if value == _MISSING:
            raise missing(name)
        if name in typed and value and not re.search(r"[$,\\]", value):
            require_path(name, value.strip("'\""))


def values(words: Sequence[str]) -> dict[str, str]:
    """What is set, by the name of the option."""
    return {key: value for sign, key, value in map(_parsed, words) if sign != "~"}


def _parsed(word: str) -> tuple[str, str, str]:
    """Sign, key and value of an override.

    Raises:
        UserError: it is none.
    """
    match = _OVERRIDE.fullmatch(word)
    if match is None or (match["value"] is None and "~" not in match["sign"]):
        raise UserError(_no_override(word))
    return match["sign"], match["key"], match["value"] or ""


def _no_override(word: str) -> str:
    path = Path(word)
    if path.exists():
        name = "task.data" if path.is_dir() and any(path.glob("*.tsv")) else "model.w2v_path"
        return f"{word} is not an option: did you mean {name}={word}?"
    if re.fullmatch(r"\w+(\.\w+)+", word):
        return f"{word} has no value: write {word}=VALUE, without spaces."
    return f"{word} is not an option: write SECTION.OPTION=VALUE."


def _with_option(name: str, parts: Mapping[str, Any]) -> list[str]:
    """Every ``section.name`` that there is; the one that others copy alone."""
    sections = sorted(source_options.sections() or ())
    has = {one: source_options.options_of(one, parts.get(one)) or () for one in sections}
    found = [f"{section}.{name}" for section in sections if name in has[section]]
    return [one for one in found if one in (*INPUTS, f"optimization.{name}")] or found


def _unknown(
    key: str, name: str, known: Iterable[str], prefix: str, elsewhere: Sequence[str]
) -> str:
    if elsewhere:
        return f"{key} is not an option: did you mean {' or '.join(elsewhere[:3])}?"
    near = difflib.get_close_matches(name, sorted(known), 3, 0.6)
    if near:
        return f"{key} is not an option: did you mean {' or '.join(prefix + one for one in near)}?"
    return f"{key} is not an option: `fairseq-dro train RECIPE --cfg job` lists all."


def _read(recipe: Path) -> Mapping[str, Any]:
    """A recipe as it is written; nothing where hydra will have to say what is wrong with it."""
    try:
        found = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError):
        return {}
    return found if isinstance(found, Mapping) else {}
