"""``group_dro_cross_entropy``: the cross-entropy of each utterance's text, weighted by group."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.criterions import register_criterion

from fairseq_dro.criterions.base import GroupDroCriterion, UtteranceLosses
from fairseq_dro.criterions.group_dro_options import GroupDroCrossEntropyConfig
from fairseq_dro.dro.group_loss import GroupLoss
from fairseq_dro.option_ranges import out_of_range
from fairseq_dro.scoring import validation_counts

# Shapes: B utterances, L target tokens, V vocabulary.


@register_criterion("group_dro_cross_entropy", dataclass=GroupDroCrossEntropyConfig)
class GroupDroCrossEntropyCriterion(GroupDroCriterion):
    """Label-smoothed cross-entropy in nats, summed over the tokens of an utterance.

    At uniform q, gradients are bitwise those of stock ``label_smoothed_cross_entropy``
    (``fairseq/criterions/label_smoothed_cross_entropy.py:35``) on the same targets. A group's loss
    is per reference character, since a token is a word in one script and a byte in another.
    """

    further_columns = validation_counts.COLUMNS
    default_group_loss = GroupLoss.PER_CHARACTER

    def __init__(self, cfg: GroupDroCrossEntropyConfig, task: Any) -> None:
        if not 0 <= cfg.label_smoothing < 1:
            raise out_of_range(
                "criterion.label_smoothing", cfg.label_smoothing, "at least 0 and below 1"
            )
        self.decodes = getattr(task, "recognises_in_validation", False)
        if not self.decodes:
            self.further_columns = ()
        super().__init__(cfg, task)
        self.label_smoothing = float(cfg.label_smoothing)

    def utterances(self, model: torch.nn.Module, sample: dict[str, Any]) -> UtteranceLosses:
        net_output = model(**sample["net_input"])
        log_probs = model.get_normalized_probs(net_output, log_probs=True)  # [B, L, V]
        target = sample["target"]  # [B, L]
        outside = target == self.pad_index
        token_nats = -log_probs.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        token_nats = token_nats.masked_fill(outside, 0.0)
        losses = nats = token_nats.sum(-1)
        if self.label_smoothing:
            # each wrong token's share; the right one's is what is left
            share = self.label_smoothing / (log_probs.size(-1) - 1)
            of_all = (-log_probs.sum(-1)).masked_fill(outside, 0.0)
            kept = 1.0 - self.label_smoothing - share
            losses = (kept * token_nats + share * of_all).sum(-1)
        further = None
        if not self.training and self.decodes:
            further = self.task.count_errors(model, sample)
        return UtteranceLosses(
            losses, nats, torch.isfinite(losses.detach()), sample["target_lengths"], further
        )
