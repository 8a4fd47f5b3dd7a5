"""Settings of a run, flat, and what differs between two lots of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fairseq_dro.errors import UserError

# Where a run ran says nothing about what was done.
_PLACES = ("hydra.", "distributed_training.distributed_init_method", "task.data", "common.user_dir")


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"criterion": {"smoothing": 0.5}}`` becomes ``{"criterion.smoothing": 0.5}``."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{name}."))
        else:
            found[name] = value
    return found


def differences(
    first: Mapping[str, Any], second: Mapping[str, Any], *, only_known_to_first: bool = False
) -> list[tuple[str, str, str]]:
    """(option, value there, value here) of two flat configurations, places left out.

    Args:
        only_known_to_first: leave out what the first does not name; a recipe names deviations from
            fairseq's defaults only, so its silence says nothing.
    """
    rows = []
    for name in sorted({*first, *second}):
        if name.startswith(_PLACES) or (only_known_to_first and name not in first):
            continue
        there, here = said(first.get(name, "")), said(second.get(name, ""))
        if there != here:
            rows.append((name, there, here))
    return rows


def said(value: Any) -> str:
    """A value as a recipe spells it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(said(one) for one in value) + "]"
    if isinstance(value, str):
        return _number(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe's settings, flat.

    Raises:
        UserError: it is no YAML mapping.
    """
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"{path} cannot be read as a recipe ({error}): name a .yaml file."
        ) from None
    if not isinstance(recipe, dict):
        raise UserError(f"{path} is no recipe: expected sections such as criterion: and task:.")
    return flat(recipe)


def _number(text: str) -> str:
    """YAML reads ``1e-4`` as text and ``1.0e-4`` as a number: the same setting."""
    try:
        return f"{float(text):g}" if any(c.isdigit() for c in text) else text
    except ValueError:
        return text
