"""What a group's loss is: a sum of nats over one of five counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from fairseq_dro.dro.sums import column

UNITS_PER_SECOND = 12.0
"""Characters, or units, that stand for one second of audio in ``per_character`` and ``per_unit``:
about those of read speech in an alphabet. A written constant, never estimated from data, so that a
group's loss means the same in every run."""


class GroupLoss(str, Enum):
    """Criterion option ``group_loss``.

    With S the sum of the nats of a group's counted utterances since q last moved, and d =
    ``task.batch_seconds``:

    ============= ======================= =====================================================
    per_batch     S / batches             CTC-DRO (Bartelds et al. 2025): the mean over batches
                                          of the sum over a batch of about d seconds
    per_utterance S / utterances          group DRO (Sagawa et al. 2020)
    per_second    S / seconds x d         as per_batch, for batches that are not full: what a
                                          full one would have
    per_character S / characters x 12 d   as the next; characters by the rule of CER
    per_unit      S / units x 12 d        Zhou et al. 2021: per target token; units as the model
                                          writes them
    ============= ======================= =====================================================

    The last three are scaled to a batch of d seconds with 12 characters, or units, a second, so
    that losses of the size of CTC-DRO's reach q, and its step sizes serve.
    """

    PER_BATCH = "per_batch"
    PER_UTTERANCE = "per_utterance"
    PER_SECOND = "per_second"
    PER_CHARACTER = "per_character"
    PER_UNIT = "per_unit"


@dataclass(frozen=True)
class GroupLossUnit:
    """A `GroupLoss` in a run.

    Attributes:
        batch_seconds: d, the aimed seconds of audio in a batch.
        sample_rate: of the audio, in Hz.
    """

    kind: GroupLoss
    batch_seconds: float
    sample_rate: int

    def counts(self, sums: np.ndarray) -> np.ndarray:
        """[G] by what the sum of nats is divided, from [G, K] sums; counts add up over updates."""
        if self.kind is GroupLoss.PER_BATCH:
            return column(sums, "n_batches")
        if self.kind is GroupLoss.PER_UTTERANCE:
            return column(sums, "n_utterances")
        if self.kind is GroupLoss.PER_SECOND:
            return column(sums, "audio_samples") / (self.batch_seconds * self.sample_rate)
        name = "characters" if self.kind is GroupLoss.PER_CHARACTER else "units"
        return column(sums, name) / (self.batch_seconds * UNITS_PER_SECOND)

    def __str__(self) -> str:
        """In words; part of the saved state, where another text means another unit."""
        d, units = f"{self.batch_seconds:g} s", f"{UNITS_PER_SECOND * self.batch_seconds:g}"
        return {
            GroupLoss.PER_BATCH: f"nats a batch of about {d}",
            GroupLoss.PER_UTTERANCE: "nats an utterance",
            GroupLoss.PER_SECOND: f"nats for {d} of audio",
            GroupLoss.PER_CHARACTER: f"nats for {units} characters",
            GroupLoss.PER_UNIT: f"nats for {units} units",
        }[self.kind]
