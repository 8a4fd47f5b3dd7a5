"""What a training split holds, in numbers small enough for every checkpoint."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fingerprint:
    """Tells two versions of a split apart, and names the groups in which they differ.

    Attributes:
        groups: by group name, its number of utterances and the CRC-32 of its lines in order.
        order: CRC-32 of all lines in order, so that lines which only moved show as well.
    """

    groups: dict[str, tuple[int, int]]
    order: int

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]]) -> Fingerprint:
        """From (group name, all that matters of the utterance) in the order of the split."""
        groups: dict[str, tuple[int, int]] = {}
        order = 0
        for group, line in rows:
            data = f"{line}\n".encode()
            count, checksum = groups.get(group, (0, 0))
            groups[group] = (count + 1, zlib.crc32(data, checksum))
            order = zlib.crc32(data, order)
        return cls(groups, order)

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Fingerprint:
        return cls({name: tuple(pair) for name, pair in state["groups"].items()}, state["order"])

    def state_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        return {
            "groups": {name: list(pair) for name, pair in self.groups.items()},
            "order": self.order,
        }

    def changes_since(self, saved: Fingerprint) -> list[str]:
        """One clause for each difference, with the value then and now; none if there is none."""
        changes = []
        for name in sorted(saved.groups.keys() | self.groups.keys()):
            n_then, checksum_then = saved.groups.get(name, (0, 0))
            n_now, checksum_now = self.groups.get(name, (0, 0))
            if not n_now:
                changes.append(f"{name} had {n_then} utterances and is gone")
            elif not n_then:
                changes.append(f"{name} is new, with {n_now} utterances")
            elif n_then != n_now:
                changes.append(f"{name} had {n_then} utterances and has {n_now}")
            elif checksum_then != checksum_now:
                changes.append(
                    f"the {n_now} utterances of {name} had the checksum {checksum_then:08x} and "
                    f"have {checksum_now:08x}"
                )
        if not changes and saved.order != self.order:
            changes.append(
                "the utterances are the same in another order (the checksum of all was "
                f"{saved.order:08x} and is {self.order:08x})"
            )
        return changes
