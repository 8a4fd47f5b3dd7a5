"""What the criterions of this package share: a loss function per utterance becomes group DRO.

A criterion is a subclass with one method, `GroupDroCriterion.utterances`. It weighs; it does not
move q. It runs on micro-batches, in validation, on dummy batches and on updates that are later
thrown away, whereas q moves once per successful update, in ``task.reduce_metrics`` (fairseq calls
that from ``trainer.py:951``, after the optimizer step).
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion
from fairseq.logging import metrics

from fairseq_dro.criterions.baseline import read_baseline
from fairseq_dro.criterions.group_dro_options import GroupDroConfig, require_ranges, rule_options
from fairseq_dro.dro.engine import GroupDroEngine, ShareOf
from fairseq_dro.dro.group_loss import GroupLoss, GroupLossUnit
from fairseq_dro.dro.rules import Rule, make_rule, rule_named
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.dro.sums import GROUP_SUMS
from fairseq_dro.errors import UserError

# Shapes: B utterances, G groups.


@dataclass
class UtteranceLosses:
    """What a criterion says of the utterances of a batch.

    Attributes:
        losses: [B] nats, what is trained; summed over the utterance.
        nats: [B] nats, what q sees and the log reports: another number than ``losses`` where those
            are smoothed.
        counted: [B] bool, False for a loss that says nothing (infinite, NaN, zeroed); such never
            reach q.
        units: [B] target units.
        further: in validation, [B] by name, the criterion's ``further_columns``.
    """

    losses: torch.Tensor
    nats: torch.Tensor
    counted: torch.Tensor
    units: torch.Tensor
    further: dict[str, torch.Tensor] | None = None


class GroupDroCriterion(FairseqCriterion):
    """``q_g |G|`` times the loss of each utterance, g its group.

    At uniform q every factor is exactly 1.0, so loss and gradient are bitwise those of the stock
    criterion with the same losses (``loss_reduction=utterance_mean``), without a branch that asks
    whether q is uniform. In validation nothing is weighted.

    Raises:
        UserError: the task adds no groups, or an option is out of its range.
    """

    further_columns: ClassVar[tuple[str, ...]] = ()
    """Sums that validation has besides those of ``dro.sums.COLUMNS``."""

    default_group_loss: ClassVar[GroupLoss | None] = None
    """What ``group_loss=auto`` is, where the loss function has reasons of its own."""

    def __init__(self, cfg: GroupDroConfig, task: Any) -> None:
        super().__init__(task)
        if not getattr(task, "groups", None):
            raise UserError(
                f"criterion={cfg._name or 'group_dro_ctc'} needs the group of each utterance, "
                f"which the task {task.__class__.__name__} does not give: use "
                "task=language_grouped_audio_finetuning."
            )
        if task.cfg.allow_unseen:
            raise UserError(
                "task.allow_unseen=true is for decoding: leave it out in training, where each "
                "language must have a group."
            )
        require_ranges(cfg)
        # plain attributes: asking an omegaconf node takes tens of microseconds each time
        self.sentence_avg = bool(cfg.sentence_avg)
        self.loss_reduction = str(cfg.loss_reduction)
        self.pad_index = task.target_dictionary.pad()
        self.eos_index = task.target_dictionary.eos()
        self.engine = self._make_engine(cfg, task)
        self.state = self.engine.state
        task.attach(self.engine)

    def utterances(self, model: torch.nn.Module, sample: dict[str, Any]) -> UtteranceLosses:
        """The losses of a batch, one an utterance; the one method of a criterion.

        Args:
            sample: of the task, with ``net_input`` and ``target``, and per utterance, [B] int64,
                ``group``, ``language`` (an index into ``task.languages``), ``n_samples`` of audio
                and ``n_characters`` of the reference.
        """
        raise NotImplementedError

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[torch.Tensor, int, dict[str, Any]]:
        """Loss of one batch.

        Returns:
            The weighted loss (summed as ``loss_reduction`` says), the number by whose sum over
            the update fairseq divides the gradient, and sums for the log.
        """
        of = self.utterances(model, sample)
        n_utterances = of.losses.size(0)
        normaliser = n_utterances if self.sentence_avg else sample["ntokens"]
        loss, sample_size = of.losses.sum(), normaliser
        if self.training:
            loss = self.engine.weigh(of.losses, sample["group"]).sum()
            if self.loss_reduction != "utterance_mean":
                sample_size = 1  # each batch weighs the same, whatever it holds
            if self.loss_reduction == "batch_mean":
                loss = loss / n_utterances
        with torch.no_grad():
            logging_output = {
                "loss": of.losses.detach().sum(),
                "ntokens": sample["ntokens"],
                "nsentences": n_utterances,
                "sample_size": normaliser,
                GROUP_SUMS: self.engine.sums(
                    sample["group"],
                    nats=of.nats.detach(),
                    counted=of.counted,
                    audio_samples=sample["n_samples"],
                    units=of.units,
                    characters=sample["n_characters"],
                    further=of.further,
                ),
            }
        return loss, sample_size, logging_output

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Log what concerns all groups together; the task logs what concerns each."""
        total = {
            key: utils.item(sum(log[key] for log in logging_outputs))
            for key in ("loss", "ntokens", "nsentences", "sample_size")
        }
        # in bits per sentence (or unit), unweighted, so that it compares with stock criterions'
        loss_bits = total["loss"] / math.log(2)
        metrics.log_scalar("loss", loss_bits / total["sample_size"], total["sample_size"], round=3)
        metrics.log_scalar("ntokens", total["ntokens"])
        metrics.log_scalar("nsentences", total["nsentences"])
        if total["sample_size"] != total["ntokens"]:
            metrics.log_scalar("nll_loss", loss_bits / total["ntokens"], total["ntokens"], round=3)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """True: every value is a number or a tensor of sums."""
        return True

    def _make_engine(self, cfg: GroupDroConfig, task: Any) -> GroupDroEngine:
        objective = str(cfg.objective)
        kind = rule_named(objective)
        unit = GroupLossUnit(
            self._group_loss(cfg, kind), float(task.cfg.batch_seconds), int(task.cfg.sample_rate)
        )
        baseline, subtracted = "none", None
        if cfg.baseline is not None:
            subtracted = read_baseline(str(cfg.baseline), task.groups, str(unit))
            baseline = f"{cfg.baseline} (values {zlib.crc32(subtracted.tobytes()):08x})"
        draws_by_q = str(task.cfg.group_sampling) == "q"
        of_utterances = self.loss_reduction == "utterance_mean" and not draws_by_q
        divides = cfg.divide_by_sampling_probability or kind.q_holds_shares
        rule = make_rule(
            objective,
            rule_options(cfg, kind),
            group_sizes=task.group_sizes,
            group_adjustment=cfg.group_adjustment,
            baseline=subtracted,
        )
        if draws_by_q and cfg.divide_by_sampling_probability:
            raise UserError(
                "criterion.divide_by_sampling_probability=true would undo task.group_sampling=q, "
                "with which groups are drawn by q and all losses weigh the same: leave one out."
            )
        state = GroupDroState(
            task.groups,
            rule,
            str(cfg.update_when),
            newest_share=cfg.newest_share,
            loss_unit=str(unit),
            trained_as={
                "criterion.objective": objective,
                "task.group_by": str(task.cfg.group_by),
                "criterion.group_loss": unit.kind.value,
                "criterion.baseline": baseline,
            },
            draws_by_q=draws_by_q,
        )
        return GroupDroEngine(
            state,
            unit,
            start_update=cfg.dro_start_update,
            share_of=ShareOf.UTTERANCES if of_utterances else ShareOf.BATCHES,
            divides=bool(divides) and not draws_by_q,
            further_columns=self.further_columns,
        )

    def _group_loss(self, cfg: GroupDroConfig, rule: type[Rule]) -> GroupLoss:
        chosen = str(cfg.group_loss)
        if chosen != "auto":
            return GroupLoss(chosen)
        return self.default_group_loss or rule.group_loss
