"""Everything group DRO has to remember between two updates, in one object."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np

from fairseq_dro.dro.rules import Rule
from fairseq_dro.errors import UserError

logger = logging.getLogger(__name__)

STATE_VERSION = 4
"""Version 1 lacked audio_seconds and loss_unit, version 2 trained_as, version 3 planned_share."""
_ARRAYS = ("q", "pending_loss", "pending_count", "last_loss", "audio_seconds")


class UpdateWhen(str, Enum):
    """When q moves."""

    ALL_GROUPS_SEEN = "all_groups_seen"
    """As soon as every group has a loss pending (the paper's algorithm 1)."""
    EVERY_UPDATE = "every_update"
    """After each update once all groups have been seen, by a decayed mean of each group's losses;
    a group that was not drawn keeps its mean (as in DoReMi)."""
    EVERY_EPOCH = "every_epoch"
    """By the same decayed means, once an epoch, at its last update (Zhou et al. 2021). An epoch
    whose last update is lost (an overflow in fp16) leaves q as it is until the end of the next."""


class GroupDroState:
    """q and the losses pending for its next move.

    Shapes: G groups. All numbers are float64 on the CPU whatever the model's precision; they are
    equal on all workers because they are computed from all-reduced sums.

    Args:
        newest_share: gamma of ``every_update`` and ``every_epoch``: a group's decayed mean is
            (1 - gamma) old + gamma new, 0 < gamma <= 1; 1 is the last loss alone (DoReMi), 0.1
            Sagawa's code.
        loss_unit: what the group losses are measured in, in words; losses in another unit are not
            taken over from a checkpoint.
        trained_as: option -> value of what q is about, which no run may change half-way; for a
            file ``PATH (values CHECKSUM)``, of which the path may change.
        draws_by_q: groups are drawn by q, and no loss is weighted by it again.

    Attributes:
        groups: G names, in the order of the dense group index.
        q: [G] weights, sum 1. Replaced, never changed in place.
        sampling_share: [G] with which probability a group is drawn, sum 1, as far as
            ``loss_weights`` has to make up for it; 1/G each unless somebody sets it.
        planned_share: [G] the q by which the batches of the running epoch were drawn, where they
            are drawn by q; None elsewhere. Saved, so that the rest of an epoch is drawn again as it
            was, though q has moved since.
        pending_loss: [G] sum of the values waiting for the next move, in nats.
        pending_count: [G] by what that is divided, such as batches (``dro.group_loss``).
        last_loss: [G] group losses of the latest move (the decayed means where there are such);
            NaN for a group not seen yet.
        audio_seconds: [G] seconds of audio trained on so far, repetitions included.
        n_moves: how often q has moved.
        restored: whether the numbers were read from a checkpoint.
    """

    def __init__(
        self,
        groups: Sequence[str],
        rule: Rule,
        update_when: UpdateWhen | str,
        *,
        newest_share: float = 0.1,
        loss_unit: str = "",
        trained_as: Mapping[str, str] | None = None,
        draws_by_q: bool = False,
    ) -> None:
        self.groups = tuple(groups)
        self.rule = rule
        self.update_when = UpdateWhen(update_when)
        self.newest_share = newest_share
        self.loss_unit = loss_unit
        self.trained_as = dict(trained_as or {})
        n_groups = len(self.groups)
        self.q = rule.start(n_groups)
        self.sampling_share = np.full(n_groups, 1 / n_groups)
        self.draws_by_q = draws_by_q
        self.planned_share: np.ndarray | None = None
        self.pending_loss = np.zeros(n_groups)
        self.pending_count = np.zeros(n_groups)
        self.last_loss = np.full(n_groups, np.nan)
        self.audio_seconds = np.zeros(n_groups)
        self.n_moves = 0
        self.restored = False

    @property
    def loss_weights(self) -> np.ndarray:
        """[G] factor on each group's loss, ``q_g / s_g`` with s the sampling share.

        With s_g = 1/|G| that is ``q_g |G|``, which keeps the learning rate of ERM usable, and
        exactly 1.0 everywhere at uniform q. Dividing by 1/|G| instead of multiplying by |G| is
        what makes it exact: (1/49) * 49 is not 1. Where groups are drawn by q it is 1.
        """
        if self.draws_by_q:
            return np.ones(len(self.groups))
        return self.q / self.sampling_share

    @property
    def effective_groups(self) -> float:
        """Exponential of the entropy of q: G when uniform, 1 when one group holds everything."""
        held = self.q[self.q > 0]
        return float(np.exp(-(held * np.log(held)).sum()))

    def take_shares(self, amounts: np.ndarray) -> None:
        """Tell the rule p, in proportion to [G] ``amounts``; a q that never moved starts anew."""
        rule = self.rule.with_shares(amounts)
        if rule is self.rule:
            return
        self.rule = rule
        if not (self.n_moves or self.restored):
            self.q = rule.start(len(self.groups))

    def observe(
        self, loss_sums: np.ndarray, counts: np.ndarray, ends_epoch: bool = False
    ) -> bool:
        """Take in one successful update's group losses; move q if it is time.

        Args:
            loss_sums: [G] sum of losses in nats over all workers and micro-batches.
            counts: [G] by what each sum is divided (``dro.group_loss``).
            ends_epoch: this is the epoch's last update.

        Returns:
            Whether q moved.
        """
        self.pending_loss = self.pending_loss + loss_sums
        self.pending_count = self.pending_count + counts
        seen = self.pending_count > 0
        if self.update_when is UpdateWhen.ALL_GROUPS_SEEN and not seen.all():
            return False
        means = self.last_loss.copy()
        means[seen] = self.pending_loss[seen] / self.pending_count[seen]
        if self.update_when is not UpdateWhen.ALL_GROUPS_SEEN:
            known = seen & ~np.isnan(self.last_loss)
            means[known] += (1 - self.newest_share) * (self.last_loss[known] - means[known])
        self.last_loss = means
        self.pending_loss = np.zeros_like(self.pending_loss)
        self.pending_count = np.zeros_like(self.pending_count)
        if np.isnan(means).any():
            return False  # decayed means, and some group has never been seen
        if self.update_when is UpdateWhen.EVERY_EPOCH and not ends_epoch:
            return False
        if self.rule.moves:
            self.q = self._moved(means)
        self.n_moves += 1
        return True

    def _moved(self, losses: np.ndarray) -> np.ndarray:
        """[G] what the rule answers; it gets copies, for a rule of a user's may write into them.

        Raises:
            UserError: the answer is no distribution over the groups.
        """
        q = np.asarray(self.rule.step(self.q.copy(), losses.copy()), dtype=np.float64)
        if q.shape != self.q.shape or not ((q >= 0).all() and abs(q.sum() - 1) < 1e-6):
            rule = self.trained_as.get("criterion.objective", type(self.rule).__name__)
            raise UserError(
                f"The rule {rule} answered to group losses of {losses.min():.4g} to "
                f"{losses.max():.4g} with q = {str(q.tolist())[:200]}, which is not one weight of "
                f"0 or more for each of the {len(self.groups)} groups, with the sum 1: end its "
                "step with fairseq_dro.dro.rules.floored."
            )
        return q

    def checksum(self) -> int:
        """One number of 32 bits in which two states differ that are not bit for bit the same."""
        arrays = b"".join(getattr(self, name).tobytes() for name in _ARRAYS)
        return zlib.crc32(arrays + str(self.n_moves).encode())

    def state_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, so that a checkpoint loads under ``weights_only``."""
        return {
            "version": STATE_VERSION,
            "groups": list(self.groups),
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
            "n_moves": self.n_moves,
            "loss_unit": self.loss_unit,
            "trained_as": self.trained_as,
            "planned_share": None if self.planned_share is None else self.planned_share.tolist(),
        }

    def require_trained_alike(self, state: Mapping[str, Any]) -> None:
        """Refuse a ``state_dict()`` of another objective, or of groups of another kind.

        Raises:
            UserError: the first option of ``trained_as`` that had another value; a state that lacks
                it passes.
        """
        for option, value in self.trained_as.items():
            then = state.get("trained_as", {}).get(option, value)
            name_then, content_then = _name_and_content(then)
            name, content = _name_and_content(value)
            if content_then == content and (content or name_then == name):
                continue  # the same file may have another path by now
            how = f"type {option}={name_then}"
            if name_then == name:
                how = f"put back what {option} held then"
            raise UserError(
                f"The checkpoint was trained with {option}={then} and this command says {value}, "
                f"which would be two runs in one history: {how} to resume it, or name another "
                "hydra.run.dir, where checkpoint.finetune_from_model=CHECKPOINT starts from these "
                "weights."
            )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict()`` exactly.

        Raises:
            UserError: it belongs to other groups or to a newer version of this package.
        """
        if tuple(state["groups"]) != self.groups:
            raise UserError(_changed_groups(state["groups"], self.groups))
        self.adopt(state)

    def adopt(self, state: dict[str, Any]) -> None:
        """Continue from a ``state_dict()`` of perhaps other groups, or in another order.

        A group that is known by name keeps its numbers; a new one starts at the mean weight of
        those, with no loss seen; then q is normalised. With the same groups in the same order
        nothing is rounded.

        Raises:
            UserError: it was written by a newer version of this package.
        """
        if state["version"] > STATE_VERSION:
            raise UserError(
                f"The checkpoint's group DRO state has version {state['version']} and this "
                f"package reads versions up to {STATE_VERSION}: use the version that wrote it."
            )
        place = {group: index for index, group in enumerate(state["groups"])}
        known = np.array([group in place for group in self.groups])
        saved = [place[group] for group in self.groups if group in place]
        of_new_groups = {"last_loss": np.nan}
        for name in _ARRAYS:
            if name not in state:
                continue
            values = np.full(len(self.groups), of_new_groups.get(name, 0.0))
            values[known] = np.array(state[name], dtype=np.float64)[saved]
            setattr(self, name, values)
        if not known.any():
            self.q = self.rule.start(len(self.groups))
        elif not known.all() or len(saved) < len(place):
            self.q[~known] = self.q[known].mean()
            self.q = self.q / self.q.sum()
        self.n_moves = int(state["n_moves"])
        self.restored = True
        saved_unit = state.get("loss_unit", self.loss_unit)
        if saved_unit != self.loss_unit:
            logger.warning(
                "The group losses of the checkpoint are in %s and now in %s: they are dropped, and "
                "q, which is kept, moves by new ones.", saved_unit, self.loss_unit,
            )
            self.pending_loss = np.zeros_like(self.q)
            self.pending_count = np.zeros_like(self.q)
            self.last_loss = np.full_like(self.q, np.nan)


def _name_and_content(value: str) -> tuple[str, str]:
    """What is typed after the option, and the checksum of the file that it names, if any."""
    name, _, content = value.partition(" (values ")
    return ("null" if name == "none" else name), content


def _changed_groups(saved: Sequence[str], current: Sequence[str]) -> str:
    gone = sorted(set(saved) - set(current))
    new = sorted(set(current) - set(saved))
    if gone or new:
        difference = f"gone: {', '.join(gone) or 'none'}; new: {', '.join(new) or 'none'}"
    else:
        difference = f"their order was {', '.join(saved)} and is {', '.join(current)}"
    return (
        f"The checkpoint holds group weights of other groups than the training data "
        f"({difference}): train on the same groups, start once with "
        "task.accept_changed_data=true, which keeps the weights of those that stay and gives a new "
        "one their mean, or with checkpoint.reset_dataloader=true, which begins at epoch 1 with "
        "uniform q."
    )
