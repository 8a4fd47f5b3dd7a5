"""CTC whose per-utterance losses are weighted by group: ERM, group DRO and CTC-DRO.

The criterion weighs; it does not move q. It runs on micro-batches, in validation, on dummy
batches and on updates that are later thrown away, whereas q moves once per successful update, in
``task.reduce_metrics`` (fairseq calls that from ``trainer.py:951``, after the optimizer step).
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.data.data_utils import post_process
from fairseq.logging import metrics

from fairseq_dro.criterions.greedy_decoder import frames_of_utterances, greedy_units
from fairseq_dro.criterions.group_sums import GROUP_SUMS, sum_by_group
from fairseq_dro.criterions.options import GroupDroCtcConfig, require_ranges
from fairseq_dro.dro.rules import RuleOptions, make_rule
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.errors import UserError
from fairseq_dro.scoring.edits import count_text_errors

# Shapes: B utterances, T frames, V units, L target units, G groups.


@register_criterion("group_dro_ctc", dataclass=GroupDroCtcConfig)
class GroupDroCtcCriterion(FairseqCriterion):
    """``q_g |G|`` times the CTC loss in nats of each utterance, g its group.

    At uniform q every factor is exactly 1.0, so loss and gradient are bitwise those of stock
    ``ctc`` (``loss_reduction=utterance_mean``) without a branch that asks whether q is uniform.
    In validation nothing is weighted.

    Raises:
        UserError: the task adds no groups, or an option is out of its range.
    """

    def __init__(self, cfg: GroupDroCtcConfig, task):
        super().__init__(task)
        if not getattr(task, "groups", None):
            raise UserError(
                f"criterion=group_dro_ctc needs the language of each utterance, which the task "
                f"{task.__class__.__name__} does not give: use "
                "task=language_grouped_audio_finetuning."
            )
        if task.cfg.allow_unseen:
            raise UserError(
                "task.allow_unseen=true is for decoding: leave it out in training, where each "
                "language must have a group."
            )
        require_ranges(cfg)
        # plain attributes: asking an omegaconf node takes tens of microseconds each time
        self.zero_infinity = bool(cfg.zero_infinity)
        self.sentence_avg = bool(cfg.sentence_avg)
        self.loss_reduction = str(cfg.loss_reduction)
        self.post_process = str(cfg.post_process)
        self.blank_index = task.target_dictionary.index(task.blank_symbol)
        self.pad_index = task.target_dictionary.pad()
        self.eos_index = task.target_dictionary.eos()
        self.languages = [task.group_by.language_of(group) for group in task.groups]
        options = RuleOptions(
            step_size=cfg.step_size,
            smoothing=cfg.smoothing,
            cvar_fraction=cfg.cvar_fraction,
            group_adjustment=cfg.group_adjustment,
            group_sizes=task.group_sizes,
        )
        rule = make_rule(str(cfg.objective), options)
        loss_unit = "nats an utterance"
        if rule.sums_batches:
            seconds = f"{task.cfg.batch_seconds:g} s"
            loss_unit = f"nats a batch of about {seconds}"
            if cfg.count_partial_batches:
                loss_unit = f"nats for {seconds} of audio"
        self.state = GroupDroState(
            task.groups,
            rule,
            str(cfg.update_when),
            newest_share=cfg.newest_share,
            loss_unit=loss_unit,
            trained_as={
                "criterion.objective": str(cfg.objective),
                "task.group_by": str(task.cfg.group_by),
            },
        )
        self._weights_of = None
        task.attach_group_state(self.state, cfg)

    def forward(
        self, model, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[torch.Tensor, int, dict[str, Any]]:
        """Loss of one batch; ``sample["group"]`` is [B] int64, the group of each utterance.

        Returns:
            The weighted loss (summed as ``loss_reduction`` says), the number by whose sum over
            the update fairseq divides the gradient, and sums for the log.
        """
        net_output = model(**sample["net_input"])
        log_probs = model.get_normalized_probs(net_output, log_probs=True).contiguous()  # [T, B, V]
        input_lengths = frames_of_utterances(net_output, log_probs.size(0))  # [B]
        targets = sample["target"]  # [B, L]
        is_unit = (targets != self.pad_index) & (targets != self.eos_index)
        target_lengths = sample["target_lengths"]
        # cuDNN's CTC is nondeterministic and bounds target lengths; stock ctc avoids it as well
        with torch.backends.cudnn.flags(enabled=False):
            losses = F.ctc_loss(  # [B], nats
                log_probs,
                targets.masked_select(is_unit),
                input_lengths,
                target_lengths,
                blank=self.blank_index,
                reduction="none",
                zero_infinity=self.zero_infinity,
            )
        n_utterances = targets.size(0)
        normaliser = n_utterances if self.sentence_avg else sample["ntokens"]
        loss, sample_size = losses.sum(), normaliser
        if self.training:
            weights = self._loss_weights(losses)[sample["group"]]
            loss = (losses * weights).sum()
            if self.loss_reduction != "utterance_mean":
                sample_size = 1  # each batch weighs the same, whatever it holds
            if self.loss_reduction == "batch_mean":
                loss = loss / n_utterances
        with torch.no_grad():
            feasible = self._feasible(targets, target_lengths, input_lengths)
            counted = torch.isfinite(losses) & feasible
            values = {
                "loss_nats": torch.where(counted, losses.double(), 0.0),
                "n_utterances": counted,
                "n_not_finite": ~counted,
                "audio_samples": torch.where(counted, sample["n_samples"], 0),
            }
            if not self.training:
                values.update(self._errors(log_probs, input_lengths, sample))
            logging_output = {
                "loss": losses.detach().sum(),
                "ntokens": sample["ntokens"],
                "nsentences": n_utterances,
                "sample_size": normaliser,
                GROUP_SUMS: sum_by_group(sample["group"], len(self.state.groups), values),
            }
        return loss, sample_size, logging_output

    def _loss_weights(self, losses: torch.Tensor) -> torch.Tensor:
        """[G] in the losses' dtype, copied to their device again only after they have changed."""
        made_of = (self.state.q, self.state.sampling_share)  # replaced, never changed in place
        if self._weights_of is None or any(a is not b for a, b in zip(made_of, self._weights_of)):
            weights = torch.from_numpy(self.state.loss_weights).to(losses.dtype)
            self._weights = weights.to(losses.device, non_blocking=True)
            self._weights_of = made_of
        return self._weights

    def _feasible(
        self, targets: torch.Tensor, target_lengths: torch.Tensor, input_lengths: torch.Tensor
    ) -> torch.Tensor:
        """[B] whether the frames suffice: one a unit and a blank between equal neighbours."""
        repeated = (targets[:, 1:] == targets[:, :-1]) & (targets[:, 1:] != self.pad_index)
        return input_lengths >= target_lengths + repeated.sum(-1)

    def _errors(
        self, log_probs: torch.Tensor, input_lengths: torch.Tensor, sample: dict[str, Any]
    ) -> dict[str, torch.Tensor]:
        """Character and word errors of each utterance of a validation batch, [B] each."""
        hypotheses = greedy_units(log_probs, input_lengths, self.blank_index)
        targets = sample["target"].cpu().numpy()
        groups = sample["group"].tolist()
        counts = []
        for hypothesis, target, group in zip(hypotheses, targets, groups):
            reference = target[(target != self.pad_index) & (target != self.eos_index)]
            counts.append(
                count_text_errors(
                    self._text(reference), self._text(hypothesis), self.languages[group]
                )
            )
        table = torch.tensor(counts, device=log_probs.device).T
        return dict(zip(("char_errors", "characters", "word_errors", "words"), table))

    def _text(self, units: np.ndarray) -> str:
        symbols = self.task.target_dictionary.symbols
        words = " ".join([symbols[unit] for unit in units.tolist()])
        return post_process(words, self.post_process)

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Log what concerns all groups together; the task logs what concerns each."""
        total = {
            key: utils.item(sum(log[key] for log in logging_outputs))
            for key in ("loss", "ntokens", "nsentences", "sample_size")
        }
        # in bits per sentence (or unit), unweighted, so that it compares with stock ctc's
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
