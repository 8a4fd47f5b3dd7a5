"""Group DRO around any loss: weigh it, sum it by group, and move q by what was summed.

Nothing here knows the loss function, the model or fairseq. In an update

    losses [B] -> weigh -> what is back-propagated
    nats [B] and counts [B] -> sums -> [G, K], which fairseq adds up over micro-batches and workers
    [G, K] of the whole successful update -> observe -> q moves

so q is the same on every worker, and moves once per successful update at most.

Shapes: B utterances, G groups, K columns of ``dro.sums``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
import torch

from fairseq_dro.dro.group_loss import GroupLossUnit
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.dro.sums import column, sum_by_group


class ShareOf(str, Enum):
    """In what a group's share is counted of what is trained on."""

    BATCHES = "batches"
    """Each batch weighs the same in the gradient; batches hold about as much audio each."""
    UTTERANCES = "utterances"
    """Each utterance does."""


class GroupDroEngine:
    """The state of q, and what is done with it.

    Args:
        state: q and what it waits for. Moved by ``observe`` alone.
        unit: what a group's loss is.
        start_update: q sees no loss of the updates up to this one.
        share_of: in what a group's share of the data is counted, and how often it is drawn.
        divides: q weights a group's loss relative to how often the plan of an epoch draws the
            group; False: by q times the number of groups.
        further_columns: of the sums in validation.
    """

    def __init__(
        self,
        state: GroupDroState,
        unit: GroupLossUnit,
        *,
        start_update: int = 0,
        share_of: ShareOf = ShareOf.UTTERANCES,
        divides: bool = False,
        further_columns: Sequence[str] = (),
    ) -> None:
        self.state = state
        self.unit = unit
        self.start_update = start_update
        self.share_of = share_of
        self.divides = divides
        self.further_columns = tuple(further_columns)
        self._weights_of: tuple[np.ndarray, np.ndarray] | None = None

    def weigh(self, losses: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """[B] each loss times the weight of its group; at uniform q that is times 1.0 exactly."""
        return losses * self._loss_weights(losses)[groups]

    def _loss_weights(self, losses: torch.Tensor) -> torch.Tensor:
        """[G] in the losses' dtype, copied to their device again only after they have changed."""
        made_of = (self.state.q, self.state.sampling_share)  # replaced, never changed in place
        if self._weights_of is None or any(a is not b for a, b in zip(made_of, self._weights_of)):
            weights = torch.from_numpy(self.state.loss_weights).to(losses.dtype)
            self._weights = weights.to(losses.device, non_blocking=True)
            self._weights_of = made_of
        return self._weights

    def sums(
        self,
        groups: torch.Tensor,
        *,
        nats: torch.Tensor,
        counted: torch.Tensor,
        further: dict[str, torch.Tensor] | None = None,
        **amounts: torch.Tensor,
    ) -> torch.Tensor:
        """[G, K] float64 sums of a batch, made on its device without a synchronisation.

        Args:
            groups: [B] int64.
            nats: [B] what q sees of each utterance.
            counted: [B] bool; other utterances add nothing but their number.
            further: [B] by name, the ``further_columns``; None in training.
            amounts: [B] ``audio_samples``, ``units`` and ``characters``.
        """
        values = {
            "loss_nats": torch.where(counted, nats.double(), 0.0),
            "n_utterances": counted,
            "n_not_finite": ~counted,
            **{name: torch.where(counted, amount, 0) for name, amount in amounts.items()},
        }
        if further is None:
            return sum_by_group(groups, len(self.state.groups), values)
        return sum_by_group(
            groups, len(self.state.groups), values | further, self.further_columns
        )

    def observe(self, sums: np.ndarray, update: int, *, ends_epoch: bool = False) -> bool:
        """Take in the [G, K] sums of one successful update over all workers; perhaps move q.

        Args:
            update: its number, from 1.

        Returns:
            Whether q moved.
        """
        state = self.state
        seconds = column(sums, "audio_samples") / self.unit.sample_rate
        state.audio_seconds = state.audio_seconds + seconds
        if update <= self.start_update:
            return False
        return state.observe(column(sums, "loss_nats"), self.unit.counts(sums), ends_epoch)
