"""Everything group DRO has to remember between two updates, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from fairseq_dro.dro.rules import UpdateRule
from fairseq_dro.errors import UserError

STATE_VERSION = 1


class UpdateWhen(str, Enum):
    """When q moves."""

    ALL_GROUPS_SEEN = "all_groups_seen"
    """As soon as every group has a loss pending (the paper's algorithm 1)."""
    EVERY_UPDATE = "every_update"
    """After each update once all groups have been seen; a group that was not drawn since keeps
    its last loss (as in DoReMi)."""


class GroupDroState:
    """q and the losses pending for its next move.

    Shapes: G groups. All numbers are float64 on the CPU whatever the model's precision; they are
    equal on all workers because they are computed from all-reduced sums.

    Attributes:
        groups: G names, in the order of the dense group index.
        q: [G] weights, sum 1.
        pending_loss: [G] sum of the values waiting for the next move, in nats.
        pending_count: [G] how many values that is (batches or utterances, as the rule wants).
        last_loss: [G] group losses of the latest move (or, for ``every_update``, latest seen);
            NaN for a group not seen yet.
        n_moves: how often q has moved.
        restored: whether the numbers were read from a checkpoint.
    """

    def __init__(
        self, groups: Sequence[str], rule: UpdateRule, update_when: UpdateWhen | str
    ) -> None:
        self.groups = tuple(groups)
        self.rule = rule
        self.update_when = UpdateWhen(update_when)
        n_groups = len(self.groups)
        self.q = np.full(n_groups, 1 / n_groups)
        self.pending_loss = np.zeros(n_groups)
        self.pending_count = np.zeros(n_groups)
        self.last_loss = np.full(n_groups, np.nan)
        self.n_moves = 0
        self.restored = False

    @property
    def loss_weights(self) -> np.ndarray:
        """[G] factor on each group's loss, ``q_g |G|``; exactly 1.0 everywhere at uniform q.

        The factor |G| keeps the learning rate of ERM usable. Dividing by 1/|G| instead of
        multiplying by |G| is what makes it exact: (1/49) * 49 is not 1.
        """
        return self.q / (1 / len(self.groups))

    @property
    def effective_groups(self) -> float:
        """Exponential of the entropy of q: G when uniform, 1 when one group holds everything."""
        return float(np.exp(-(self.q * np.log(self.q)).sum()))

    def observe(self, loss_sums: np.ndarray, counts: np.ndarray) -> bool:
        """Take in one successful update's group losses; move q if it is time.

        Args:
            loss_sums: [G] sum of losses in nats over all workers and micro-batches.
            counts: [G] number of values in each sum.

        Returns:
            Whether q moved.
        """
        self.pending_loss += loss_sums
        self.pending_count += counts
        seen = self.pending_count > 0
        if self.update_when is UpdateWhen.ALL_GROUPS_SEEN and not seen.all():
            return False
        means = self.last_loss.copy()
        means[seen] = self.pending_loss[seen] / self.pending_count[seen]
        self.last_loss = means
        self.pending_loss = np.zeros_like(self.pending_loss)
        self.pending_count = np.zeros_like(self.pending_count)
        if np.isnan(means).any():
            return False  # every_update, and some group has never been seen
        self.q = self.rule.step(self.q, means)
        self.n_moves += 1
        return True

    def state_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, so that a checkpoint loads under ``weights_only``."""
        return {
            "version": STATE_VERSION,
            "groups": list(self.groups),
            "q": self.q.tolist(),
            "pending_loss": self.pending_loss.tolist(),
            "pending_count": self.pending_count.tolist(),
            "last_loss": self.last_loss.tolist(),
            "n_moves": self.n_moves,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict()`` exactly.

        Raises:
            UserError: it belongs to other groups or to a newer version of this package.
        """
        if state["version"] != STATE_VERSION:
            raise UserError(
                f"The checkpoint's group DRO state has version {state['version']} and this "
                f"package reads version {STATE_VERSION}: use the version that wrote it."
            )
        if tuple(state["groups"]) != self.groups:
            raise UserError(_changed_groups(state["groups"], self.groups))
        for name in ("q", "pending_loss", "pending_count", "last_loss"):
            setattr(self, name, np.array(state[name], dtype=np.float64))
        self.n_moves = int(state["n_moves"])
        self.restored = True


def _changed_groups(saved: Sequence[str], current: Sequence[str]) -> str:
    gone = sorted(set(saved) - set(current))
    new = sorted(set(current) - set(saved))
    if gone or new:
        difference = f"gone: {', '.join(gone) or 'none'}; new: {', '.join(new) or 'none'}"
    else:
        difference = f"their order was {', '.join(saved)} and is {', '.join(current)}"
    return (
        f"The checkpoint holds group weights of other languages than the training data "
        f"({difference}): train on the same languages, or start once with "
        "checkpoint.reset_dataloader=true, which begins at epoch 1 with uniform q."
    )
