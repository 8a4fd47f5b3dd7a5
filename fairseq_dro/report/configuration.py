"""Settings of runs, compared by value: by what they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where a run ran says nothing about what was done.
_PLACES = ("hydra.", "distributed_training.distributed_init_method", "task.data", "common.user_dir")


def differences(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """(option, value there, value here) of two configurations, places left out."""
    there, here = _flat(first), _flat(second)
    rows = []
    for name in sorted({*there, *here}):
        pair = _said(there.get(name, "")), _said(here.get(name, ""))
        if not name.startswith(_PLACES) and pair[0] != pair[1]:
            rows.append((name, *pair))
    return rows


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"criterion": {"smoothing": 0.5}}`` becomes ``{"criterion.smoothing": 0.5}``."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found.update(_flat(value, f"{name}."))
        else:
            found[name] = value
    return found


def _said(value: Any) -> str:
    """A value as a recipe spells it; YAML reads ``1e-4`` as text and ``1.0e-4`` as a number."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_said, value)) + "]"
    try:
        is_number = isinstance(value, float) or any(c.isdigit() for c in str(value))
        return f"{float(value):g}" if is_number else str(value)
    except (TypeError, ValueError):
        return str(value)
