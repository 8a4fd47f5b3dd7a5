"""Names of weights in two libraries, as a table of patterns that is read in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch

from fairseq_dro.errors import UserError

_PLACES = {"n": r"\d+", "part": "weight|bias", "side": "encoder|decoder"}
"""What may stand for ``{n}``, ``{part}`` and ``{side}``."""

Weights = Mapping[str, torch.Tensor]


class NameTable:
    """Rows of their name and ours, such as ``encoder.layers.{n}.fc1.{part}``.

    Where several of their names stand for one of ours, the first row is the one to write.
    """

    def __init__(self, rows: Mapping[str, str]) -> None:
        self._ours = [(_matcher(theirs), ours) for theirs, ours in rows.items()]
        self._theirs = [(_matcher(ours), theirs) for theirs, ours in rows.items()]

    def ours(self, name: str) -> str | None:
        """Our name for theirs; None where there is none."""
        return _renamed(name, self._ours)

    def theirs(self, name: str) -> str | None:
        """Their name for ours; None where there is none."""
        return _renamed(name, self._theirs)

    def to_ours(self, weights: Weights) -> tuple[dict[str, torch.Tensor], list[str]]:
        """The weights by our names, and their names for which there is none."""
        return _all_renamed(weights, self._ours)

    def to_theirs(self, weights: Weights) -> tuple[dict[str, torch.Tensor], list[str]]:
        """The weights by their names, and our names for which there is none."""
        return _all_renamed(weights, self._theirs)


def require_none_left(names: Iterable[str], path: str, expected: str) -> None:
    """Refuse weights whose names are in no table.

    Args:
        expected: what the weights should be those of.

    Raises:
        UserError: naming the first of them.
    """
    names = list(names)
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise UserError(
            f"{path} holds weights that {expected} does not have: {', '.join(names[:3])}{more}; it "
            "is another kind of model, which cannot be converted."
        )


def _matcher(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    for place in range(1, len(parts), 2):
        parts[place] = f"(?P<{parts[place]}>{_PLACES[parts[place]]})"
    parts[::2] = map(re.escape, parts[::2])
    return re.compile("".join(parts))


def _renamed(name: str, rows: list[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, renamed in rows:
        found = pattern.fullmatch(name)
        if found:
            return renamed.format(**found.groupdict())
    return None


def _all_renamed(
    weights: Weights, rows: list[tuple[re.Pattern[str], str]]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    found, left = {}, []
    for name, weight in weights.items():
        renamed = _renamed(name, rows)
        if renamed is None:
            left.append(name)
        else:
            found[renamed] = weight
    return found, left
